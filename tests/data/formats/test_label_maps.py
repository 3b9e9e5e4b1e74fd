"""Indexed PNGs as strokes and as masks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.formats.label_maps import read_mask, read_strokes
from weakseg.data.formats.mask_files import MaskRules
from weakseg.data.regions import mask_of_runs
from weakseg.errors import DataError

TWO = MaskRules(Classes(("cat", "dog")))
maps = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.sampled_from([0, 1, 2, 255]))


@given(labels=maps)
def test_round_trip(tmp_path_factory, labels: NDArray[np.uint8]) -> None:
    path = tmp_path_factory.getbasetemp() / "map.png"
    LabelMap(labels).save(path)
    strokes, size = read_strokes(path, TWO)
    painted = np.full(size, 255, np.uint8)
    for region in strokes.strokes:
        painted[mask_of_runs(region.runs, region.size)] = region.class_id
    np.testing.assert_array_equal(painted, labels)
    masks, _ = read_mask(path, TWO)
    painted = np.zeros(size, np.uint8)
    for region in masks.regions:
        painted[mask_of_runs(region.runs, region.size)] = region.class_id
    np.testing.assert_array_equal(painted, labels)
    assert strokes.strongest == ("scribbles" if (labels != 255).any() else "tags")
    assert masks.strongest == "regions"


def test_indices_count_and_not_colours(tmp_path: Path) -> None:
    labels = np.array([[15, 0], [255, 20]], np.uint8)
    LabelMap(labels).save(tmp_path / "a.png")
    assert [
        stroke.class_id
        for stroke in read_strokes(tmp_path / "a.png", MaskRules(Classes(tuple(map(str, range(20))))))[0].strokes
    ] == [0, 15, 20]


def test_refused(tmp_path: Path) -> None:
    LabelMap(np.array([[3, 255, 9]], np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: values \[3, 9\] are no class ids; expected 0\.\.2, or 255 for what"):
        read_strokes(tmp_path / "a.png", TWO)
    Image.new("RGB", (2, 2)).save(tmp_path / "rgb.png")
    with pytest.raises(DataError, match=r"rgb\.png: is a coloured mask, and nothing says which colour is which class"):
        read_mask(tmp_path / "rgb.png", TWO)
    (tmp_path / "text.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(DataError, match=r"text\.png: cannot be read as a mask"):
        read_mask(tmp_path / "text.png", TWO)
