"""What 8 bits are calibrated and measured by."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from jsonargparse import Namespace

from exported_models import cone, write_segmenter  # noqa: F401 - the fixture
from generated import draw, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.trying import photographs_of
from weakseg.data.config import DataConfig
from weakseg.deploy.network import Given
from weakseg.deploy.quantize import Loss, Tried
from weakseg.errors import DataError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_folder(tmp_path_factory.mktemp("trying") / "data", 16)
    write_segmenter(root / "model.safetensors")
    return root


def tried(root: Path, finished: Any = None, **given: Path | None) -> Tried:
    namespace = Namespace(**{"images": None, "truth": None, **given})
    return photographs_of(namespace, finished, Given(root / "model.safetensors"))


def truth_of(images: Any, count: int = 16) -> Any:
    """Return what knows the true masks, by the photograph."""
    drawn = [draw(number) for number in range(count)]
    return lambda image: next(mask for one, mask in drawn if np.array_equal(one, image))


def names(images: Any) -> set[int]:
    drawn = [draw(number)[0] for number in range(16)]
    return {next(n for n, one in enumerate(drawn) if np.array_equal(one, image)) for image in images}


def test_of_a_run_those_that_it_has_not_learned_from_measure(root: Path) -> None:
    config = DataConfig(root=str(root), train="tags.json", val="val.json", truth="masks")
    found = tried(root, SimpleNamespace(recipe=SimpleNamespace(data=config)))
    assert names(found.calibrating) == set(range(12)) and names(found.measuring) == set(range(12, 16))
    assert found.mean_iou is not None and not found.learned
    assert found.mean_iou(truth_of(found.measuring)) == 100.0
    assert found.mean_iou(lambda image: np.zeros(image.shape[:2], np.uint8)) < 40
    alone = DataConfig(root=str(root), train="tags.json")
    found = tried(root, SimpleNamespace(recipe=SimpleNamespace(data=alone)))
    assert found.learned and found.mean_iou is None and len(found.calibrating) == len(found.measuring) == 6
    assert not names(found.calibrating) & names(found.measuring)


def test_of_a_folder_with_true_masks(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Masks of another size are left out of mIoU, and said; a folder of others is refused."""
    found = tried(root, images=root / "images", truth=root / "masks")
    assert len(found.calibrating) == len(found.measuring) == 8 and found.mean_iou is not None
    assert found.mean_iou(truth_of(found.measuring)) == 100.0
    assert tried(root, images=root / "images").mean_iou is None
    for number in range(16):
        LabelMap(np.ones((5, 5), np.uint8)).save(tmp_path / "small" / f"i{number:02}.png")
    with caplog.at_level(logging.WARNING):
        assert tried(root, images=root / "images", truth=tmp_path / "small").mean_iou is None
    assert "left out of mIoU: the true mask of 'i" in caplog.text
    LabelMap(np.ones((5, 5), np.uint8)).save(tmp_path / "others" / "x.png")
    with pytest.raises(DataError, match=r"--truth: .* has no mask of the photographs in"):
        tried(root, images=root / "images", truth=tmp_path / "others")


@pytest.mark.parametrize(
    ("changed", "scores", "refused"),
    [(0.9, None, False), (1.0, None, True), (3.0, (60.0, 59.5), False), (0.1, (60.0, 59.0), True)],
)
def test_true_masks_decide_where_there_are_some(
    changed: float, scores: tuple[float, float] | None, refused: bool
) -> None:
    loss = Loss(changed, 4, 4, scores, learned=True)
    assert loss.too_much is refused
    assert ("mIoU against true masks 60.00 before" in loss.sentence) == (scores is not None)
    assert "which flatters" in loss.sentence
