"""LabelMe: one JSON file beside each photograph, with polygons, rectangles, circles, lines, points and masks."""

import base64
import dataclasses
import io
import math
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Position, Shape
from weakseg.data.formats.records import list_in, positions_in, size_in, text_in
from weakseg.data.formats.shapes import (
    Unusable,
    box_around,
    ellipse_outline,
    points_at,
    region_inside,
    region_of,
    scribble_along,
    usable_shapes,
)
from weakseg.data.paths import files_inside, parse_json, read_text
from weakseg.data.regions import place_crop, unite_runs
from weakseg.data.values import as_record, shown
from weakseg.errors import DataError, cut
from weakseg.image_file import opened_image
from weakseg.ops.runs import Size

IGNORED_LABEL = "__ignore__"


def read_table(path: Path) -> AnnotationTable:
    """Return what LabelMe files say; photographs are not opened.

    Polygons, oriented rectangles, circles and masks become regions, in the order of the file; regions of one label
    and one ``group_id`` are one object, at the place of its first part. Rectangles become boxes, lines scribbles,
    points points. What is labelled ``__ignore__`` is a region to be ignored, a rectangle included. Image-level flags
    that are true are tags.

    Args:
        path: One JSON file, or a folder with such files at any depth, hidden ones left out. Names of photographs,
            which start from their file, are made relative to the folder, that of the file where one file is given.

    Raises:
        DataError: If there is no file, or one is malformed.
    """
    folder = path.resolve() if path.is_dir() else path.parent
    files = files_inside(path.resolve(), {".json"}, "JSON files", deep=True) if path.is_dir() else [path]
    dropped: dict[str, str] = {}
    images = tuple(_image(file, folder, dropped) for file in files)
    return AnnotationTable(path, images, dropped=dropped)


def _image(path: Path, folder: Path, dropped: dict[str, str]) -> AnnotatedImage:
    where = str(path)
    document = as_record(parse_json(path, read_text(path, "LabelMe file")), "the content of a LabelMe file", where)
    size = size_in(document, ("imageHeight", "imageWidth"), where)
    records = {
        f"{where}: shapes[{number}]": as_record(entry, "a shape", f"{where}: shapes[{number}]")
        for number, entry in enumerate(list_in(document, "shapes", where))
    }
    shapes = usable_shapes(records.items(), lambda record, place: _shapes(record, size, place), dropped)
    return AnnotatedImage(
        name=_name(path, folder, text_in(document, "imagePath", where)),
        shapes=_united(shapes, records),
        where=where,
        tags=_tags(document.get("flags"), where),
        size=size,
    )


def _name(path: Path, folder: Path, image_path: str) -> str:
    """Return the path of the photograph relative to the folder, with ``/`` between folders; absolute ones stay."""
    if PureWindowsPath(image_path).is_absolute():
        return image_path
    return posixpath.normpath(posixpath.join(path.parent.relative_to(folder).as_posix(), image_path.replace("\\", "/")))


def _tags(flags: object, where: str) -> frozenset[str]:
    """Return the image-level flags that are set."""
    found = as_record(flags if flags is not None else {}, "'flags'", where)
    for name, value in found.items():
        if not isinstance(value, bool):
            raise DataError(f"{where}: flag {name!r} must be true or false, got {shown(value)}; correct it")
    return frozenset(name for name, value in found.items() if value)


def _shapes(record: dict[str, object], size: Size | None, where: str) -> Sequence[Shape]:
    """Return what one record stands for; a type that is missing means a polygon, as in old files."""
    label, positions = text_in(record, "label", where), positions_in(record, "points", where)
    kind = "polygon" if record.get("shape_type") is None else text_in(record, "shape_type", where)
    ignored = label == IGNORED_LABEL
    if kind == "rectangle" and not ignored:
        return [box_around(label, _exactly(positions, 2, kind), where)]
    if kind in ("polygon", "rectangle", "oriented_rectangle", "circle"):
        return [region_inside(label, _outline(kind, positions), _known(size, where), where, ignored=ignored)]
    if kind == "mask":
        return [region_of(label, _mask(record, positions, _known(size, where), where), where, ignored=ignored)]
    if ignored:
        raise Unusable(f"a shape of type {kind!r} cannot be ignored: it has no area")
    if kind in ("line", "linestrip"):
        return [scribble_along(label, positions, where)]
    if kind in ("point", "points"):
        return points_at(label, positions, where)
    raise Unusable(f"shapes of type {kind!r} are not known")


def _outline(kind: str, positions: list[Position]) -> list[Position]:
    """Return the closed outline of a shape with an area."""
    if kind == "rectangle":
        (top, left), (bottom, right) = _exactly(positions, 2, kind)
        return [(top, left), (top, right), (bottom, right), (bottom, left)]
    if kind == "circle":
        centre, rim = _exactly(positions, 2, kind)
        radius = math.hypot(rim[0] - centre[0], rim[1] - centre[1])
        return ellipse_outline(centre, (radius, radius))
    return _exactly(positions, 4, kind) if kind == "oriented_rectangle" else positions


def _mask(record: dict[str, object], positions: list[Position], size: Size, where: str) -> NDArray[np.bool_]:
    """Return the pixels of a mask: a PNG whose first pixel is at the rounded first corner.

    Corners that are integers are the first and the last pixel; others say nothing about the size.
    """
    corners = _exactly(positions, 2, "mask")
    (top, left), (bottom, right) = corners
    if not all(math.isfinite(value) for corner in corners for value in corner):
        raise Unusable(f"corners {positions} are not finite")
    crop = _decoded(text_in(record, "mask", where), where)
    said = (bottom - top + 1, right - left + 1)
    if all(value.is_integer() for corner in corners for value in corner) and said != crop.shape:
        raise Unusable(
            f"its image has {crop.shape[0]} x {crop.shape[1]} pixels, but its corners span {said[0]:g} x {said[1]:g}"
        )
    return place_crop(crop, (round(top), round(left)), size)


def _decoded(text: str, where: str) -> NDArray[np.bool_]:
    """Return the pixels of a base64 PNG that are not 0."""
    try:
        content = io.BytesIO(base64.b64decode(text, validate=True))
        with opened_image(content, "'mask'", formats=("PNG",)) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16"):
                raise DataError(f"its mode is {image.mode}, not one channel")
            return np.asarray(image).astype(np.bool_)
    except (DataError, ValueError) as error:
        raise DataError(f"{where}: 'mask' is no PNG in base64 ({cut(error)}); draw the mask again") from error


def _united(shapes: Sequence[Shape], records: Mapping[str, dict[str, object]]) -> tuple[Shape, ...]:
    """Return the shapes with regions of one label and group made one, at the place of the first."""
    parts: dict[object, list[Shape]] = {}
    for number, shape in enumerate(shapes):
        group = _group(records[shape.where], shape.where)
        alone = group is None or shape.kind != "region"
        parts.setdefault(number if alone else (shape.label, group), []).append(shape)
    return tuple(_one(same) for same in parts.values())


def _one(parts: Sequence[Shape]) -> Shape:
    """Return the first part with the pixels of all."""
    first = parts[0]
    if len(parts) == 1 or first.size is None:
        return first
    return dataclasses.replace(first, runs=unite_runs([part.runs for part in parts], first.size))


def _group(record: dict[str, object], where: str) -> int | str | None:
    group = record.get("group_id")
    if isinstance(group, bool) or not isinstance(group, int | str | None):
        raise DataError(f"{where}: 'group_id' must be an integer, text or null, got {shown(group)}; correct it")
    return group


def _known(size: Size | None, where: str) -> Size:
    if size is None:
        raise DataError(
            f"{where}: a region needs 'imageHeight' and 'imageWidth' of its file; open and save that with LabelMe"
        )
    return size


def _exactly(positions: list[Position], count: int, kind: str) -> list[Position]:
    if len(positions) != count:
        raise Unusable(f"a shape of type {kind!r} has {count} points, got {len(positions)}")
    return positions
