from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cases import each
from weakseg.errors import ShapeError
from weakseg.ops.raster import raster_lines, raster_points

SIZE = (7, 9)
positions = st.tuples(st.floats(-4, 12), st.floats(-4, 14))
paths = st.lists(positions, min_size=1, max_size=5)


def pixels(labels: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, np.argwhere(labels != 255).tolist()))


def test_corners_outside_and_order_of_points() -> None:
    """Weak labels card, oracle 7: positions are (row, column)."""
    points = [(0, 0), (6.99, 8.99), (5, -1), (5, 9), (7, 3), (2.2, 3.9), (2.9, 3.1)]
    labels = raster_points(points, [1, 2, 3, 3, 3, 4, 5], SIZE)
    assert labels[0, 0] == 1 and labels[6, 8] == 2 and labels[2, 3] == 5
    assert len(pixels(labels)) == 3


def test_a_line_of_width_one_marks_five_pixels() -> None:
    """Weak labels card, oracle 8."""
    line = [(0.5, 0.5), (0.5, 4.5)]
    labels = raster_lines([line], [3], SIZE, width=1)
    assert pixels(labels) == {(0, column) for column in range(5)}
    assert (labels[0, :5] == 3).all()


def test_a_diagonal_of_width_one_is_one_pixel_wide() -> None:
    assert pixels(raster_lines([[(0.5, 0.5), (4.5, 4.5)]], [1], SIZE, width=1)) == {(i, i) for i in range(5)}


def test_width_three() -> None:
    """One row on each side, and one column beyond each end; a dot is a square of 3 x 3."""
    assert pixels(raster_lines([[(3.5, 2.5), (3.5, 4.5)]], [1], SIZE)) == {
        (row, column) for row in (2, 3, 4) for column in range(1, 6)
    }
    assert len(pixels(raster_lines([[(3.5, 2.5)]], [1], SIZE))) == 9


def test_positions_outside_are_clamped() -> None:
    """Weak labels card, oracle 8: column W + 10 becomes W - 1."""
    labels = raster_lines([[(3.5, 4.5), (3.5, 19)]], [1], SIZE, width=1)
    assert pixels(labels) == {(3, column) for column in range(4, 9)}
    assert pixels(raster_lines([[(-5, -5)]], [1], SIZE, width=1)) == {(0, 0)}


@given(position=positions)
def test_a_dot_marks_at_least_its_pixel(position: tuple[float, float]) -> None:
    labels = raster_lines([[position]], [2], SIZE, width=0.1)
    row, column = (min(max(int(np.floor(v)), 0), n - 1) for v, n in zip(position, SIZE, strict=True))
    assert labels[row, column] == 2


@settings(max_examples=40)
@given(path=paths, width=st.sampled_from([1.0, 1.5, 2.0, 3.0, 5.0]))
def test_reversed_lines_mark_the_same_connected_pixels(path: list[tuple[float, float]], width: float) -> None:
    labels = raster_lines([path], [1], SIZE, width=width)
    np.testing.assert_array_equal(labels, raster_lines([path[::-1]], [1], SIZE, width=width))
    assert ndimage.label(labels == 1, np.ones((3, 3)))[1] == 1


@settings(max_examples=30)
@given(path=paths, width=st.sampled_from([1.0, 3.0]))
def test_pixels_are_those_within_half_the_width(path: list[tuple[float, float]], width: float) -> None:
    """The slow way: 400 positions along each segment."""
    clamped = [
        tuple(v if 0 <= v < n else min(max(v, 0.5), n - 0.5) for v, n in zip(p, SIZE, strict=True)) for p in path
    ]
    ends = list(pairwise(clamped)) or [(clamped[0], clamped[0])]
    along = np.linspace(0, 1, 400)[:, None]
    dense = np.concatenate([np.array(a) + along * (np.array(b) - np.array(a)) for a, b in ends])
    centres = np.stack(np.mgrid[: SIZE[0], : SIZE[1]], -1) + 0.5
    distance = np.linalg.norm(centres[:, :, None] - dense, axis=-1).min(-1)
    marked = raster_lines([path], [1], SIZE, width=width) == 1
    corner = np.zeros(SIZE, bool)
    corner[tuple(np.array(clamped).astype(int).T)] = True
    assert marked[(distance <= width / 2) | corner].all()
    assert not marked[(distance > width / 2 + 0.05) & ~corner].any()


def test_later_lines_lie_on_top_or_both_lose() -> None:
    cross = [[(3.5, 0.5), (3.5, 8.5)], [(0.5, 4.5), (6.5, 4.5)]]
    assert raster_lines(cross, [1, 2], SIZE, width=1)[3, 4] == 2
    labels = raster_lines(cross, [1, 2], SIZE, width=1, contested="undecided")
    assert labels[3, 4] == 255 and labels[3, 3] == 1 and labels[2, 4] == 2
    assert raster_lines(cross, [1, 1], SIZE, width=1, contested="undecided")[3, 4] == 1


def test_nothing_drawn() -> None:
    assert not pixels(raster_lines([], [], SIZE)) and not pixels(raster_points([], [], SIZE))


@each(
    ("paths", "labels", "size", "width", "message"),
    [
        ([[]], [1], SIZE, 3, "at least one position"),
        ([[(np.nan, 1)]], [1], SIZE, 3, "finite"),
        ([[(1, 1)]], [255], SIZE, 3, "labels"),
        ([[(1, 1)]], [], SIZE, 3, "labels"),
        ([[(1, 1)]], [1], SIZE, 0, "width"),
        ([[(1, 1)]], [1], (0, 4), 3, "size"),
    ],
)
def test_what_cannot_be_drawn(
    paths: list[list[tuple[float, float]]], labels: list[int], size: tuple[int, int], width: float, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        raster_lines(paths, labels, size, width=width)
