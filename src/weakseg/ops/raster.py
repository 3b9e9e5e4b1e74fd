"""Points and lines become pixels of label maps."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from weakseg.errors import ShapeError
from weakseg.settings.stroke_seeds import Contested

Line = Sequence[tuple[float, float]]
UNDECIDED = 255


def raster_lines(
    paths: Sequence[Line],
    labels: Sequence[int],
    size: tuple[int, int],
    *,
    width: float = 3.0,
    contested: Contested = "later",
) -> NDArray[np.uint8]:
    """Return the label map of open lines: pixels whose centre is at most ``width / 2`` from a line, and its corners.

    The distance is exact, so a line and its reverse mark the same pixels, and any width gives an 8-connected line; a
    line of one position is a dot.

    Args:
        paths: Lines of at least one (row, column) position; pixel (r, c) covers [r, r + 1) x [c, c + 1). Positions
            outside the image are moved to the centre of the nearest pixel, which keeps a line in one piece.
        labels: One in [0, 254] for each line.
        size: (rows, columns) of the image.
        width: Of the lines in pixels, > 0.
        contested: What a pixel on lines of several labels is: the last line's, or undecided.

    Returns:
        ``(H, W)`` uint8; 255 off the lines.

    Raises:
        ShapeError: If a line is empty or not finite, or a label, the width or the size is out of range.
    """
    _check(len(paths), labels, size)
    if not 0 < width < math.inf:
        raise ShapeError(f"width: expected a finite width above 0, got {width}")
    drawn = np.full(size, UNDECIDED, np.uint8)
    clash = np.zeros(size, np.bool_)
    for path, label in zip(paths, labels, strict=True):
        on_line = _line_mask(_clamped(path, size), size, width / 2)
        clash |= on_line & (drawn != UNDECIDED) & (drawn != label)
        drawn[on_line] = label
    if contested == "undecided":
        drawn[clash] = UNDECIDED
    return drawn


def raster_points(points: Line, labels: Sequence[int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the label map of points, each one pixel; later ones lie on top, those outside the image are left out.

    Args:
        points: (row, column) positions; pixel (r, c) covers [r, r + 1) x [c, c + 1).
        labels: One in [0, 254] for each point.
        size: (rows, columns) of the image.

    Returns:
        ``(H, W)`` uint8; 255 elsewhere.

    Raises:
        ShapeError: If a position is not finite, or a label or the size is out of range.
    """
    _check(len(points), labels, size)
    drawn = np.full(size, UNDECIDED, np.uint8)
    for (row, column), label in zip(_positions(points), labels, strict=True):
        if 0 <= row < size[0] and 0 <= column < size[1]:
            drawn[int(row), int(column)] = label
    return drawn


def _check(count: int, labels: Sequence[int], size: tuple[int, int]) -> None:
    """Refuse labels that are none, another number of them, and sizes without a pixel."""
    if len(labels) != count or not all(0 <= label < UNDECIDED for label in labels):
        raise ShapeError(f"labels: expected one in 0..254 for each of {count} shapes, got {list(labels)[:8]}")
    if min(size) < 1:
        raise ShapeError(f"size: expected at least (1, 1), got {size}")


def _positions(path: Line) -> NDArray[np.float64]:
    """Return ``(P, 2)`` positions, finite."""
    positions = np.asarray(path, np.float64).reshape(-1, 2)
    if not np.isfinite(positions).all():
        raise ShapeError(f"positions: expected finite (row, column) pairs, got {list(path)[:4]}")
    return positions


def _clamped(path: Line, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return ``(P, 2)`` positions; those outside move to the centre of the nearest pixel."""
    positions = _positions(path)
    if not len(positions):
        raise ShapeError("paths: a line needs at least one position")
    last = np.array(size) - 0.5
    outside = (positions < 0) | (positions >= size)
    return np.where(outside, positions.clip(0.5, last), positions)


def _line_mask(path: NDArray[np.float64], size: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """Return the pixels that hold a position of the line, or whose centre is within ``radius`` of it."""
    mask = brush_mask([(row, column) for row, column in path], size, radius)
    rows, columns = path.astype(np.int64).T
    mask[rows, columns] = True
    return mask


def brush_mask(path: Line, size: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """Return the pixels whose centre is within ``radius`` of an open line, which may leave the image.

    Args:
        path: At least one (row, column) position; pixel (r, c) covers [r, r + 1) x [c, c + 1).
        size: (rows, columns) of the image.
        radius: In pixels, > 0.

    Raises:
        ShapeError: If a position is not finite.
    """
    mask, line = np.zeros(size, np.bool_), _positions(path)
    for start, end in pairwise(line if len(line) > 1 else [line[0], line[0]]):
        low = np.maximum(np.floor(np.minimum(start, end) - radius - 0.5), 0).astype(np.int64)
        high = np.clip(np.ceil(np.maximum(start, end) + radius + 0.5), 0, size).astype(np.int64)
        near = (slice(low[0], high[0]), slice(low[1], high[1]))
        row, column = np.arange(low[0], high[0])[:, None] + 0.5, np.arange(low[1], high[1])[None] + 0.5
        if row.size and column.size:
            mask[near] |= _squared_distance(row, column, start, end) <= radius**2 * (1 + 1e-9)
    return mask


def _squared_distance(
    row: NDArray[np.float64], column: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``(h, w)`` squared distances of ``(h, 1)`` rows and ``(1, w)`` columns from the segment start..end."""
    step = end - start
    down, right = row - start[0], column - start[1]
    along = ((down * step[0] + right * step[1]) / max(float(step @ step), 1e-12)).clip(0, 1)
    squared: NDArray[np.float64] = (down - along * step[0]) ** 2 + (right - along * step[1]) ** 2
    return squared
