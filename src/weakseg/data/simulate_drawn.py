"""Boxes, points and scribbles as a person might draw them, made from the true pixels of objects."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra
from skimage.morphology import skeletonize

from weakseg.checks import check_rank, check_same_size
from weakseg.data.annotations import Box, Point, Position, Scribble
from weakseg.errors import ShapeError

UNDECIDED = 255
TOP_PART = 0.8  # of the greatest distance from the border: where people click
BACKGROUND_SHARE = 0.05  # of the background's pixels: smaller parts get no stroke
EIGHT = np.ones((3, 3), np.bool_)

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TrueObject:
    """The true pixels of one object.

    Attributes:
        class_id: Its class; 0 for a part of the background.
        mask: ``(H, W)`` bool, at least one pixel.
    """

    class_id: int
    mask: Mask


def true_objects(
    truth: NDArray[np.uint8], numbers: NDArray[np.int32] | None = None, *, min_pixels: int = 100
) -> tuple[TrueObject, ...]:
    """Return the objects of a photograph, by class and then by number or from the top left.

    Pixels of a class without a number count as objects where they are connected (8 neighbours), so that without numbers
    two objects that touch are one.

    Args:
        truth: ``(H, W)`` in {0..K, 255}.
        numbers: ``(H, W)``, a positive number for each object, 0 where there is none.
        min_pixels: Classes and objects of fewer pixels are left out, but never all objects of a class that has enough.

    Raises:
        ShapeError: If the sizes differ.
    """
    check_rank("truth", truth, 2, "(H, W)")
    check_same_size("numbers", truth.shape if numbers is None else numbers.shape, "truth", truth.shape)
    present = [int(c) for c, n in zip(*np.unique(truth, return_counts=True), strict=True) if n >= min_pixels]
    found = []
    for class_id in (c for c in present if c not in (0, UNDECIDED)):
        found += [TrueObject(class_id, part) for part in _large_parts(truth == class_id, min_pixels, numbers)]
    return tuple(found)


def background_parts(truth: NDArray[np.uint8]) -> tuple[TrueObject, ...]:
    """Return the connected parts of the background that hold at least a twentieth of it, or the largest."""
    mask = truth == 0
    return tuple(TrueObject(0, part) for part in _large_parts(mask, BACKGROUND_SHARE * float(mask.sum())))


def tight_box(item: TrueObject) -> Box:
    """Return the smallest box around an object's visible pixels."""
    rows, columns = (np.flatnonzero(item.mask.any(axis)) for axis in (1, 0))
    return Box(item.class_id, float(rows[0]), float(columns[0]), float(rows[-1] + 1), float(columns[-1] + 1))


def inner_point(item: TrueObject, generator: np.random.Generator) -> Point:
    """Return a click well inside an object: a pixel at least 0.8 times as far from the border as the farthest is.

    The frame of the photograph counts as border.
    """
    depth = ndimage.distance_transform_edt(np.pad(item.mask, 1))[1:-1, 1:-1]
    candidates = np.argwhere(depth >= TOP_PART * depth.max())
    row, column = candidates[generator.integers(len(candidates))].tolist()
    return Point(item.class_id, row + 0.5, column + 0.5)


def inner_stroke(item: TrueObject, generator: np.random.Generator, *, coverage: float = 1.0) -> Scribble:
    """Return a stroke along the longest way through the skeleton of an object's largest connected part.

    Args:
        item: The object.
        generator: Decides which part of the way is drawn.
        coverage: Length of that part, a fraction in (0, 1] of the way's.

    Returns:
        Centres of pixels inside the object; between two of them the line passes through pixels of the skeleton alone.

    Raises:
        ShapeError: If ``coverage`` is out of range.
    """
    if not 0 < coverage <= 1:
        raise ShapeError(f"coverage: expected a fraction in (0, 1], got {coverage}")
    way = _longest_way(_skeleton(_large_parts(item.mask, math.inf)[0]))
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    start = generator.random() * (1 - coverage) * lengths[-1]
    first = int(np.searchsorted(lengths, start))
    last = int(np.searchsorted(lengths, start + coverage * lengths[-1], side="right"))
    return Scribble(item.class_id, _corners(way[first : max(last, first + 1)]))


def _large_parts(mask: Mask, least: float, numbers: NDArray[np.int32] | None = None) -> list[Mask]:
    """Return the numbered, else connected, parts of a mask that have at least ``least`` pixels, or the largest."""
    parts, _ = ndimage.label(mask if numbers is None else mask & (numbers <= 0), EIGHT)
    if numbers is not None:
        parts = np.where(mask, np.where(numbers > 0, numbers, parts + numbers.max()), 0)
    found, areas = np.unique(parts[mask], return_counts=True)
    return [parts == part for part in found[areas >= min(least, areas.max(initial=0))]]


def _skeleton(mask: Mask) -> NDArray[np.int64]:
    """Return ``(P, 2)`` pixels of a connected part's skeleton, at least one."""
    pixels = np.argwhere(skeletonize(mask))  # type: ignore[no-untyped-call]
    return pixels if len(pixels) else np.argwhere(mask)[:1]


def _longest_way(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``(P, 2)`` pixels on the way between two ends of a skeleton that are far apart.

    The ends are found by going to the farthest pixel twice, which is the longest way where the skeleton has no loop.
    """
    graph = _pixel_graph(pixels)
    one = _farthest(dijkstra(graph, indices=0))
    distance, before = dijkstra(graph, indices=one, return_predecessors=True)
    way = [_farthest(distance)]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return pixels[way]


def _pixel_graph(pixels: NDArray[np.int64]) -> csr_array:
    """Return the ``(P, P)`` distances between pixels and their 8 neighbours."""
    index = np.full(pixels.max(0) + 3, -1)
    index[tuple(pixels.T + 1)] = np.arange(len(pixels))
    edges = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = index[pixels[:, 0] + 1 + down, pixels[:, 1] + 1 + right]
        there = np.flatnonzero(other >= 0)
        edges.append((there, other[there], np.full(len(there), math.hypot(down, right))))
    sources, targets, lengths = (np.concatenate(part) for part in zip(*edges, strict=True))
    shape = (len(pixels), len(pixels))
    half = coo_array((lengths, (sources, targets)), shape=shape)
    return (half + half.T).tocsr()


def _farthest(distance: NDArray[np.float64]) -> int:
    return int(np.argmax(np.where(np.isfinite(distance), distance, -1.0)))


def _corners(way: NDArray[np.int64]) -> tuple[Position, ...]:
    """Return the centres of the pixels of a way, without those between two steps in one direction."""
    steps = np.diff(way, axis=0)
    straight = np.zeros(len(way), np.bool_)
    straight[1:-1] = (steps[1:] == steps[:-1]).all(1)
    return tuple((row + 0.5, column + 0.5) for row, column in way[~straight].tolist())
