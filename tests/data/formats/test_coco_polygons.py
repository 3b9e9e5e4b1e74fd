"""Polygons mean the same pixels to pycocotools as the mask that they were made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from weakseg.data.formats.coco_polygons import polygons_of


def raster(polygons: list[list[float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return what COCO's own raster makes of the polygons of an object."""
    if not polygons:
        return np.zeros(size, np.bool_)
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *size))).astype(np.bool_)


@given(mask=arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_any_mask_comes_back(mask: NDArray[np.bool_]) -> None:
    polygons = polygons_of(mask)
    np.testing.assert_array_equal(raster(polygons, mask.shape), mask)
    assert all(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in polygons)


def test_one_pixel() -> None:
    mask = np.zeros((4, 5), np.bool_)
    mask[1, 3] = True
    ((*polygon,),) = polygons_of(mask)
    corners = {(x, y) for x, y in zip(polygon[::2], polygon[1::2], strict=True)}
    assert corners == {(3.25, 1.25), (3.75, 1.25), (3.25, 1.75), (3.75, 1.75)}


@pytest.mark.parametrize("seed", range(3))
def test_large_masks_with_holes_and_parts(seed: int) -> None:
    blocks = np.random.default_rng(seed).random((30, 40)) < 0.6
    mask = blocks.repeat(7, 0).repeat(9, 1)
    np.testing.assert_array_equal(raster(polygons_of(mask), mask.shape), mask)
