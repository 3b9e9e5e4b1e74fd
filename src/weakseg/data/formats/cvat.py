"""CVAT: one XML file "for images 1.1" with boxes, polygons, ellipses, polylines, points, masks and tags."""

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException, ElementTree
from numpy.typing import NDArray

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Position, Shape
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
    usable_shapes,
)
from weakseg.data.regions import check_size, place_crop
from weakseg.errors import DataError
from weakseg.ops.runs import Size


def read_table(path: Path) -> AnnotationTable:
    """Return what a CVAT file says; photographs are not opened.

    Polygons, ellipses and masks become regions, polylines scribbles, each of several points a point of its own, tags
    tags. A box that is rotated about its centre becomes the upright box around it. Shapes stand in the order of
    ``z_order``, those above later, and in the order of the file where it is equal.

    Args:
        path: The ``annotations.xml`` of an export "CVAT for images 1.1".

    Raises:
        DataError: If it cannot be read, is of another kind, or an entry is malformed.
    """
    root = _root(path)
    names = [(node.text or "").strip() for node in root.iterfind("meta//labels/label/name")]
    images = tuple(_image(node, f"{path}: image[{number}]") for number, node in enumerate(root.iterfind("image")))
    return AnnotationTable(path, images, tuple(dict.fromkeys(name for name in names if name)))


def _root(path: Path) -> Element:
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise DataError(f"{path}: CVAT file cannot be read ({error}); repair it, or export it again") from error
    if root is None or root.tag != "annotations" or root.find("track") is not None:
        kind = "tracks of a video" if root is not None and root.tag == "annotations" else "no <annotations>"
        raise DataError(f"{path}: holds {kind}; export it from CVAT as 'CVAT for images 1.1'")
    return root


def _image(node: Element, where: str) -> AnnotatedImage:
    """Return one photograph with its shapes, the lowest first."""
    dropped: dict[str, Dropped] = {}
    size = check_size((_integer(node, "height", where), _integer(node, "width", where)), where)
    entries = [(f"{where}: {child.tag}[{number}]", child) for number, child in enumerate(node)]
    tags = frozenset(_attribute(child, "label", place) for place, child in entries if child.tag == "tag")
    drawn = [(place, child) for place, child in entries if child.tag != "tag"]
    drawn.sort(key=lambda entry: _integer(entry[1], "z_order", entry[0], default="0"))
    shapes = usable_shapes(drawn, lambda child, place: _shapes(child, size, place), _labels_of, dropped)
    return AnnotatedImage(_attribute(node, "name", where), tuple(shapes), where, tags, size, dropped=dropped)


def _labels_of(node: Element) -> frozenset[str] | None:
    return text_label(node.get("label"))


def _shapes(node: Element, size: Size, where: str) -> Sequence[Shape]:
    if node.tag not in ("box", "polygon", "ellipse", "polyline", "points", "mask"):
        raise Unusable(f"shapes of type {node.tag!r} are not known")
    label = _attribute(node, "label", where)
    if node.tag == "box":
        return [box_around(label, _corners(node, where), where)]
    if node.tag == "mask":
        return [region_of(label, _mask(node, size, where), where)]
    if node.tag == "ellipse":
        return [region_inside(label, _ellipse(node, where), size, where)]
    positions = _positions(node, where)
    if node.tag == "polygon":
        return [region_inside(label, positions, size, where)]
    return points_at(label, positions, where) if node.tag == "points" else [scribble_along(label, positions, where)]


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
    left, top, columns, rows = (_integer(node, name, where) for name in ("left", "top", "width", "height"))
    check_size((rows, columns), where)
    try:
        counts = [int(count) for count in _attribute(node, "rle", where).split(",")]
    except ValueError as error:
        raise DataError(f"{where}: 'rle' must be run lengths with commas between them ({error}); correct it") from error
    if min(counts) < 0 or sum(counts) != rows * columns:
        raise DataError(
            f"{where}: 'rle' covers {sum(counts)} pixels, but its rectangle has {rows} x {columns}; correct it"
        )
    crop = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(rows, columns)
    return place_crop(crop, (top, left), size)


def _positions(node: Element, where: str) -> list[Position]:
    """Return ``points="x,y;x,y"`` as (row, column) positions."""
    text, found = _attribute(node, "points", where), []
    for pair in text.split(";"):
        try:
            column, row = (float(value) for value in pair.split(","))
        except ValueError as error:
            raise DataError(f"{where}: 'points' must be x,y;x,y;..., got {pair!r:.60}; correct it") from error
        found.append((row, column))
    return found


def _attribute(node: Element, name: str, where: str, *, default: str = "") -> str:
    value = node.get(name, default)
    if not value.strip():
        raise DataError(f"{where}: attribute {name!r} is missing or empty; add it, or export the file again")
    return value


def _number(node: Element, name: str, where: str, *, default: str = "") -> float:
    text = _attribute(node, name, where, default=default)
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{where}: attribute {name!r} must be a number, got {text!r:.60}; correct it") from error


def _integer(node: Element, name: str, where: str, *, default: str = "") -> int:
    """Return a whole number, which some versions write as ``12.0``."""
    value = _number(node, name, where, default=default)
    if not math.isfinite(value) or not value.is_integer():
        raise DataError(f"{where}: attribute {name!r} must be a whole number, got {value:g}; correct it")
    return int(value)
