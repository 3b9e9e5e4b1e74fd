from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.data.sample import Tags
from weakseg.data.simulate import tags_from_mask
from weakseg.errors import DataError


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """4 pixels of class 1, 3 of class 2, 5 void, 8 background."""
    labels = np.repeat(np.array([1, 2, 255, 0], np.uint8), [4, 3, 5, 8]).reshape(4, 5)
    Image.fromarray(labels).save(tmp_path / "m.png")
    return tmp_path / "m.png"


@pytest.mark.parametrize(("min_pixels", "present"), [(1, {1, 2}), (3, {1, 2}), (4, {1}), (5, set())])
def test_a_class_counts_from_min_pixels_on(mask: Path, min_pixels: int, present: set[int]) -> None:
    assert tags_from_mask(mask, 2, min_pixels=min_pixels) == Tags(frozenset(present))


def test_value_that_is_no_class(mask: Path) -> None:
    with pytest.raises(DataError, match=r"m\.png: values \[2\] are no class ids; expected 0\.\.1"):
        tags_from_mask(mask, 1)


def test_missing_mask(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png"):
        tags_from_mask(tmp_path / "gone.png", 1)


def test_truncated_mask(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 3, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"m\.png: cannot be read"):
        tags_from_mask(path, 2)


def test_colour_mask(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png: .*mode RGB"):
        tags_from_mask(tmp_path / "m.png", 2)
