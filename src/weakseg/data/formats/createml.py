"""CreateML: one JSON list of photographs with boxes around centres."""

from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Shape
from weakseg.data.formats.label_format import Content
from weakseg.data.formats.records import number_in, text_in
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.formats.shapes import box_around, text_label, usable_shapes
from weakseg.data.paths import parse_json, read_text
from weakseg.data.values import as_list, as_record, shown
from weakseg.errors import DataError

_IMAGE, _ANNOTATIONS = ("image", "imagefilename", "filename"), ("annotations", "annotation")


def is_createml(content: Content) -> bool:
    """Return whether a JSON file is a list of photographs with boxes that have coordinates."""
    entries = content.json if isinstance(content.json, list) else []
    shapes = [entry[key] for entry in entries if isinstance(entry, dict) for key in _ANNOTATIONS if key in entry]
    return any("coordinates" in s for found in shapes if isinstance(found, list) for s in found if isinstance(s, dict))


def read_table(path: Path) -> AnnotationTable:
    """Return the boxes in a file; ``x`` and ``y`` of their coordinates are their centre, in pixels.

    Raises:
        DataError: If it is malformed, or no entry can be used.
    """
    entries = as_list(parse_json(path, read_text(path, "CreateML file")), "the content of a CreateML file", str(path))
    skipped: dict[str, str] = {}
    images = []
    for number, entry in enumerate(entries):
        where = f"{path}: [{number}]"
        try:
            images.append(_image(as_record(entry, "an entry", where), where))
        except DataError as error:
            skipped[where] = str(error).removeprefix(f"{where}: ")
    return AnnotationTable(path, without_repeats(images), skipped=skipped)


def _image(entry: dict[str, object], where: str) -> AnnotatedImage:
    name = text_in(entry, next((key for key in _IMAGE if key in entry), "image"), where)
    key = next((key for key in _ANNOTATIONS if key in entry), "annotations")
    boxes = as_list(entry.get(key), repr(key), where)
    dropped: dict[str, Dropped] = {}
    shapes = usable_shapes(
        [(f"{where}: {key}[{number}]", box) for number, box in enumerate(boxes)],
        _box,
        lambda box: text_label(box.get("label")) if isinstance(box, dict) else None,
        dropped,
    )
    return AnnotatedImage(name, tuple(shapes), where, dropped=dropped)


def _box(value: object, where: str) -> list[Shape]:
    box = as_record(value, "a box", where)
    place = as_record(box.get("coordinates"), "'coordinates'", where)
    column, row, width, height = (number_in(place, key, where) for key in ("x", "y", "width", "height"))
    corners = [(row - height / 2, column - width / 2), (row + height / 2, column + width / 2)]
    if min(width, height) < 0:
        raise DataError(f"{where}: width {shown(width)} and height {shown(height)} must be above 0; correct them")
    return [box_around(text_in(box, "label", where), corners, where)]
