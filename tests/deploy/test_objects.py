"""A Mask R-CNN and what was made of it are compared by their objects; those of an ONNX file are found on the CPU."""

import logging
from pathlib import Path

import pytest
import torch
from jsonargparse import Namespace

from exported_models import cone, write_detector, write_found  # noqa: F401 - the fixture
from weakseg.cli.predict_instances import _job
from weakseg.deploy.network import Given
from weakseg.deploy.objects import FEW, UNDRAWN, Finder, Images, Objects, check_objects, drawn
from weakseg.errors import CheckpointError
from weakseg.nn.exported.described import BOXES, LEAST_SCORE, SCORES, Sides
from weakseg.nn.exported.file import content_with, read_onnx
from weakseg.nn.exported.found import Found
from weakseg.ops.resample import image_tensor
from weakseg.settings.instance_segment import InstancePredictConfig
from weakseg.stages.instance_segment import load_instance_segmenter

CLASS, DRAWN = "regions.box_predictor.cls_score.bias", "regions.mask_predictor.mask_fcn_logits.bias"
OTHER, THIN, NOTHING = {CLASS: [0.0, 0.5, -0.5]}, {DRAWN: [-20.0] * 3}, {CLASS: [200.0, 0.0, 0.0]}


def given_of(path: Path, **biases: list[float]) -> Given:
    return Given(write_detector(path, biases=biases), Sides(2**15, 2**15))


def finder(given: Given, fewest: int = 0) -> Finder:
    """Return what finds as an exported file does; as one that fails with less than ``fewest`` boxes."""
    network = Found(load_instance_segmenter(given.path)[0], InstancePredictConfig().nms).eval()

    def find(image: Images, score: float) -> Objects:
        with torch.inference_mode():
            found = network(image_tensor(image)[None], torch.tensor(score), torch.tensor(FEW))
        if len(found[0]) < fewest:
            raise RuntimeError(f"Runtime assertion failed for expression u6 >= {fewest}")
        return drawn(*found, image)

    return find


def test_a_network_agrees_with_itself(tmp_path: Path) -> None:
    given = given_of(tmp_path / "model.safetensors")
    agreement = check_objects(finder(given), given)
    assert agreement.shares == (1.0,) * 4 and not agreement.further


@pytest.mark.parametrize("drawing", [{}, THIN], ids=["masks", "no mask"])
def test_other_scores_are_told(drawing: dict[str, list[float]], tmp_path: Path) -> None:
    """Where no mask reaches 0.5, too: there is background everywhere."""
    given = given_of(tmp_path / "model.safetensors", **drawing)
    other = given_of(tmp_path / "other.safetensors", **OTHER, **drawing)
    with pytest.raises(CheckpointError, match=r"is not the network: of the 30 surest objects .* are alike"):
        check_objects(finder(other), given)
    assert check_objects(finder(given), given).further == (UNDRAWN if drawing else "")


@pytest.mark.parametrize("fewest", [1, 2])
def test_files_that_fail_with_few_objects(fewest: int, tmp_path: Path) -> None:
    given = given_of(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"cannot be run on an image of 131 x 97 .* u6 >= [12]"):
        check_objects(finder(given, fewest), given)


def test_where_nothing_is_found_nothing_is_told(tmp_path: Path) -> None:
    given = given_of(tmp_path / "model.safetensors", **NOTHING)
    with pytest.raises(CheckpointError, match="finds nothing in any picture, as the network does"):
        check_objects(finder(given), given)


def test_what_follows_an_onnx_file_is_done_on_the_cpu(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = Namespace(model=write_found(tmp_path / "objects.onnx"), out=tmp_path)
    with caplog.at_level(logging.WARNING):
        job = _job(given, InstancePredictConfig(), "cuda")
    assert job.device == "cpu" and "what follows it are run on the CPU, and not on cuda" in caplog.text


def test_what_no_output_needs_is_left_out(tmp_path: Path) -> None:
    """As onnxruntime would run it."""
    model, _ = read_onnx(write_found(tmp_path / "objects.onnx"))
    kept = type(model).FromString(content_with(model, [BOXES, SCORES], {LEAST_SCORE: 0.5})).graph
    assert [node.output[0] for node in kept.node] == [value.name for value in kept.output] == [BOXES, SCORES]
