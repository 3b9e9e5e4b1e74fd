"""Rings with bridges mean the same pixels as the mask: to COCO's raster, and to the one that YOLO's trainers use."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from weakseg.data.formats.outlines import Part, parts_of

Mask = NDArray[np.bool_]


def by_coco(parts: list[Part], size: tuple[int, int]) -> Mask:
    found = np.zeros(size, np.bool_)
    for part in parts:
        runs = coco_mask.frPyObjects([part.ring.ravel().tolist()], *size)
        found |= coco_mask.decode(coco_mask.merge(runs)).astype(np.bool_)
    return found


def by_pixels_of_corners(parts: list[Part], size: tuple[int, int]) -> Mask:
    """Return what cv2 fills where corners are cut down to integers, as Ultralytics does before training."""
    found = np.zeros(size, np.bool_)
    for part in parts:
        filled = np.zeros(size, np.uint8)
        cv2.fillPoly(filled, [part.ring.astype(np.int32)], 1)
        found |= filled.astype(np.bool_)
    return found


@given(mask=arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_any_mask_comes_back(mask: Mask) -> None:
    parts = parts_of(mask)
    np.testing.assert_array_equal(by_coco(parts, mask.shape), mask)
    np.testing.assert_array_equal(by_pixels_of_corners(parts, mask.shape), mask)
    assert len(parts) == cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    background = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    assert sum(part.holes for part in parts) == cv2.connectedComponents(background, connectivity=4)[0] - 2
    assert all((np.ptp(part.ring, axis=0) > 0).all() and len(part.ring) >= 4 for part in parts)
    assert all((part.ring != np.roll(part.ring, 1, 0)).any(1).all() for part in parts)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_many_holes_in_one_another(share: float) -> None:
    blocks = np.random.default_rng(0).random((40, 50)) < share
    mask = blocks.repeat(4, 0).repeat(3, 1)
    parts = parts_of(mask)
    np.testing.assert_array_equal(by_coco(parts, mask.shape), mask)
    np.testing.assert_array_equal(by_pixels_of_corners(parts, mask.shape), mask)


def test_a_bridge_runs_to_the_left() -> None:
    mask = np.ones((3, 4), np.bool_)
    mask[1, 2] = False
    ((ring, holes),) = [(part.ring.tolist(), part.holes) for part in parts_of(mask)]
    assert holes == 1
    hole = [[1.75, 1.25], [2.25, 0.75], [2.75, 0.75], [3.25, 1.25], [3.25, 1.75], [2.75, 2.25], [2.25, 2.25]]
    outer = [[0.25, 0.25], [0.25, 2.75], [3.75, 2.75], [3.75, 0.25]]
    assert all(corner in ring for corner in [*hole, *outer])
    (there, _), (back, _) = (one for one in enumerate(ring) if one[1] == [0.25, 1.25])
    assert ring[there + 1] == ring[back - 1] == [1.75, 1.25]


def test_nothing() -> None:
    assert parts_of(np.zeros((4, 5), np.bool_)) == []
