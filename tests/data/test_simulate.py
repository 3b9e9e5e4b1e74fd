from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.data.classes import Classes
from weakseg.data.formats.mask_files import MaskRules
from weakseg.data.sample import Tags
from weakseg.data.simulate import tags_from_mask
from weakseg.errors import DataError

ONE, TWO = MaskRules(Classes(("cat",))), MaskRules(Classes(("cat", "dog")))


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """4 pixels of class 1, 3 of class 2, 5 void, 8 background."""
    labels = np.repeat(np.array([1, 2, 255, 0], np.uint8), [4, 3, 5, 8]).reshape(4, 5)
    Image.fromarray(labels).save(tmp_path / "m.png")
    return tmp_path / "m.png"


@pytest.mark.parametrize(("min_pixels", "present"), [(1, {1, 2}), (3, {1, 2}), (4, {1}), (5, set())])
def test_a_class_counts_from_min_pixels_on(mask: Path, min_pixels: int, present: set[int]) -> None:
    assert tags_from_mask(mask, TWO, min_pixels=min_pixels) == Tags(frozenset(present))


def test_value_that_is_no_class(mask: Path) -> None:
    with pytest.raises(DataError, match=r"m\.png: values \[2\] are no class ids; expected 0\.\.1"):
        tags_from_mask(mask, ONE)


def test_missing_mask(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png"):
        tags_from_mask(tmp_path / "gone.png", ONE)


def test_truncated_mask(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 3, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"m\.png: cannot be read"):
        tags_from_mask(path, TWO)


def test_colour_mask(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png: is a coloured mask, and nothing says which colour"):
        tags_from_mask(tmp_path / "m.png", TWO)
