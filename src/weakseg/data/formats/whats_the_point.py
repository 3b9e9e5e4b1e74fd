"""What's the Point: a JSON file of clicks by image id."""

from collections.abc import Mapping
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Shape
from weakseg.data.formats.voc_xml import VOC_CLASSES
from weakseg.data.paths import parse_json, read_text
from weakseg.data.values import as_list, as_number, as_record
from weakseg.errors import DataError


def has_clicks(document: Mapping[str, object]) -> bool:
    """Return whether anything in a JSON object can be a click."""
    return any(isinstance(entry, dict) for value in document.values() if isinstance(value, list) for entry in value)


def read_table(path: Path) -> AnnotationTable:
    """Return the clicks in ``{"ID": [{"x": 3, "y": 4, "cls": 1, "rank": 1}, ...]}``; other keys are left alone.

    ``x`` and ``y`` count pixels from 0 and mean their centres, ``cls`` counts the classes of VOC from 1. Every rank
    counts: one click on each instance. A negative coordinate says that the click is missing; binding drops it.

    Raises:
        DataError: If the file is malformed.
    """
    document = as_record(parse_json(path, read_text(path, "file of clicks")), "the file", str(path))
    images = []
    for name, clicks in document.items():
        where = f"{path}: image {name!r}"
        shapes = [_click(c, f"{where}: click {n}") for n, c in enumerate(as_list(clicks, "the clicks", where))]
        images.append(AnnotatedImage(name, tuple(shapes), where))
    return AnnotationTable(path, tuple(images), VOC_CLASSES)


def _click(value: object, where: str) -> Shape:
    click = as_record(value, "a click", where)
    column, row = (as_number(click.get(key), key, where) for key in "xy")
    number = as_number(click.get("cls"), "cls", where)
    if number not in range(1, len(VOC_CLASSES) + 1):
        raise DataError(f"{where}: cls must be 1..{len(VOC_CLASSES)}, a class of VOC, got {number:g}; correct it")
    return Shape("point", VOC_CLASSES[int(number) - 1], ((row + 0.5, column + 0.5),), where)
