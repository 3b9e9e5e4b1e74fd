import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage

from weakseg.data.simulate_drawn import (
    TrueObject,
    background_parts,
    inner_point,
    inner_stroke,
    tight_box,
    true_objects,
)
from weakseg.errors import ShapeError
from weakseg.ops.raster import raster_lines

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14)).filter(np.any)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def two_objects() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Class 2: two squares that touch; class 1: a bar; void between."""
    truth = np.zeros((8, 10), np.uint8)
    truth[1:4, 1:7], truth[6, 2:9], truth[4, 1:7] = 2, 1, 255
    numbers = np.zeros((8, 10), np.int32)
    numbers[1:4, 1:4], numbers[1:4, 4:7] = 7, 3
    return truth, numbers


def test_objects_by_number_else_by_connection() -> None:
    truth, numbers = two_objects()
    found = true_objects(truth, numbers, min_pixels=1)
    assert [(item.class_id, int(item.mask.sum())) for item in found] == [(1, 7), (2, 9), (2, 9)]
    assert found[1].mask[1, 4] and found[2].mask[1, 1]  # number 3 before 7
    assert [int(item.mask.sum()) for item in true_objects(truth, min_pixels=1)] == [7, 18]


@pytest.mark.parametrize(("min_pixels", "sizes"), [(7, [7, 9, 9]), (8, [9, 9]), (10, [9, 9]), (18, [9, 9]), (19, [])])
def test_small_classes_and_objects(min_pixels: int, sizes: list[int]) -> None:
    """The two squares are below 10 pixels each, but their class has 18: it keeps its largest objects."""
    found = true_objects(*two_objects(), min_pixels=min_pixels)
    assert [int(item.mask.sum()) for item in found] == sizes


def test_a_speck_beside_an_object_is_none() -> None:
    truth = np.zeros((8, 8), np.uint8)
    truth[:4, :4], truth[7, 7] = 1, 1
    assert len(true_objects(truth, min_pixels=5)) == 1
    assert len(true_objects(truth, min_pixels=1)) == 2


def test_numbers_of_another_size() -> None:
    with pytest.raises(ShapeError, match="numbers"):
        true_objects(np.zeros((3, 3), np.uint8), np.zeros((3, 4), np.int32))


def test_background_parts() -> None:
    """A bar splits the background into 50 and 40 pixels; a hole of one pixel is less than a twentieth."""
    truth = np.zeros((12, 10), np.uint8)
    truth[5:8] = 1
    truth[6, 4] = 0
    assert [int(part.mask.sum()) for part in background_parts(truth)] == [50, 40]
    assert background_parts(np.ones((3, 3), np.uint8)) == ()
    assert background_parts(np.full((3, 3), 255, np.uint8)) == ()


def test_tight_box() -> None:
    mask = np.zeros((6, 9), np.bool_)
    mask[2, 3:7] = mask[4, 5] = True
    box = tight_box(TrueObject(3, mask))
    assert (box.class_id, box.top, box.left, box.bottom, box.right) == (3, 2, 3, 5, 7)


def test_point_in_the_middle_of_a_disc() -> None:
    rows, columns = np.mgrid[:41, :41]
    disc = (rows - 20) ** 2 + (columns - 20) ** 2 <= 15**2
    points = {inner_point(TrueObject(1, disc), generator(seed)) for seed in range(20)}
    assert len(points) > 5  # jitter
    assert all(np.hypot(p.row - 20.5, p.column - 20.5) <= 0.2 * 16 + 1 for p in points)


@given(mask=masks, seed=st.integers(0, 5))
def test_points_are_deep_inside(mask: NDArray[np.bool_], seed: int) -> None:
    point = inner_point(TrueObject(1, mask), generator(seed))
    row, column = int(point.row), int(point.column)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    assert mask[row, column] and depth[row, column] >= 0.8 * depth.max()
    assert (point.row, point.column) == (row + 0.5, column + 0.5)


@given(mask=masks, seed=st.integers(0, 5), coverage=st.sampled_from([0.01, 0.3, 0.7, 1.0]))
def test_strokes_stay_inside_in_one_piece(mask: NDArray[np.bool_], seed: int, coverage: float) -> None:
    stroke = inner_stroke(TrueObject(4, mask), generator(seed), coverage=coverage)
    drawn = raster_lines([stroke.path], [4], (mask.shape[0], mask.shape[1]), width=1) == 4
    assert mask[drawn].all() and ndimage.label(drawn, np.ones((3, 3)))[1] == 1
    parts, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(parts[mask])
    assert sizes[parts[drawn][0]] == sizes.max()


def test_the_stroke_of_a_bar_is_its_axis() -> None:
    """The skeleton of 5 x 40 pixels is its middle row, without up to two pixels at the ends, one segment."""
    mask = np.zeros((9, 44), np.bool_)
    mask[2:7, 2:42] = True
    path = np.array(inner_stroke(TrueObject(1, mask), generator()).path)
    assert abs(path[-1, 1] - path[0, 1]) >= 35
    assert len(path) <= 6 and (np.abs(path[:, 0] - 4.5) <= 2).all()


def test_the_stroke_of_a_fork_takes_the_two_long_arms() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[20, :] = mask[20:28, 20] = True
    path = inner_stroke(TrueObject(1, mask), generator()).path
    assert {path[0], path[-1]} == {(20.5, 0.5), (20.5, 39.5)}


@pytest.mark.parametrize("coverage", [0.25, 0.5, 0.9])
def test_coverage_is_a_fraction_of_the_length(coverage: float) -> None:
    mask = np.zeros((3, 101), np.bool_)
    mask[1] = True
    paths = {inner_stroke(TrueObject(1, mask), generator(seed), coverage=coverage).path for seed in range(8)}
    assert len(paths) > 1
    for path in paths:
        assert abs(abs(path[-1][1] - path[0][1]) - coverage * 100) <= 1


def test_a_ring_is_half_walked() -> None:
    rows, columns = np.mgrid[:41, :41]
    radius = np.hypot(rows - 20, columns - 20)
    path = np.array(inner_stroke(TrueObject(1, (radius > 12) & (radius < 18)), generator()).path)
    length = sum(np.linalg.norm(b - a) for a, b in itertools.pairwise(path))
    assert 0.9 * np.pi * 15 < length < 1.25 * np.pi * 15


@pytest.mark.parametrize("coverage", [0, 1.01, float("nan")])
def test_coverage_out_of_range(coverage: float) -> None:
    with pytest.raises(ShapeError, match="coverage"):
        inner_stroke(TrueObject(1, np.ones((2, 2), np.bool_)), generator(), coverage=coverage)
