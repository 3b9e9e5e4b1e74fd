"""ONNX files that are damaged, of others, or want more than they should are refused in words, before anything runs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from exported_models import OBJECTS, cone, write_found, write_segmenter  # noqa: F401 - the fixture
from weakseg.deploy.export import export_onnx
from weakseg.deploy.network import Given
from weakseg.errors import CheckpointError
from weakseg.nn.exported.described import BOXES, CELLS, INSTANCES, LABELS, OUTPUTS, SCORES
from weakseg.nn.exported.detector import ExportedDetector
from weakseg.settings.instance_segment import InstancePredictConfig
from weakseg.stages.instance_segment import predict_instances
from weakseg.stages.segment import load_predictor

FEW = 300  # damaged files


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("sound")
    export_onnx(Given(write_segmenter(folder / "model.safetensors")), folder / "model.onnx")
    return (folder / "model.onnx").read_bytes()


def elsewhere(model: Any) -> None:
    """Let weights be those of a file outside of the folder, as a hostile file would read any file."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")


def beside(model: Any) -> None:
    """The same in a constant of an operator, and within the folder."""
    tensor = helper.make_tensor("weights", TensorProto.FLOAT, [1], [1.0])
    tensor.external_data.add(key="location", value="weights.bin")
    model.graph.node.append(helper.make_node("Constant", [], ["k"], value=tensor))


def huge(model: Any) -> None:
    model.graph.initializer[-1].dims[:] = [2**40, 2**10]


def overflowing(model: Any) -> None:
    model.graph.initializer[-1].dims[:] = [2**62, 2**62]


def negative(model: Any) -> None:
    model.graph.initializer[-1].dims[:] = [-1, -4]


def endless(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["x"], body=body))


def hidden(model: Any) -> None:
    """A subgraph in an operator that has none."""
    model.graph.node.append(helper.make_node("Relu", ["logits"], ["x"], more=helper.make_graph([], "inner", [], [])))


def bomb(model: Any) -> None:
    model.graph.initializer.append(helper.make_tensor("wanted", TensorProto.INT64, [3], [2**20, 2**20, 8]))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["wanted"], ["x"]))


def many_cells(model: Any) -> None:
    """Boxes that are resampled to 2^40 cells each."""
    inputs = ["logits", "rois", "batch"]
    model.graph.node.append(helper.make_node("RoiAlign", inputs, ["x"], output_height=2**20, output_width=2**20))


def detector(model: Any) -> None:
    """Outputs of Mask R-CNN, without the constants that are set when it is used."""
    set_property("kind", "instance segmenter")(model)
    del model.graph.output[:]
    for name in OUTPUTS[INSTANCES]:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]))


def custom(model: Any) -> None:
    model.graph.node.append(helper.make_node("Anything", ["logits"], ["x"], domain="com.example"))


def function(model: Any) -> None:
    opset = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("", "Relu", ["a"], ["b"], [], opset))


def other_opset(model: Any) -> None:
    model.opset_import[0].version = 11


def other_program(model: Any) -> None:
    del model.metadata_props[:]


def set_property(name: str, value: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        entry = next(entry for entry in model.metadata_props if entry.key == name)
        entry.value = value

    return change


def no_stride(model: Any) -> None:
    kept = [entry for entry in model.metadata_props if entry.key != "stride"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)


def no_logits(model: Any) -> None:
    model.graph.output.pop()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (elsewhere, "lies in another file, and none is opened"),
        (beside, "lies in another file, and none is opened"),
        (huge, "should have"),
        (overflowing, "should have"),
        (negative, "is of type"),
        (endless, "operator ai.onnx.Loop"),
        (hidden, "operator ai.onnx.Relu"),
        (bomb, "asks for"),
        (many_cells, "resamples boxes to"),
        (detector, "has no constant 'least_score'"),
        (set_property("kind", "instance segmenter"), "takes .* and gives"),
        (set_property("most_cells", "many"), "properties are damaged"),
        (custom, "operator com.example.Anything"),
        (function, "functions"),
        (other_opset, "uses operators of ai.onnx 11, not of ai.onnx 18"),
        (other_program, "was not written by weakseg"),
        (set_property("labels", '["background", "cat"]'), "another class list"),
        (set_property("labels", '["background", "cat", "cat"]'), "names no classes"),
        (set_property("labels", "cat"), "properties are damaged"),
        (set_property("labels", "[" * 100000), "properties are damaged"),
        (set_property("stride", "16 cells"), "properties are damaged"),
        (set_property("stride", "9" * 30), "properties are damaged"),
        (set_property("fill", "[NaN, 1]"), "fill is no colour"),
        (set_property("format", "2"), "of format '2'"),
        (set_property("kind", "classifier"), "takes .* and gives"),
        (no_stride, "properties are damaged"),
        (no_logits, "takes .* and gives"),
    ],
)
def test_a_changed_file_is_refused(change: Callable[[Any], None], says: str, sound: bytes, tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(sound)
    change(model)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=says) as error:
        load_predictor(tmp_path / "model.onnx")
    assert str(tmp_path / "model.onnx") in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a protobuf", b"\x08" * 1000, b"PK\x03\x04"])
def test_what_is_no_onnx(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is no ONNX file|was not written by weakseg"):
        load_predictor(tmp_path / "model.onnx")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.onnx", tmp_path / "folder.onnx"):
        (tmp_path / "folder.onnx").mkdir(exist_ok=True)
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_predictor(path)
    sparse = tmp_path / "large.onnx"
    with sparse.open("wb") as file:
        os.truncate(file.fileno(), 2**31 + 8)
    with pytest.raises(CheckpointError, match="has 2147483656 bytes"):
        load_predictor(sparse)


def test_damaged_files_are_read_or_refused(sound: bytes, tmp_path: Path) -> None:
    rng, path, refused = np.random.default_rng(0), tmp_path / "model.onnx", 0
    for number in range(FEW):
        content = bytearray(sound)
        if number % 3 == 0:
            content = content[: rng.integers(len(content))]
        else:
            ends = rng.integers(0, 2, 8) * (len(content) - 6000)  # structure lies at both ends
            for place in ends + rng.integers(0, 6000, 8):
                content[place % len(content)] = rng.integers(256)
        path.write_bytes(content)
        try:
            load_predictor(path)
        except CheckpointError:
            refused += 1
    assert refused > FEW // 3


def test_labels_of_another_detector(tmp_path: Path) -> None:
    for labels in (2, 4):
        path = write_found(tmp_path / "objects.onnx", labels=labels)
        with pytest.raises(CheckpointError, match=f"names 3 labels, and its network has {labels}: .* another class"):
            ExportedDetector(path)
    model = onnx.load(path)
    model.graph.initializer.pop()
    onnx.save(model, path)
    with pytest.raises(CheckpointError, match="names 3 labels, and its network has none"):
        ExportedDetector(path)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({BOXES: OBJECTS[BOXES][:, :3]}, r"boxes as float32 of \(2, 3\), where 2 objects have float32 of \(2, 4\)"),
        ({BOXES: np.float32(1)}, r"boxes as float32 of \(\)"),
        ({BOXES: OBJECTS[BOXES].astype(np.float64)}, "boxes as float64"),
        ({CELLS: OBJECTS[CELLS][:1]}, r"cells as float32 of \(1, 28, 28\)"),
        ({CELLS: np.zeros((1, 0, 0), np.float32)}, r"cells as float32 of \(1, 0, 0\)"),
        ({CELLS: np.zeros(1, np.float32)}, r"cells as float32 of \(1,\)"),
        ({LABELS: np.array([1])}, r"labels as int64 of \(1,\)"),
        ({LABELS: np.array(1)}, r"labels as int64 of \(\)"),
        ({LABELS: np.array([1, 2], np.float32)}, "labels as float32"),
        ({LABELS: np.array([1, 3])}, "finds class 3, and names 2"),
        ({SCORES: np.array([0.9, np.nan], np.float32)}, "scores that are no finite numbers"),
        ({SCORES: np.array([[0.9, 0.8]], np.float32)}, r"scores as float32 of \(1, 2\)"),
        ({BOXES: np.array([[0, 0, np.nan, 5]] * 2, np.float32)}, "boxes that are no finite numbers"),
        ({BOXES: np.array([[0, 0, np.inf, 5]] * 2, np.float32)}, "boxes that are no finite numbers"),
        ({BOXES: np.array([[0, 0, 1e30, 5]] * 2, np.float32)}, "boxes outside of an image of 50 x 60"),
        ({CELLS: np.full((2, 28, 28), np.nan, np.float32)}, "cells that are no finite numbers"),
    ],
)
def test_what_are_no_objects(found: dict[str, Any], says: str, tmp_path: Path) -> None:
    image = np.zeros((50, 60, 3), np.uint8)
    assert (
        len(predict_instances(ExportedDetector(write_found(tmp_path / "a.onnx")), image, InstancePredictConfig())) == 2
    )
    path = write_found(tmp_path / "objects.onnx", found)
    with pytest.raises(CheckpointError, match=says) as error:
        predict_instances(ExportedDetector(path), image, InstancePredictConfig())
    assert str(path) in str(error.value)
