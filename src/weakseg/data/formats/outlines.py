"""Masks as rings that know no holes: a hole is joined to what is around it by a bridge of no width."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]
_Point = tuple[int, int]


@dataclass
class _Outline:
    """One closed outline on a twofold enlargement, and what hangs on its points by bridges.

    Attributes:
        points: Column and row of each.
        holes: Outlines by the number of the point that their bridge starts from; each starts where its bridge ends.
    """

    points: list[_Point]
    holes: dict[int, list["_Outline"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One part of a mask, whose pixels touch by sides or corners.

    Attributes:
        ring: ``(N, 2)`` of x and y, a quarter of a pixel inside the edges of its pixels. COCO's raster makes exactly
            the pixels of the part of it; so does cv2's of the pixels that its corners lie in.
        holes: How many holes are joined to it.
    """

    ring: Ring
    holes: int


def parts_of(mask: NDArray[np.bool_]) -> list[Part]:
    """Return the parts of an ``(H, W)`` mask.

    A bridge runs to the left from the leftmost pixel of a hole, over pixels of the part, to the outer outline or to a
    hole that begins farther left; it is run along twice, so that it has no area.
    """
    pixels = np.pad(mask.astype(np.uint8).repeat(2, 0).repeat(2, 1), 1)
    found, tree = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parents = tree[0, :, 3].tolist() if tree is not None else []
    outlines = [_Outline([*map(tuple, points[:, 0].tolist())]) for points in found]
    holes: dict[int, list[_Outline]] = {number: [] for number, parent in enumerate(parents) if parent < 0}
    for outline, parent in zip(outlines, parents, strict=True):
        if parent >= 0:
            holes[parent].append(outline)
    return [_part(outlines[number], inner, pixels) for number, inner in holes.items()]


def _part(outer: _Outline, holes: list[_Outline], pixels: NDArray[np.uint8]) -> Part:
    """Return the part with this outer outline; each hole hangs on one that begins farther left."""
    known = {point: (outer, number) for number, point in enumerate(outer.points)} if holes else {}
    for hole in sorted(holes, key=lambda one: min(one.points)):
        start = hole.points.index(min(hole.points))
        hole.points = hole.points[start:] + hole.points[:start]
        column, row = hole.points[0]
        left = int(np.flatnonzero(pixels[row, :column] == 0)[-1]) + 1
        place, number = known[left, row]
        place.holes.setdefault(number, []).append(hole)
        for at, point in enumerate(hole.points):
            known.setdefault(point, (hole, at))
    joined = list(_walk(outer)) if holes else outer.points
    return Part((_corners(np.array(joined, np.int64)) - 0.5) / 2, len(holes))


def _walk(outer: _Outline) -> Iterator[_Point]:
    """Yield the points of an outline and of all that hangs on it, which is left where it was entered."""
    waiting = [_steps(outer, closed=False)]
    while waiting:
        step = next(waiting[-1], None)
        if step is None:
            waiting.pop()
        elif isinstance(step, _Outline):
            waiting.append(_steps(step, closed=True))
        else:
            yield step


def _steps(outline: _Outline, *, closed: bool) -> Iterator["_Point | _Outline"]:
    """Yield the points of one outline, each again after what hangs on it, and the first once more where it is closed.

    What hangs comes as it is, for the caller to walk.
    """
    for number, point in enumerate(outline.points):
        yield point
        for hole in outline.holes.get(number, ()):
            yield hole
            yield point
    if closed:
        yield outline.points[0]


def _corners(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the points of a closed ring at which it turns, or turns back."""
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    straight = (before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]) & ((before * after).sum(1) > 0)
    kept: NDArray[np.int64] = points[~straight]
    return kept
