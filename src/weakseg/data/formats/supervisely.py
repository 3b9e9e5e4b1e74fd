"""Supervisely: one JSON file for each photograph, with rectangles, outlines, lines, points and bitmaps."""

import base64
import binascii
import io
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Position, Shape
from weakseg.data.formats.label_format import Surroundings, claim_check
from weakseg.data.formats.records import list_in, positions_in, size_in, text_in
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.formats.shapes import (
    Unusable,
    box_around,
    points_at,
    region_inside,
    region_of,
    scribble_along,
    text_label,
    usable_shapes,
)
from weakseg.data.paths import check_inside, files_inside, parse_json, read_text
from weakseg.data.regions import mask_of_runs, place_crop
from weakseg.data.values import as_list, as_record, shown
from weakseg.errors import DataError
from weakseg.image_file import MAX_PIXELS, opened_image
from weakseg.ops.runs import Size

Record = dict[str, object]
META = "meta.json"


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return what the files of a folder, or one file, say.

    Rectangles become boxes, polygons with their holes and bitmaps regions, lines scribbles, points points. The names of
    photographs are those of the files without ``.json``. Tags are of any kind in Supervisely, and are left alone.

    Args:
        path: A folder of annotations (``ann``), or one of its files.
        around: Where the photographs are; ``None``: they are not opened.

    Raises:
        DataError: If there is no file, or none can be used.
    """
    folder = path.resolve()
    files = files_inside(folder, {".json"}, "Supervisely files") if path.is_dir() else [path]
    skipped: dict[str, str] = {}
    images = []
    for file in (file for file in files if file.name != META):
        try:
            if file != path:
                check_inside(folder, file)
            images.append(_image(file, around))
        except DataError as error:
            skipped[str(file)] = str(error).removeprefix(f"{file}: ")
    return AnnotationTable(path, without_repeats(images), _declared(path, around), skipped)


def _declared(path: Path, around: Surroundings | None) -> tuple[str, ...]:
    """Return the classes of the project, which ``meta.json`` above the folder lists; none where it cannot be used."""
    root = around.root if around else path.parent
    folders = [folder for folder in (path, *path.parents[:2]) if folder.is_relative_to(root)]
    meta = next((folder / META for folder in folders if (folder / META).is_file()), None)
    if meta is None or not meta.resolve().is_relative_to(root):
        return ()
    document = as_record(parse_json(meta, read_text(meta, "project file")), "the content of meta.json", str(meta))
    entries = as_list(document.get("classes", []), "'classes'", str(meta))
    return tuple(dict.fromkeys(text_in(as_record(one, "a class", str(meta)), "title", str(meta)) for one in entries))


def _image(path: Path, around: Surroundings | None) -> AnnotatedImage:
    where = str(path)
    document = as_record(parse_json(path, read_text(path, "Supervisely file")), "the content of the file", where)
    size = size_in(as_record(document.get("size"), "'size'", where), ("height", "width"), where)
    if size is None:
        raise DataError(f"{where}: 'size' has no height and width; export it again")
    name = path.name.removesuffix(".json")
    dropped: dict[str, Dropped] = {}
    entries = [(f"{where}: objects[{n}]", entry) for n, entry in enumerate(list_in(document, "objects", where))]
    shapes = usable_shapes(
        entries,
        partial(_shapes, size=size, check_claim=claim_check(around, name, size, where)),
        lambda entry: text_label(entry.get("classTitle")) if isinstance(entry, dict) else None,
        dropped,
    )
    return AnnotatedImage(name, tuple(shapes), where, size=size, dropped=dropped)


def _shapes(value: object, where: str, size: Size, check_claim: Callable[[], None]) -> Sequence[Shape]:
    record = as_record(value, "an object", where)
    kind, label = text_in(record, "geometryType", where), text_in(record, "classTitle", where)
    if kind == "bitmap":
        check_claim()
        return [region_of(label, _bitmap(as_record(record.get("bitmap"), "'bitmap'", where), size, where), where)]
    if kind not in ("rectangle", "polygon", "line", "polyline", "point"):
        raise Unusable(f"objects of type {shown(kind)} are not known")
    points = as_record(record.get("points"), "'points'", where)
    outline = positions_in(points, "exterior", where)
    if kind == "rectangle":
        return [box_around(label, outline, where)]
    if kind == "point":
        return points_at(label, outline, where)
    if kind != "polygon":
        return [scribble_along(label, outline, where)]
    check_claim()
    return [_polygon(label, outline, list_in(points, "interior", where) if "interior" in points else [], size, where)]


def _polygon(label: str, outline: list[Position], holes: list[object], size: Size, where: str) -> Shape:
    """Return the pixels within an outline and in none of its holes."""
    whole = region_inside(label, outline, size, where)
    if not holes:
        return whole
    pixels = mask_of_runs(whole.runs, size)
    for hole in holes:
        pixels &= ~mask_of_runs(
            region_inside(label, positions_in({"interior": hole}, "interior", where), size, where).runs, size
        )
    return region_of(label, pixels, where)


def _bitmap(record: Record, size: Size, where: str) -> NDArray[np.bool_]:
    """Return the pixels of a PNG, compressed and in base64, whose first pixel is at ``origin``."""
    origin = as_list(record.get("origin"), "'origin'", where)
    if len(origin) != 2 or not all(type(value) is int and abs(value) <= MAX_PIXELS for value in origin):
        raise DataError(f"{where}: 'origin' must be x and y in pixels, got {shown(origin)}; export it again")
    try:
        packed = zlib.decompressobj()
        content = packed.decompress(base64.b64decode(text_in(record, "data", where), validate=True), 2 * MAX_PIXELS)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DataError(f"{where}: 'data' is no compressed PNG in base64 ({error}); export it again") from error
    with opened_image(io.BytesIO(content), f"{where}: 'data'", formats=("PNG",)) as image:
        if image.height > 2 * size[0] or image.width > 2 * size[1]:
            raise DataError(
                f"{where}: its bitmap of {image.height} x {image.width} pixels is far larger than the photograph of "
                f"{size[0]} x {size[1]} (rows x columns); export it again"
            )
        opaque = "A" in image.getbands() or "transparency" in image.info
        crop = np.asarray(image.convert("RGBA").getchannel("A") if opaque else image.convert("L")).astype(np.bool_)
    column, row = (value for value in origin if isinstance(value, int))
    return place_crop(crop, (row, column), size)
