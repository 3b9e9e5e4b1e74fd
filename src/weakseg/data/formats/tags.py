"""Files of image tags: CSV, JSON and JSONL."""

from collections.abc import Callable
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped
from weakseg.data.classes import Classes
from weakseg.data.formats.tag_table import State, TagRow, TagTable, single_table
from weakseg.data.formats.tags_csv import read_tags_csv
from weakseg.data.paths import parse_json, read_lines, read_text
from weakseg.data.sample import Tags
from weakseg.errors import DataError, cut


def read_tags(path: Path, classes: Classes) -> dict[str, Tags]:
    """Return the tags of every image that a tag file mentions, by image id.

    Raises:
        DataError: See ``read_table``; or the file names a class that is none of ``classes``.
    """
    return read_table(path).bind(classes)


def read_shown(path: Path) -> AnnotationTable:
    """Return the classes that each image in a tag file shows; what is absent or unknown says nothing.

    Raises:
        DataError: As ``read_table``.
    """
    table = read_table(path)
    rows: dict[str, list[TagRow]] = {}
    for row in table.rows:
        rows.setdefault(row.image, []).append(row)
    images = []
    for name, members in rows.items():
        shown = frozenset(label for row in members for label, state in row.states.items() if state)
        dropped = {row.where: Dropped(row.reason, row.doubtful, certain=False) for row in members if row.reason}
        images.append(AnnotatedImage(name, (), members[0].where, shown, dropped=dropped))
    return AnnotationTable(path, tuple(images), skipped=table.skipped)


def read_table(path: Path) -> TagTable:
    """Return the content of a tag file, with class names as they are written.

    The form follows from the suffix and, in CSV, from the header::

        image,label            one pair a row; an empty label: the image is known to have none
        image,labels           separated by ; or |; empty: known to have none
        image,cat,dog          1 present, 0 absent, empty unknown
        ImageID,LabelName,Confidence               as Open Images has it; what has no row is unknown
        {"image": ["cat"]}     JSON; [] is known to have none
        {"image": "a.jpg", "labels": ["cat"]}      JSONL, one object a line

    Columns may have other usual names (``filename``, ``class``), and semicolons or tabs between them. A row that
    cannot be used is left out by name, and the classes of which it may speak are unknown.

    Raises:
        DataError: If the file is missing, empty, malformed, not UTF-8, or of another kind; or no row can be used.
    """
    if path.suffix.lower() not in _READERS:
        raise DataError(f"{path}: no kind of label file; give a file that ends in {', '.join(_READERS)}")
    return _READERS[path.suffix.lower()](path)


def _read_json(path: Path) -> TagTable:
    """Read one object from image name to list of labels."""
    value = parse_json(path, read_text(path, "label file"))
    if not isinstance(value, dict):
        raise DataError(f'{path}: expected an object {{"image": ["class", ...]}}, got {_kind(value)}; change the file')
    rows: list[TagRow] = []
    skipped: dict[str, str] = {}
    for name, labels in value.items():
        _add(rows, skipped, name, labels, f"{path}: image {cut(name)!r}")
    return single_table(path, rows, skipped=skipped)


def _read_jsonl(path: Path) -> TagTable:
    """Read one object with ``image`` and ``labels`` a line."""
    rows: list[TagRow] = []
    skipped: dict[str, str] = {}
    for number, line in read_lines(path, "label file"):
        where = f"{path}:{number}"
        try:
            value = parse_json(path, line, first_line=number)
        except DataError as error:
            skipped[where] = str(error).removeprefix(f"{where}: ")
            continue
        if isinstance(value, dict) and set(value) == {"image", "labels"}:
            _add(rows, skipped, value["image"], value["labels"], where)
        else:
            got = f"keys {cut(sorted(value))}" if isinstance(value, dict) else _kind(value)
            skipped[where] = f'expected {{"image": "...", "labels": [...]}}, got {got}; change the line'
    return single_table(path, rows, skipped=skipped)


_READERS: dict[str, Callable[[Path], TagTable]] = {".csv": read_tags_csv, ".json": _read_json, ".jsonl": _read_jsonl}


def _add(rows: list[TagRow], skipped: dict[str, str], name: object, labels: object, where: str) -> None:
    """Add the row of an image, or why it has none."""
    if not isinstance(name, str) or not name.strip():
        skipped[where] = f"expected the name of an image, got {cut(repr(name))}; add it, or remove the row"
        return
    states, reason = _listed(labels)
    rows.append(TagRow(name, where, states, reason, None if reason else frozenset()))


def _listed(labels: object) -> tuple[dict[str, State], str]:
    """Return the states of a list of present classes, and why a part of it is left out."""
    if not isinstance(labels, list):
        return {}, f"expected a list of class names, got {_kind(labels)} {cut(repr(labels))}; write [] for none"
    wrong = [label for label in labels if not isinstance(label, str) or not label.strip()]
    reason = f"expected class names, got {cut(repr(wrong[0]))}; write each class as text" if wrong else ""
    return {label: True for label in labels if isinstance(label, str) and label.strip()}, reason


def _kind(value: object) -> str:
    """Name the kind of a JSON value."""
    return {dict: "an object", list: "a list", str: "text", type(None): "null", bool: "true or false"}.get(
        type(value), "a number"
    )
