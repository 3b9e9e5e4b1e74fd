"""Shapes of CVAT's XML files."""

import math
from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import Position, Shape
from weakseg.data.formats.shapes import (
    Unusable,
    box_around,
    ellipse_outline,
    points_at,
    region_inside,
    region_of,
    scribble_along,
    text_label,
    turned,
)
from weakseg.data.regions import check_size, place_crop
from weakseg.data.values import shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size

LEFT_OUT, UNDECIDED_NAME = "left_out", "undecided"
_KINDS = ("box", "polygon", "ellipse", "polyline", "points", "mask", "skeleton")
_REGIONS = ("polygon", "ellipse", "mask")


def labels_of(node: Element) -> frozenset[str] | None:
    """Return the class of a shape that is left out, of undecided pixels none; ``None`` where it has none."""
    return frozenset() if is_undecided(node) else text_label(node.get("label"))


def is_undecided(node: Element) -> bool:
    """Return whether a shape says nothing of its pixels, as ``weakseg export`` writes those that are undecided."""
    return (node.get("label") or "").strip() == UNDECIDED_NAME


def order_of(node: Element) -> float:
    """Return ``z_order``; 0 where it is missing or malformed, which ``shapes_of`` says."""
    try:
        return float(integer(node, "z_order", "", default="0"))
    except (DataError, OverflowError):
        return 0.0


def shapes_of(node: Element, size: Size, where: str, check_claim: Callable[[], None]) -> Sequence[Shape]:
    """Return the shapes of one element.

    Args:
        node: The element.
        size: (rows, columns) that the file states of its photograph.
        where: File and entry, for errors.
        check_claim: Raises ``DataError`` where that is not the photograph's size; called before anything is rastered.

    Raises:
        DataError: If it is malformed.
        Unusable: If it is of an unknown type, or nothing comes of it.
    """
    if node.tag == LEFT_OUT:
        raise Unusable(attribute(node, "reason", where))
    if node.tag not in _KINDS:
        raise Unusable(f"shapes of type {shown(node.tag)} are not known")
    label = attribute(node, "label", where).strip()
    integer(node, "z_order", where, default="0")
    if node.tag in _REGIONS:
        check_claim()
        return [_region(node, label, size, where)]
    if node.tag == "box":
        return [box_around(label, _corners(node, where), where)]
    if node.tag == "skeleton":
        return _skeleton(node, label, where)
    positions = _positions(node, where)
    return points_at(label, positions, where) if node.tag == "points" else [scribble_along(label, positions, where)]


def _region(node: Element, label: str, size: Size, where: str) -> Shape:
    ignored = is_undecided(node)
    if node.tag == "mask":
        return region_of(label, _mask(node, size, where), where, ignored=ignored)
    outline = _ellipse(node, where) if node.tag == "ellipse" else _positions(node, where)
    return region_inside(label, outline, size, where, ignored=ignored)


def _skeleton(node: Element, label: str, where: str) -> list[Shape]:
    """Return the visible points of a skeleton as points of its class."""
    visible = [child for child in node.iterfind("points") if child.get("outside") != "1"]
    if not visible:
        raise Unusable("none of its points is visible", certain=False)
    return points_at(label, [at for child in visible for at in _positions(child, where)], where)


def _corners(node: Element, where: str) -> list[Position]:
    """Return the four corners of a box, turned about its centre."""
    left, top, right, bottom = (_number(node, name, where) for name in ("xtl", "ytl", "xbr", "ybr"))
    corners = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return turned(corners, ((top + bottom) / 2, (left + right) / 2), _number(node, "rotation", where, default="0"))


def _ellipse(node: Element, where: str) -> list[Position]:
    """Return the outline of an ellipse, turned about its centre."""
    column, row, across, down = (_number(node, name, where) for name in ("cx", "cy", "rx", "ry"))
    return ellipse_outline((row, column), (down, across), _number(node, "rotation", where, default="0"))


def _mask(node: Element, size: Size, where: str) -> NDArray[np.bool_]:
    """Return the pixels of a mask: runs along the rows of its own rectangle, the first of zeros."""
    left, top, columns, rows = (integer(node, name, where) for name in ("left", "top", "width", "height"))
    check_size((rows, columns), where)
    if rows > 2 * size[0] or columns > 2 * size[1]:
        raise DataError(
            f"{where}: its rectangle of {rows} x {columns} pixels is far larger than the photograph of {size[0]} x "
            f"{size[1]} (rows x columns); correct it"
        )
    try:
        counts = [int(count) for count in attribute(node, "rle", where).split(",")]
    except ValueError as error:
        raise DataError(f"{where}: 'rle' must be run lengths with commas between them ({error}); correct it") from error
    if min(counts) < 0 or sum(counts) != rows * columns:
        raise DataError(
            f"{where}: 'rle' covers {shown(sum(counts))} pixels, but its rectangle has {rows} x {columns}; correct it"
        )
    crop = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(rows, columns)
    return place_crop(crop, (top, left), size)


def _positions(node: Element, where: str) -> list[Position]:
    """Return ``points="x,y;x,y"`` as (row, column) positions."""
    text, found = attribute(node, "points", where), []
    for pair in text.split(";"):
        try:
            column, row = (float(value) for value in pair.split(","))
        except ValueError as error:
            raise DataError(f"{where}: 'points' must be x,y;x,y;..., got {shown(pair)}; correct it") from error
        found.append((row, column))
    return found


def attribute(node: Element, name: str, where: str, *, default: str = "") -> str:
    """Return an attribute that is not blank.

    Raises:
        DataError: If it is missing or blank, and there is no default.
    """
    value = node.get(name, default)
    if not value.strip():
        raise DataError(f"{where}: attribute {name!r} is missing or empty; add it, or export the file again")
    return value


def _number(node: Element, name: str, where: str, *, default: str = "") -> float:
    text = attribute(node, name, where, default=default)
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{where}: attribute {name!r} must be a number, got {shown(text)}; correct it") from error


def integer(node: Element, name: str, where: str, *, default: str = "") -> int:
    """Return a whole number, which some versions write as ``12.0``.

    Raises:
        DataError: If it is missing, or no whole number.
    """
    value = _number(node, name, where, default=default)
    if not math.isfinite(value) or not value.is_integer():
        raise DataError(f"{where}: attribute {name!r} must be a whole number, got {value:g}; correct it")
    return int(value)
