"""Shapes as the drawing programs write them: what cannot be used is named and left out, the rest goes on."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import Dropped, Position, Shape
from weakseg.data.regions import count_pixels, runs_of_brush, runs_of_mask, runs_of_polygons
from weakseg.errors import DataError, WeaksegError
from weakseg.ops.runs import Size

_Entry = TypeVar("_Entry")
MAX_SHAPES = 20_000
_ELLIPSE_CORNERS = 360  # the polygon stays within 4e-5 of the radius


class Unusable(WeaksegError):
    """One entry of a sound file cannot be used; the text is the reason, without file and entry.

    Args:
        reason: The text.
        certain: Whether the entry says all the same that its class is in the photograph.
    """

    def __init__(self, reason: str, *, certain: bool = True) -> None:
        super().__init__(reason)
        self.certain = certain


def usable_shapes(
    entries: Iterable[tuple[str, _Entry]],
    read: Callable[[_Entry, str], Sequence[Shape]],
    labels_of: Callable[[_Entry], frozenset[str] | None],
    dropped: dict[str, Dropped],
) -> list[Shape]:
    """Return the shapes of all entries in order; one that is malformed or unusable is left out with its classes.

    So are those behind the first ``MAX_SHAPES`` of one photograph.

    Args:
        entries: (file and entry, entry) each.
        read: Turns an entry and its place into shapes, or raises ``Unusable`` or ``DataError``.
        labels_of: Names of the classes of an entry that is left out, as ``Dropped.labels``.
        dropped: Receives each entry that is left out.
    """
    shapes: list[Shape] = []
    for where, entry in entries:
        try:
            if len(shapes) >= MAX_SHAPES:
                raise Unusable(f"the photograph has more than the limit of {MAX_SHAPES:,} shapes")
            shapes += read(entry, where)
        except (Unusable, DataError) as error:
            dropped[where] = left_out(error, where, labels_of(entry))
    return shapes


def left_out(error: WeaksegError, where: str, labels: frozenset[str] | None) -> Dropped:
    """Return what an error says of an entry that is left out because of it; its place is not said twice."""
    certain = error.certain if isinstance(error, Unusable) else True
    return Dropped(str(error).removeprefix(f"{where}: "), labels, certain)


def text_label(value: object) -> frozenset[str] | None:
    """Return the class name that a value is, as a set of one, or ``None`` where it is no text."""
    return frozenset({value.strip()}) if isinstance(value, str) and value.strip() else None


def box_around(label: str, corners: Sequence[Position], where: str) -> Shape:
    """Return the upright box around all corners, in any order.

    Raises:
        Unusable: If a corner is not finite, or the box has no area.
    """
    _check_positions(corners, 2, "box")
    (top, bottom), (left, right) = ((min(axis), max(axis)) for axis in zip(*corners, strict=True))
    if not (top < bottom and left < right):
        raise Unusable(f"a box of {bottom - top:g} x {right - left:g} pixels has no area")
    return Shape("box", label, ((top, left), (bottom, right)), where)


def points_at(label: str, positions: Sequence[Position], where: str) -> list[Shape]:
    """Return one point for each position.

    Raises:
        Unusable: If there is no position, or one is not finite.
    """
    _check_positions(positions, 1, "point")
    return [Shape("point", label, (position,), where) for position in positions]


def scribble_along(label: str, path: Sequence[Position], where: str) -> Shape:
    """Return the open line through the positions.

    Raises:
        Unusable: If there are fewer than two, or one is not finite.
    """
    _check_positions(path, 2, "line")
    return Shape("scribble", label, tuple(path), where)


def region_inside(label: str, outline: Sequence[Position], size: Size, where: str, *, ignored: bool = False) -> Shape:
    """Return the pixels inside a closed outline, cut at the borders of the image.

    Raises:
        Unusable: If there are fewer than three positions, one is not finite or farther outside than the image is
            long, or no pixel of the image lies inside.
        DataError: If the size is absurd.
    """
    _check_positions(outline, 3, "region")
    reach = max(size)
    if not all(-reach <= value <= 2 * reach for position in outline for value in position):
        raise Unusable(
            f"the outline reaches farther outside the image of {size[0]} x {size[1]} pixels than that is long"
        )
    return _region(label, _inside(tuple(outline), size, where), size, where, ignored)


@lru_cache(maxsize=4096)
def _inside(outline: tuple[Position, ...], size: Size, where: str) -> bytes:
    return runs_of_polygons([outline], size, where)


def painted_along(
    label: str, path: Sequence[Position], radius: float, size: Size, where: str, *, ignored: bool = False
) -> Shape:
    """Return the pixels that a round brush of ``radius`` pixels covers along a path, cut at the borders of the image.

    Raises:
        Unusable: If there is no position, one is not finite or farther outside than the image is long, the radius is
            not above 0 or more than that, or no pixel of the image is covered.
        DataError: If the size is absurd.
    """
    _check_positions(path, 1, "brush stroke")
    reach = max(size)
    if not (0 < radius <= reach and all(-reach <= value <= 2 * reach for position in path for value in position)):
        raise Unusable(
            f"a brush of radius {radius:g}, or its path, reaches farther outside the image of {size[0]} x {size[1]} "
            "pixels than that is long"
        )
    return _region(label, runs_of_brush(tuple(path), radius, size, where), size, where, ignored)


def region_of(label: str, mask: NDArray[np.bool_], where: str, *, ignored: bool = False) -> Shape:
    """Return the painted pixels of an ``(H, W)`` mask as a region.

    Raises:
        Unusable: If it has none.
    """
    rows, columns = mask.shape
    return _region(label, runs_of_mask(mask), (rows, columns), where, ignored)


def ellipse_outline(centre: Position, radii: Position, degrees: float = 0.0) -> list[Position]:
    """Return the closed outline of an ellipse.

    Args:
        centre: (row, column).
        radii: Along the rows, that is up and down, and along the columns, before it is turned.
        degrees: By which it is turned about its centre, clockwise as seen on the screen.

    Raises:
        Unusable: If a number is not finite, or a radius not above 0.
    """
    _check_positions((centre, radii), 2, "ellipse")
    if min(radii) <= 0:
        raise Unusable(f"radii of {radii[1]:g} x {radii[0]:g} pixels make no ellipse: both must be above 0")
    angles = (2 * math.pi * step / _ELLIPSE_CORNERS for step in range(_ELLIPSE_CORNERS))
    corners = [(centre[0] + radii[0] * math.sin(a), centre[1] + radii[1] * math.cos(a)) for a in angles]
    return turned(corners, centre, degrees)


def turned(positions: Sequence[Position], about: Position, degrees: float) -> list[Position]:
    """Return positions turned clockwise, as seen on the screen; as they are where the angle is 0.

    Raises:
        Unusable: If the angle is not finite.
    """
    if not math.isfinite(degrees):
        raise Unusable(f"its rotation is {degrees}")
    if degrees == 0:
        return list(positions)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    offsets = [(row - about[0], column - about[1]) for row, column in positions]
    return [
        (about[0] + column * sine + row * cosine, about[1] + column * cosine - row * sine) for row, column in offsets
    ]


def _check_positions(positions: Sequence[Position], least: int, what: str) -> None:
    if len(positions) < least:
        raise Unusable(f"a {what} needs at least {least} positions, got {len(positions)}")
    for row, column in positions:
        if not (math.isfinite(row) and math.isfinite(column)):
            raise Unusable(f"coordinate x {column}, y {row} is not finite")


def _region(label: str, runs: bytes, size: Size, where: str, ignored: bool) -> Shape:
    if not count_pixels(runs, size):
        raise Unusable(f"it covers no pixel of the image of {size[0]} x {size[1]} pixels")
    return Shape("region", label, (), where, size=size, runs=runs, ignored=ignored)
