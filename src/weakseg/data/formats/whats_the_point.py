"""What's the Point: a JSON file of clicks by image id."""

from collections.abc import Mapping
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Shape
from weakseg.data.formats.shapes import left_out, points_at, usable_shapes
from weakseg.data.formats.voc_xml import VOC_CLASSES
from weakseg.data.paths import parse_json, read_text
from weakseg.data.values import as_list, as_number, as_record
from weakseg.errors import DataError, quoted


def has_clicks(document: Mapping[str, object]) -> bool:
    """Return whether anything in a JSON object can be a click."""
    return any(isinstance(entry, dict) for value in document.values() if isinstance(value, list) for entry in value)


def read_table(path: Path) -> AnnotationTable:
    """Return the clicks in ``{"ID": [{"x": 3, "y": 4, "cls": 1, "rank": 1}, ...]}``; other keys are left alone.

    ``x`` and ``y`` count pixels from 0 and mean their centres, ``cls`` counts the classes of VOC from 1. Every rank
    counts: one click on each instance. A negative coordinate says that the click is missing; binding drops it.

    Raises:
        DataError: If the file is malformed, or nothing in it is a list of clicks.
    """
    document = as_record(parse_json(path, read_text(path, "file of clicks")), "the file", str(path))
    images = [_image(name, clicks, f"{path}: image {quoted(name)}") for name, clicks in document.items()]
    if images and all(image.where in image.dropped for image in images):
        raise DataError(f"{images[0].where}: {images[0].dropped[images[0].where].reason}")
    return AnnotationTable(path, tuple(images), VOC_CLASSES)


def _image(name: str, clicks: object, where: str) -> AnnotatedImage:
    """Return the clicks on one photograph; what is no list of them is left out."""
    dropped: dict[str, Dropped] = {}
    try:
        entries = [(f"{where}: click {n}", click) for n, click in enumerate(as_list(clicks, "the clicks", where))]
    except DataError as error:
        return AnnotatedImage(name, (), where, dropped={where: left_out(error, where, None)})
    shapes = usable_shapes(entries, _click, _labels_of, dropped)
    return AnnotatedImage(name, tuple(shapes), where, dropped=dropped)


def _labels_of(value: object) -> frozenset[str] | None:
    """Return the class of a click that is left out, if it has one."""
    try:
        return frozenset({_label(as_record(value, "a click", ""), "")})
    except DataError:
        return None


def _label(click: dict[str, object], where: str) -> str:
    number = as_number(click.get("cls"), "cls", where)
    if number not in range(1, len(VOC_CLASSES) + 1):
        raise DataError(f"{where}: cls must be 1..{len(VOC_CLASSES)}, a class of VOC, got {number:g}; correct it")
    return VOC_CLASSES[int(number) - 1]


def _click(value: object, where: str) -> list[Shape]:
    click = as_record(value, "a click", where)
    column, row = (as_number(click.get(key), key, where) for key in "xy")
    return points_at(_label(click, where), [(row + 0.5, column + 0.5)], where)
