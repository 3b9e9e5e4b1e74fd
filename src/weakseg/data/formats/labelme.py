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

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Position, Shape
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.formats.records import list_in, positions_in, size_in, text_in
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.formats.shapes import (
    Unusable,
    box_around,
    ellipse_outline,
    points_at,
    region_inside,
    region_of,
    scribble_along,
    text_label,
    usable_shapes,
)
from weakseg.data.image import image_size
from weakseg.data.paths import inside, parse_json, read_text
from weakseg.data.regions import place_crop, unite_runs
from weakseg.data.values import as_record, shown
from weakseg.errors import DataError, cut, quoted
from weakseg.image_file import opened_image
from weakseg.ops.runs import Size

IGNORED_LABEL = "__ignore__"
_RECTANGLES = {"rectangle": (2, 4), "rotation": (4,), "oriented_rectangle": (4,)}  # and how many corners they have
_LINES = ("line", "linestrip", "point", "points")  # which have no area
_NO_SIZE = "a region needs 'imageHeight' and 'imageWidth' of its file; open and save that with LabelMe"


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return what LabelMe files say, and those of programs that write the same form, such as X-AnyLabeling.

    Polygons, circles and masks become regions, in the order of the file; regions of one label and one ``group_id`` are
    one object, at the place of its first part. Rectangles become boxes, rotated ones the upright box around them, lines
    scribbles, points points. What is labelled ``__ignore__`` is a region to be ignored, a rectangle included.
    Image-level flags that are true are tags. Where the file states no size, it is that of the photograph.

    Args:
        path: One JSON file, or a folder with such files at any depth, hidden ones left out. Names of photographs,
            which start from their file, are made relative to the folder, that of the file where one file is given; an
            absolute path, that of another computer, means the file of its name beside the JSON.
        around: Where photographs are; ``None``: they are not opened.

    Raises:
        DataError: If there is no file, or none can be used.
    """
    if not path.is_dir():
        return AnnotationTable(path, (_image(path, path.parent, around),))
    skipped: dict[str, str] = {}
    images = []
    for file in _files_in(path):
        try:
            inside(around.root if around else path.resolve(), file.name, str(file), folder=file.parent)
            images.append(_image(file, path, around))
        except DataError as error:
            skipped[str(file)] = str(error).removeprefix(f"{file}: ")
    return AnnotationTable(path, without_repeats(images), skipped=skipped)


def _files_in(folder: Path) -> list[Path]:
    files = [file for file in folder.rglob("*.json") if not _is_hidden(file.relative_to(folder))]
    if not files:
        raise DataError(f"{folder}: holds no JSON file; give the folder that LabelMe saved its files in")
    return sorted(files)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _image(path: Path, folder: Path, around: Surroundings | None) -> AnnotatedImage:
    where = str(path)
    document = as_record(parse_json(path, read_text(path, "LabelMe file")), "the content of a LabelMe file", where)
    name = _name(path, folder, text_in(document, "imagePath", where))
    stated = size_in(document, ("imageHeight", "imageWidth"), where)
    frame = _raster_size(name, stated, around, where)
    entries = [(f"{where}: shapes[{n}]", entry) for n, entry in enumerate(list_in(document, "shapes", where))]
    dropped: dict[str, Dropped] = {}
    shapes = usable_shapes(entries, lambda entry, place: _shapes(entry, frame, place), _labels_of, dropped)
    lost = [place for place, entry in entries if place in dropped and _is_ignored_region(entry)]
    dropped |= {place: dataclasses.replace(dropped[place], ignored=True) for place in lost}
    tags = _tags(document.get("flags"), where, dropped)
    size = stated or (frame if isinstance(frame, tuple) else None)
    return AnnotatedImage(name, _united(shapes, dict(entries)), where, tags, size, dropped=dropped)


def _name(path: Path, folder: Path, image_path: str) -> str:
    """Return the path of the photograph relative to the folder, with ``/`` between folders."""
    foreign = PureWindowsPath(image_path)  # which knows the absolute paths of both worlds
    below = foreign.name if foreign.drive or foreign.root else image_path.replace("\\", "/")
    if not below:
        raise DataError(f"{path}: 'imagePath' {shown(image_path)} names no file; correct it")
    return posixpath.normpath(posixpath.join(path.parent.relative_to(folder).as_posix(), below))


def _raster_size(name: str, stated: Size | None, around: Surroundings | None, where: str) -> Size | Unusable:
    """Return the size that regions are rastered to, or why they cannot be."""
    try:
        if stated is None:
            return image_size(around.find(name, where)) if around else Unusable(_NO_SIZE)
        if around:
            around.check_claim(name, stated, where)
        return stated
    except DataError as error:
        return Unusable(str(error).removeprefix(f"{where}: "))


def _labels_of(entry: object) -> frozenset[str] | None:
    """Return the class of a shape that is left out; one to be ignored has none."""
    labels = text_label(entry.get("label")) if isinstance(entry, dict) else None
    return frozenset() if labels == frozenset({IGNORED_LABEL}) else labels


def _is_ignored_region(entry: object) -> bool:
    """Return whether a record may be a region to be ignored, though it cannot be used."""
    return _labels_of(entry) == frozenset() and isinstance(entry, dict) and entry.get("shape_type") not in _LINES


def _tags(flags: object, where: str, dropped: dict[str, Dropped]) -> frozenset[str]:
    """Return the image-level flags that are set; those that are neither true nor false are left out."""
    if flags is not None and not isinstance(flags, dict):
        dropped[f"{where}: flags"] = Dropped(f"must be an object, got {shown(flags)}; correct it")
        return frozenset()
    found = {name: value for name, value in (flags or {}).items() if name.strip()}
    for name, value in found.items():
        if not isinstance(value, bool):
            reason = f"must be true or false, got {shown(value)}; correct it"
            dropped[f"{where}: flag {name!r}"] = Dropped(reason, frozenset({name}), certain=False)
    return frozenset(name for name, value in found.items() if value is True)


def _shapes(entry: object, size: Size | Unusable, where: str) -> Sequence[Shape]:
    """Return what one record stands for; a type that is missing means a polygon, as in old files."""
    record = as_record(entry, "a shape", where)
    label, positions = text_in(record, "label", where), positions_in(record, "points", where)
    kind = "polygon" if record.get("shape_type") is None else text_in(record, "shape_type", where)
    ignored = label == IGNORED_LABEL
    _group(record, where)
    if kind in _RECTANGLES and not ignored:
        return [box_around(label, _exactly(positions, _RECTANGLES[kind], kind), where)]
    if kind in ("polygon", "circle", *_RECTANGLES):
        return [region_inside(label, _outline(kind, positions), _known(size), where, ignored=ignored)]
    if kind == "mask":
        return [region_of(label, _mask(record, positions, _known(size), where), where, ignored=ignored)]
    if ignored:
        raise Unusable(f"a shape of type {quoted(kind)} cannot be ignored: it has no area")
    if kind in _LINES[:2]:
        return [scribble_along(label, positions, where)]
    if kind in _LINES[2:]:
        return points_at(label, positions, where)
    raise Unusable(f"shapes of type {quoted(kind)} are not known")


def _outline(kind: str, positions: list[Position]) -> list[Position]:
    """Return the closed outline of a shape with an area."""
    if kind == "circle":
        centre, rim = _exactly(positions, (2,), kind)
        radius = math.hypot(rim[0] - centre[0], rim[1] - centre[1])
        return ellipse_outline(centre, (radius, radius))
    if kind in _RECTANGLES and len(_exactly(positions, _RECTANGLES[kind], kind)) == 2:
        (top, left), (bottom, right) = positions
        return [(top, left), (top, right), (bottom, right), (bottom, left)]
    return positions


def _mask(record: dict[str, object], positions: list[Position], size: Size, where: str) -> NDArray[np.bool_]:
    """Return the pixels of a mask: a PNG whose first pixel is at the rounded first corner.

    Corners that are integers are the first and the last pixel; others say nothing about the size.
    """
    corners = _exactly(positions, (2,), "mask")
    (top, left), (bottom, right) = corners
    if not all(math.isfinite(value) for corner in corners for value in corner):
        raise Unusable(f"corners {positions} are not finite")
    crop = _decoded(text_in(record, "mask", where), size, where)
    said = (bottom - top + 1, right - left + 1)
    if all(value.is_integer() for corner in corners for value in corner) and said != crop.shape:
        raise Unusable(
            f"its image has {crop.shape[0]} x {crop.shape[1]} pixels, but its corners span {said[0]:g} x {said[1]:g}"
        )
    return place_crop(crop, (round(top), round(left)), size)


def _decoded(text: str, size: Size, where: str) -> NDArray[np.bool_]:
    """Return the pixels of a base64 PNG that are not 0; one of more than twice the photograph's size is not decoded."""
    try:
        content = io.BytesIO(base64.b64decode(text, validate=True))
        with opened_image(content, "'mask'", formats=("PNG",)) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16"):
                raise DataError(f"its mode is {image.mode}, not one channel")
            if image.height > 2 * size[0] or image.width > 2 * size[1]:
                raise DataError(f"{image.height} x {image.width} pixels, for a photograph of {size[0]} x {size[1]}")
            return np.asarray(image).astype(np.bool_)
    except (DataError, ValueError) as error:
        raise DataError(f"{where}: 'mask' is no PNG in base64 ({cut(error)}); draw the mask again") from error


def _united(shapes: Sequence[Shape], records: Mapping[str, object]) -> tuple[Shape, ...]:
    """Return the shapes with regions of one label and group made one, at the place of the first."""
    parts: dict[object, list[Shape]] = {}
    for number, shape in enumerate(shapes):
        record = records[shape.where]
        group = _group(record, shape.where) if isinstance(record, dict) else None
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


def _known(size: Size | Unusable) -> Size:
    if isinstance(size, Unusable):
        raise size
    return size


def _exactly(positions: list[Position], counts: tuple[int, ...], kind: str) -> list[Position]:
    if len(positions) not in counts:
        raise Unusable(f"a shape of type {kind!r} has {' or '.join(map(str, counts))} points, got {len(positions)}")
    return positions
