"""Functions for cvat-sdk, called by its own driver and judged by its own checks."""

import importlib
import inspect
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import cvat_sdk.auto_annotation as auto
import numpy as np
import pytest
import torch
from cvat_sdk import make_client, models
from cvat_sdk.masks import decode_mask, encode_mask
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from cvat_server import TOKEN, FakeTask
from generated import CLASSES, COLOURS, draw, folder_arguments, write_folder
from weakseg.data.classes import Classes
from weakseg.data.regions import runs_of_polygons
from weakseg.errors import CheckpointError, ConfigError, DataError
from weakseg.files import write_json
from weakseg.instances import Instances
from weakseg.integrations import cvat
from weakseg.integrations.cvat.detect import Detection
from weakseg.integrations.cvat.shapes import mask_points
from weakseg.methods.recipes import RECIPE_FILE, load_recipe, recipe_as_json
from weakseg.nn.segmenters import build_segmenter
from weakseg.nn.segmenters.instance import build_instance_segmenter
from weakseg.nn.weights import save_model
from weakseg.ops.runs import decode_runs
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.instance_segment import InstanceModelConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.stages.predict import predict_image

SIZE = (48, 64)


class Context(auto.DetectionFunctionContext):
    """What the driver tells a function of one frame."""

    frame_name = "a.png"

    def __init__(self, conf_threshold: float | None = None, *, polygons: bool = False) -> None:
        self._told = conf_threshold, polygons

    @property
    def conf_threshold(self) -> float | None:
        return self._told[0]

    @property
    def conv_mask_to_poly(self) -> bool:
        return self._told[1]


def by_colour(image: NDArray[np.uint8]) -> Instances:
    """Return what is drawn, by its colours; the disc is surer than the square."""
    masks = {class_id: (image == colour).all(-1) for class_id, colour in COLOURS.items()}
    ids = [class_id for class_id, mask in masks.items() if mask.any()]
    kept = np.stack([masks[class_id] for class_id in ids]) if ids else np.zeros((0, *image.shape[:2]), np.bool_)
    return Instances.of(kept, ids, scores=[1 - 0.25 * class_id for class_id in ids])


def pixels(kind: str, points: list[float], size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    if kind == "mask":
        return decode_mask(points, image_width=size[1], image_height=size[0])
    places = list(zip(points[1::2], points[::2], strict=True))
    return decode_runs([runs_of_polygons([places], size, "polygon")], size)[0]


def on_server(task: FakeTask, frame: int) -> NDArray[np.uint8]:
    labels = np.zeros(SIZE, np.uint8)
    for shape in (shape for shape in task.shapes if shape["frame"] == frame):
        labels[pixels(shape["type"], shape["points"])] = shape["label_id"] - 100
    return labels


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans()))
def test_masks_are_encoded_as_by_cvat_sdk(mask: NDArray[np.bool_]) -> None:
    if mask.any():
        assert mask_points(mask) == encode_mask(mask)
        np.testing.assert_array_equal(pixels("mask", mask_points(mask), mask.shape), mask)


class TestDetection:
    """The driver validates labels, types and numbers of what functions return, and uploads it."""

    @pytest.mark.parametrize("form", ["mask", "polygon"])
    @pytest.mark.parametrize("to_polygons", [False, True])
    def test_the_driver_annotates_a_task(self, form: Any, to_polygons: bool, host: str, task: FakeTask) -> None:
        function = Detection(by_colour, Classes(CLASSES), form=form, scored=True)
        task.draw("rectangle", "disc", 0, [1.0, 1.0, 5.0, 5.0])
        with make_client(host, access_token=TOKEN) as client:
            auto.annotate_task(client, 12, function, conv_mask_to_poly=to_polygons)
            task.shapes = [shape for shape in task.shapes if shape["source"] == "auto"]
        for index in range(4):
            np.testing.assert_array_equal(on_server(task, index), draw(index)[1])
        assert {shape["type"] for shape in task.shapes} == {"polygon" if to_polygons else form}

    def test_labels_that_the_task_lacks_are_the_drivers_affair(self, host: str, task: FakeTask) -> None:
        function = Detection(by_colour, Classes(("disc", "square", "cow")))
        with make_client(host, access_token=TOKEN) as client:
            with pytest.raises(auto.BadFunctionError, match="label 'cow' is not in dataset"):
                auto.annotate_task(client, 12, function)
            auto.annotate_task(client, 12, function, allow_unmatched_labels=True)
        np.testing.assert_array_equal(on_server(task, 3), draw(3)[1])

    def test_scores_and_their_threshold(self, caplog: pytest.LogCaptureFixture) -> None:
        image = Image.fromarray(draw(3)[0])
        for least, labels in ((None, [2, 1]), (0.6, [1]), (0.8, [])):
            shapes = Detection(by_colour, Classes(CLASSES), scored=True).detect(Context(least), image)
            assert [shape.label_id for shape in shapes] == labels
            assert all(isinstance(shape, models.LabeledShapeRequest) for shape in shapes)
        unscored = Detection(by_colour, Classes(CLASSES))
        for _ in range(2):
            assert len(unscored.detect(Context(0.8), image)) == 2
        assert caplog.text.count("conf_threshold: masks of a segmenter have no score; 0.8 is not used") == 1

    def test_the_parts_of_one_object_share_a_group(self) -> None:
        mask = np.zeros((1, *SIZE), np.bool_)
        mask[0, 4:20, 4:20] = mask[0, 30:34, 30:34] = True
        mask[0, 8:10, 8:10] = False
        found = Detection(lambda _: Instances.of(mask, [2]), Classes(CLASSES))
        shapes = found.detect(Context(polygons=True), Image.fromarray(draw(0)[0]))
        assert len(shapes) > 2 and {shape.group for shape in shapes} == {1}
        joined = np.any([pixels("polygon", shape.points) for shape in shapes], axis=0)
        np.testing.assert_array_equal(joined, mask[0])

    @pytest.fixture
    def segmenter(self, tmp_path: Path) -> Path:
        """A segmenter's file, with random weights that see several classes in noise."""
        torch.manual_seed(3)
        config = SegmenterConfig(BackboneConfig("resnet10t", 16, "none"), head="aspp")
        model = build_segmenter(config, 2).eval()
        for weight in (one for one in model.head.parameters() if one.ndim == 4):
            torch.nn.init.normal_(weight, std=0.5)
        header = {"kind": "segmenter", "classes": list(CLASSES), "model": asdict(config)}
        save_model(tmp_path / "m.safetensors", model, header)
        return tmp_path / "m.safetensors"

    def check(self, function: Detection, file: Path, config: PredictConfig) -> None:
        """The function shows what the segmenter predicts, pixel by pixel."""
        from weakseg.stages.segment import load_segmenter

        image = draw(3)[0]
        wanted = predict_image(load_segmenter(file)[0], image, config).labels
        assert wanted.any()
        labels = np.zeros(SIZE, np.uint8)
        for shape in function.detect(Context(), Image.fromarray(image)):
            labels[pixels("mask", shape.points)] = shape.label_id
        np.testing.assert_array_equal(labels, wanted)
        assert [(label.name, label.id, label.type) for label in function.spec.labels] == [
            (name, number, "mask") for number, name in enumerate(CLASSES, start=1)
        ]

    def test_a_model_file(self, segmenter: Path) -> None:
        self.check(cvat.detection(model=segmenter, device="cpu"), segmenter, PredictConfig())

    def test_a_run_by_the_settings_of_its_recipe(self, segmenter: Path, tmp_path: Path) -> None:
        data, run = write_folder(tmp_path / "data", 4), tmp_path / "run"
        recipe = load_recipe("cam", [*folder_arguments(data), "--predictions.scales=[0.5]", "--predictions.flip=false"])
        write_json(run / RECIPE_FILE, recipe_as_json(recipe))
        write_json(run / "segmenter/manifest.json", {"complete": False})
        segmenter.rename(run / "segmenter/model.safetensors")
        with pytest.raises(CheckpointError, match="'segmenter' has not been trained to the end"):
            cvat.detection(run)
        write_json(run / "segmenter/manifest.json", {"complete": True})
        config = PredictConfig(scales=(0.5,), flip=False)
        self.check(cvat.detection(run, device="cpu"), run / "segmenter/model.safetensors", config)

    def test_an_instance_segmenter(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        config = InstanceModelConfig(BackboneConfig("resnet10t", 32, "none"), width=16, hidden=32, mask_layers=1)
        header = {"kind": "instance segmenter", "classes": list(CLASSES), "model": asdict(config)}
        save_model(tmp_path / "m.safetensors", build_instance_segmenter(config, 2), header)
        function = cvat.detection(model=tmp_path / "m.safetensors", device="cpu")
        shapes = function.detect(Context(0.1), Image.fromarray(draw(3)[0]))
        assert shapes and all(0.1 <= shape.score < 1 and shape.label_id in (1, 2) for shape in shapes)
        assert function.detect(Context(1.0), Image.fromarray(draw(3)[0])) == []

    def test_as_cvat_cli_loads_it(self, segmenter: Path) -> None:
        """``--function-module NAME -p model=str:FILE``: the module's ``create`` with texts, then ``spec``."""
        function = importlib.import_module("weakseg.integrations.cvat.detect").create(model=str(segmenter))
        assert isinstance(function.spec, auto.DetectionFunctionSpec)

    def test_settings_that_do_not_do(self, segmenter: Path) -> None:
        for given_ in ({}, {"run": "a", "model": "b"}):
            with pytest.raises(ConfigError, match="give a run, or the file of a model, and not both"):
                cvat.detection(**given_)
        with pytest.raises(ConfigError, match="form: 'mask' or 'polygon', got 'box'"):
            cvat.detection(model=segmenter, form="box")  # type: ignore[arg-type]
        with pytest.raises(CheckpointError, match="not a weakseg model"):
            cvat.detection(model=segmenter.with_name("nothing"))


def prompts(*positive: Any, negative: Any = (), box: Any = None) -> auto.InteractionPrompts:
    return SimpleNamespace(pos_points=positive, neg_points=negative, bounding_box=box)  # type: ignore[return-value]


class TestInteraction:
    """Prompts as CVAT gives them: points as (x, y), the box as two corners."""

    truth: ClassVar[NDArray[np.uint8]]

    @pytest.fixture(scope="class")
    @classmethod
    def function(cls) -> Any:
        return importlib.import_module("weakseg.integrations.cvat.interact").create()

    @pytest.fixture(scope="class")
    @classmethod
    def photograph(cls, function: Any) -> Any:
        """A disc and a square, far larger than cells of graphs, on noise."""
        image, mask = draw(3)
        large = Image.fromarray(image).resize((256, 192), Image.Resampling.NEAREST)
        cls.truth = np.asarray(Image.fromarray(mask).resize((256, 192), Image.Resampling.NEAREST))
        return function.preprocess_image(None, large)

    def mask(self, function: Any, photograph: Any, given_: Any) -> NDArray[np.bool_]:
        (shape,) = function.detect(None, photograph, given_)
        assert isinstance(shape, auto.InteractionResultShape) and shape.type == "mask"
        (confidence,) = shape.attributes
        assert confidence.spec_id == auto.InteractionResultAttributes.CONFIDENCE and 0 <= float(confidence.value) <= 1
        return pixels("mask", shape.points, (192, 256))

    def iou(self, mask: NDArray[np.bool_], class_id: int) -> float:
        wanted = self.truth == class_id
        return float((mask & wanted).sum() / (mask | wanted).sum())

    def centre(self, class_id: int) -> tuple[float, float]:
        rows, columns = np.nonzero(self.truth == class_id)
        return float(columns.mean()), float(rows.mean())

    def box(self, class_id: int) -> tuple[tuple[float, float], tuple[float, float]]:
        rows, columns = np.nonzero(self.truth == class_id)
        return (float(columns.min()), float(rows.min())), (float(columns.max() + 1), float(rows.max() + 1))

    def test_its_spec_takes_points_and_a_box(self, function: Any) -> None:
        assert isinstance(function.spec, auto.InteractionFunctionSpec)
        assert (function.spec.min_pos_points, function.spec.min_neg_points, function.spec.min_bounding_boxes) == (
            0,
            0,
            0,
        )
        for name in ("preprocess_image", "detect"):
            ours = list(inspect.signature(getattr(function, name)).parameters)
            assert ["self", *ours] == list(inspect.signature(getattr(auto.InteractionFunction, name)).parameters)

    @pytest.mark.parametrize("class_id", [1, 2])
    def test_a_box(self, class_id: int, function: Any, photograph: Any) -> None:
        assert self.iou(self.mask(function, photograph, prompts(box=self.box(class_id))), class_id) > 0.9

    @pytest.mark.parametrize("class_id", [1, 2])
    def test_points(self, class_id: int, function: Any, photograph: Any) -> None:
        """Weights of clicks are those of real photographs, so that a drawing is found roughly."""
        (x, y), (beside_x, beside_y) = self.centre(class_id), self.centre(3 - class_id)
        mask = self.mask(function, photograph, prompts((x, y), negative=[(beside_x, beside_y)]))
        assert self.iou(mask, class_id) > 0.35 and mask[int(y), int(x)] and not mask[int(beside_y), int(beside_x)]

    def test_clicks_correct_the_mask_of_a_box(self, function: Any, photograph: Any) -> None:
        """A box around both, with a click on the square to leave out; then the same the other way."""
        (left, top), (right, bottom) = self.box(1)
        (left2, top2), (right2, bottom2) = self.box(2)
        both = ((min(left, left2), min(top, top2)), (max(right, right2), max(bottom, bottom2)))
        for class_id in (1, 2):
            given_ = prompts(self.centre(class_id), negative=[self.centre(3 - class_id)], box=both)
            mask = self.mask(function, photograph, given_)
            assert self.iou(mask, class_id) > 0.8
            x, y = self.centre(class_id)
            assert mask[int(y), int(x)]

    def test_clicks_that_agree_change_nothing(self, function: Any, photograph: Any) -> None:
        box = self.box(1)
        alone = self.mask(function, photograph, prompts(box=box))
        np.testing.assert_array_equal(self.mask(function, photograph, prompts(self.centre(1), box=box)), alone)

    def test_a_box_that_reaches_beyond_the_photograph(self, function: Any, photograph: Any) -> None:
        (left, top), (right, bottom) = self.box(2)
        mask = self.mask(function, photograph, prompts(box=((left, top), (right + 500, bottom))))
        assert not mask[:, : int(left)].any() and mask.any()

    def test_prompts_that_say_too_little(self, function: Any, photograph: Any) -> None:
        for given_ in (prompts(), prompts(negative=[(3.0, 3.0)])):
            with pytest.raises(DataError, match="click on the object, or draw a box around it"):
                function.detect(None, photograph, given_)
        with pytest.raises(DataError, match="outside"):
            function.detect(None, photograph, prompts((900.0, 3.0)))
