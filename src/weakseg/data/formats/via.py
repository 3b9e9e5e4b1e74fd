"""VGG Image Annotator (VIA 1 and 2): one JSON or CSV file of photographs and their regions."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Position, Shape
from weakseg.data.formats.csv_files import read_csv
from weakseg.data.formats.label_format import Content, Surroundings
from weakseg.data.formats.records import any_number, list_in, number_in, text_in
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.formats.shapes import (
    Unusable,
    box_around,
    ellipse_outline,
    points_at,
    region_inside,
    scribble_along,
    text_label,
    usable_shapes,
)
from weakseg.data.image import image_size
from weakseg.data.paths import parse_json, read_text
from weakseg.data.values import as_list, as_record, shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size

Record = dict[str, object]
_PROJECT = "_via_img_metadata"
_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
_CLASS_ATTRIBUTES = ("class", "label", "name", "type", "category", "object")


def is_via(content: Content) -> bool:
    """Return whether a file is of VIA, by its suffix and content."""
    if content.path.suffix.lower() == ".csv":
        return set(_COLUMNS) <= set(content.header)
    images = content.json.get(_PROJECT, content.json) if isinstance(content.json, dict) else {}
    entries = images.values() if isinstance(images, dict) else ()
    return any(isinstance(entry, dict) and {"filename", "regions"} <= entry.keys() for entry in entries)


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return the regions in a file.

    Their class is their one attribute, or that which is called ``class`` or similar. Rectangles become boxes, circles,
    ellipses and polygons regions, polylines scribbles, points points. The file states no sizes: regions are drawn for
    that of the photograph.

    Args:
        path: Annotations or a project as JSON, or annotations as CSV.
        around: Where the photographs are; ``None``: they are not opened, and there are no regions.

    Raises:
        DataError: If it is malformed, or no entry can be used.
    """
    entries = _rows(path) if path.suffix.lower() == ".csv" else _entries(path)
    skipped: dict[str, str] = {}
    images = []
    for where, entry in entries.items():
        try:
            images.append(_image(as_record(entry, "an image", where), where, around))
        except DataError as error:
            skipped[where] = str(error).removeprefix(f"{where}: ")
    return AnnotationTable(path, without_repeats(images), skipped=skipped)


def _entries(path: Path) -> dict[str, object]:
    document = as_record(parse_json(path, read_text(path, "VIA file")), "the content of a VIA file", str(path))
    images = as_record(document.get(_PROJECT, document), repr(_PROJECT), str(path))
    return {f"{path}: {shown(key)}": entry for key, entry in images.items()}


def _rows(path: Path) -> dict[str, object]:
    """Return one entry for each photograph of a CSV file, as JSON has it."""
    table = read_csv(path, f"want the columns {', '.join(_COLUMNS)}")
    if not set(_COLUMNS) <= set(table.first):
        raise DataError(f"{path}: a CSV file of VIA has the columns {', '.join(_COLUMNS)}; export it again")
    regions: dict[str, list[object]] = {}
    entries: dict[str, object] = {}
    for where, cells in table.rows[1:]:
        row = dict(zip(table.first, cells, strict=False))
        name = row.get("filename", "")
        if name not in regions:
            regions[name] = []
            entries[where] = {"filename": name, "regions": regions[name]}
        if row.get("region_shape_attributes", "{}") != "{}":
            regions[name].append({key.removeprefix("region_"): _cell(row.get(key, "")) for key in _COLUMNS[1:]})
    return entries


def _cell(text: str) -> object:
    """Return the JSON in a cell, or its text where it is none, which the reader of the region refuses."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _image(entry: Record, where: str, around: Surroundings | None) -> AnnotatedImage:
    name = text_in(entry, "filename", where)
    regions = entry.get("regions", [])
    found = list(regions.values()) if isinstance(regions, dict) else as_list(regions, "'regions'", where)
    dropped: dict[str, Dropped] = {}

    @cache
    def size() -> Size:
        if around is None:
            raise Unusable("the size of its photograph is not known")
        return image_size(around.find(name, where))

    places = [(f"{where}: regions[{number}]", region) for number, region in enumerate(found)]
    shapes = usable_shapes(places, lambda region, at: _shapes(region, size, at), _labels_of, dropped)
    return AnnotatedImage(name, tuple(shapes), where, dropped=dropped)


def _attributes(region: object) -> Mapping[str, object]:
    found = region.get("region_attributes", region.get("attributes")) if isinstance(region, dict) else None
    return found if isinstance(found, dict) else {}


def _labels_of(region: object) -> frozenset[str] | None:
    """Return the class of a region: its one attribute, or the one that is called so; of a checkbox what is ticked."""
    attributes = _attributes(region)
    key = next((key for key in attributes if key.lower() in _CLASS_ATTRIBUTES), None)
    if key is None:
        key = next(iter(attributes)) if len(attributes) == 1 else None
    value = attributes.get(key) if key is not None else None
    if isinstance(value, dict):
        ticked = [text_label(name) for name, on in value.items() if on is True or on == "true"]
        return ticked[0] if len(ticked) == 1 else None
    return text_label(value)


def _shapes(region: object, size: Callable[[], Size], where: str) -> Sequence[Shape]:
    record = as_record(region, "a region", where)
    shape = as_record(record.get("shape_attributes"), "'shape_attributes'", where)
    kind, label = text_in(shape, "name", where), next(iter(_labels_of(region) or ()), None)
    if label is None:
        raise Unusable("its attributes do not say of which class it is; give regions one attribute, or call it 'class'")
    if kind == "rect":
        left, top, width, height = (number_in(shape, key, where) for key in ("x", "y", "width", "height"))
        return [box_around(label, [(top, left), (top + height, left + width)], where)]
    if kind == "point":
        return points_at(label, [(number_in(shape, "cy", where), number_in(shape, "cx", where))], where)
    if kind in ("circle", "ellipse"):
        return [region_inside(label, _ellipse(shape, where), size(), where)]
    if kind == "polygon":
        return [region_inside(label, _positions(shape, where), size(), where)]
    if kind == "polyline":
        return [scribble_along(label, _positions(shape, where), where)]
    raise Unusable(f"shapes of type {shown(kind)} are not known")


def _ellipse(shape: Record, where: str) -> list[Position]:
    """Return the outline of a circle or an ellipse; its angle is in radians."""
    column, row = number_in(shape, "cx", where), number_in(shape, "cy", where)
    across, down = (number_in(shape, "r" if "r" in shape else key, where) for key in ("rx", "ry"))
    degrees = any_number(shape.get("theta") or 0, "'theta'", where) * 180 / 3.141592653589793
    return ellipse_outline((row, column), (down, across), degrees)


def _positions(shape: Record, where: str) -> list[Position]:
    columns, rows = list_in(shape, "all_points_x", where), list_in(shape, "all_points_y", where)
    if len(columns) != len(rows):
        raise DataError(f"{where}: {len(columns)} x, but {len(rows)} y; export it again")
    pairs = zip(rows, columns, strict=True)
    return [(any_number(row, "a y", where), any_number(column, "an x", where)) for row, column in pairs]
