"""Datumaro: one JSON file of items with boxes, outlines, lines, points, masks and labels."""

import posixpath
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Position, Shape
from weakseg.data.formats.label_format import Surroundings, claim_check
from weakseg.data.formats.records import any_number, list_in, text_in
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.formats.shapes import (
    Unusable,
    box_around,
    left_out,
    points_at,
    region_inside,
    region_of,
    scribble_along,
    usable_shapes,
)
from weakseg.data.paths import find_image, parse_json, read_text
from weakseg.data.regions import check_size, encode_runs, mask_of_runs
from weakseg.data.values import as_list, as_record, as_text, shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size

Record = dict[str, object]


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return what a file says; shapes of a higher ``z_order`` stand later.

    A photograph may be in a folder that is called as the file, as Datumaro keeps those of ``train.json``.

    Args:
        path: A file of Datumaro's own format.
        around: Where the photographs are; ``None``: they are not opened.

    Raises:
        DataError: If it is malformed, or no item can be used.
    """
    document = as_record(
        parse_json(path, read_text(path, "Datumaro file")), "the content of a Datumaro file", str(path)
    )
    names = _names(document, str(path))
    skipped: dict[str, str] = {}
    images = []
    for number, item in enumerate(list_in(document, "items", str(path))):
        where = f"{path}: items[{number}]"
        try:
            images.append(_image(as_record(item, "an item", where), names, where, around))
        except DataError as error:
            skipped[where] = str(error).removeprefix(f"{where}: ")
    declared = tuple(dict.fromkeys(name for name in names.values() if name is not None))
    return AnnotationTable(path, without_repeats(images), declared, skipped)


def _names(document: Record, where: str) -> dict[int, str | None]:
    """Return the names of the classes by number; ``None`` where one has none."""
    categories = as_record(document.get("categories"), "'categories'", where)
    label = as_record(categories.get("label", {"labels": []}), "'categories.label'", where)
    entries = as_list(label.get("labels"), "'categories.label.labels'", where)
    texts = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    return {n: text.strip() if isinstance(text, str) and text.strip() else None for n, text in enumerate(texts)}


def _image(item: Record, names: Mapping[int, str | None], where: str, around: Surroundings | None) -> AnnotatedImage:
    image = item.get("image")
    record = image if isinstance(image, dict) else {}
    name = _name(
        text_in(record if record.get("path") else item, "path" if record.get("path") else "id", where), where, around
    )
    size = _size(record.get("size"), where)
    claim = claim_check(around, name, size, where) if size else lambda: None
    dropped: dict[str, Dropped] = {}
    entries = [(f"{where}: annotations[{n}]", entry) for n, entry in enumerate(list_in(item, "annotations", where))]
    tags = set()
    for place, entry in entries:
        if isinstance(entry, dict) and entry.get("type") == "label":
            try:
                tags.add(_label(entry, names, place))
            except DataError as error:
                dropped[place] = left_out(error, place, None)
    drawn = [
        (place, entry) for place, entry in entries if not (isinstance(entry, dict) and entry.get("type") == "label")
    ]
    drawn.sort(key=lambda entry: _order(entry[1]))
    shapes = usable_shapes(
        drawn, lambda entry, at: _shapes(entry, names, size, at, claim), lambda entry: _labels_of(entry, names), dropped
    )
    return AnnotatedImage(name, tuple(shapes), where, frozenset(tags), size, dropped=dropped)


def _name(name: str, where: str, around: Surroundings | None) -> str:
    """Return the path of a photograph, below the folder that is called as the file if it is there alone."""
    if around is None or around.photograph or find_image(around.root, around.start, name, where).is_file():
        return name
    nested = posixpath.join(Path(where.partition(": items[")[0]).stem, name)
    return nested if find_image(around.root, around.start, nested, where).is_file() else name


def _size(value: object, where: str) -> Size | None:
    if value is None:
        return None
    sides: list[object] = [*as_list(value, "'size'", where), None, None]
    rows, columns = sides[:2]
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise DataError(f"{where}: 'size' must be rows and columns, got {shown(rows)} and {shown(columns)}; correct it")
    return check_size((rows, columns), where)


def _order(entry: object) -> float:
    order = entry.get("z_order") if isinstance(entry, dict) else 0
    return float(order) if isinstance(order, int | float) and abs(order) < 1e300 else 0.0


def _labels_of(entry: object, names: Mapping[int, str | None]) -> frozenset[str] | None:
    number = entry.get("label_id") if isinstance(entry, dict) else None
    name = names.get(number) if type(number) is int else None
    return frozenset({name}) if name else None


def _label(entry: Record, names: Mapping[int, str | None], where: str) -> str:
    number = entry.get("label_id")
    if type(number) is not int or number not in names:
        raise DataError(f"{where}: label_id {shown(number)} is that of no label; correct it")
    return as_text(names[number], f"the name of label {shown(number)}", where)


def _shapes(
    value: object, names: Mapping[int, str | None], size: Size | None, where: str, check_claim: Callable[[], None]
) -> Sequence[Shape]:
    entry = as_record(value, "an annotation", where)
    kind, label = text_in(entry, "type", where), _label(entry, names, where)
    if kind == "bbox":
        left, top, width, height = _numbers(entry, "bbox", 4, where)
        return [box_around(label, [(top, left), (top + height, left + width)], where)]
    if kind == "points":
        visibility = entry.get("visibility") or []
        hidden = {n for n, seen in enumerate(as_list(visibility, "'visibility'", where)) if seen == 0}
        return points_at(label, [at for n, at in enumerate(_positions(entry, where)) if n not in hidden], where)
    if kind == "polyline":
        return [scribble_along(label, _positions(entry, where), where)]
    if kind not in ("polygon", "mask"):
        raise Unusable(f"annotations of type {shown(kind)} are not known")
    if size is None:
        raise Unusable("a region needs the 'size' of its image; export it again with it")
    check_claim()
    if kind == "polygon":
        return [region_inside(label, _positions(entry, where), size, where)]
    counts = encode_runs(entry.get("rle"), size, where)["counts"]
    return [region_of(label, mask_of_runs(counts, size), where)]


def _numbers(entry: Record, key: str, count: int, where: str) -> list[float]:
    values = [any_number(value, repr(key), where) for value in list_in(entry, key, where)]
    if len(values) != count:
        raise DataError(f"{where}: {key!r} has {count} numbers, got {len(values)}; correct it")
    return values


def _positions(entry: Record, where: str) -> list[Position]:
    values = [any_number(value, "'points'", where) for value in list_in(entry, "points", where)]
    if len(values) % 2:
        raise DataError(f"{where}: 'points' are x, y of each, got {len(values)} numbers; correct it")
    return list(zip(values[1::2], values[::2], strict=True))
