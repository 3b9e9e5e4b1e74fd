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


def scored(found: Tried, masks: int) -> bool:
    """Return whether true labels score 100 by so many masks, and others less."""
    assert found.judge is not None
    truth = truth_of(found.measuring)
    for number, image in enumerate(found.measuring):
        found.judge.add(number, truth(image), np.zeros(image.shape[:2], np.uint8))
    scores = found.judge.scores()
    return found.judge.masks == masks and scores[0] == 100.0 and scores[1] < 40


def test_of_a_run_those_that_it_has_not_learned_from_measure(root: Path) -> None:
    config = DataConfig(root=str(root), train="tags.json", val="val.json", truth="masks")
    found = tried(root, SimpleNamespace(recipe=SimpleNamespace(data=config)))
    assert names(found.calibrating) == set(range(12)) and names(found.measuring) == set(range(12, 16))
    assert scored(found, 4) and not found.learned
    alone = DataConfig(root=str(root), train="tags.json")
    found = tried(root, SimpleNamespace(recipe=SimpleNamespace(data=alone)))
    assert found.learned and found.judge is None and len(found.calibrating) == len(found.measuring) == 6
    assert not names(found.calibrating) & names(found.measuring)


def test_of_a_folder_those_with_true_masks_measure(root: Path, tmp_path: Path) -> None:
    found = tried(root, images=root / "images", truth=root / "masks")
    assert len(found.calibrating) == len(found.measuring) == 8 and scored(found, 8)
    assert tried(root, images=root / "images").judge is None
    for number in (1, 4, 6, 9, 15):
        LabelMap(draw(number)[1]).save(tmp_path / f"i{number:02}.png")
    found = tried(root, images=root / "images", truth=tmp_path)
    assert names(found.measuring) >= {1, 4, 6, 9, 15} and scored(found, 5)


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (dict.fromkeys((0, 1, 2, 3, 5), np.ones((5, 5), np.uint8)), "usable true masks of 0 of the photographs"),
        ({1: draw(1)[1]}, "usable true masks of 1 of the photographs that measure; 4 are needed"),
        (dict.fromkeys(range(5), np.zeros((48, 64), np.uint8)), "show no class"),
    ],
)
def test_true_masks_that_tell_nothing_are_refused(
    masks: dict[int, np.ndarray], said: str, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, mask in masks.items():
        LabelMap(mask).save(tmp_path / f"i{number:02}.png")
    with caplog.at_level(logging.WARNING), pytest.raises(DataError, match=f"--truth: .*{said}"):
        tried(root, images=root / "images", truth=tmp_path)
    assert ("the true mask of 'i00' is left out" in caplog.text) == (len(masks) == 5 and "usable" in said)


@pytest.mark.parametrize(
    ("changed", "scores", "refused"),
    [(0.9, None, False), (1.0, None, True), (3.0, (60.0, 59.5), False), (0.1, (60.0, 59.0), True)],
)
def test_true_masks_decide_where_there_are_some(
    changed: float, scores: tuple[float, float] | None, refused: bool
) -> None:
    loss = Loss(changed, 4, 4, scores, 4, learned=True)
    assert loss.too_much is refused
    assert ("mIoU against 4 true masks 60.00 before" in loss.sentence) == (scores is not None)
    assert "which flatters" in loss.sentence
