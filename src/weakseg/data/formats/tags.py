"""Files of image tags: CSV (long, wide, list), JSON and JSONL. Absent, present and unknown are three states."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.paths import image_id_of, parse_json, read_lines, read_text
from weakseg.data.sample import Tags
from weakseg.errors import DataError

_WANTED = (
    "want 'image,label' (a pair a row), 'image,labels' (separated by ; or |), or 'image,CLASS,CLASS,...' (1/0/empty)"
)
_STATES: dict[str, bool | None] = {"1": True, "0": False, "": None}


@dataclass(frozen=True)
class TagRow:
    """What one row of a tag file says.

    Attributes:
        image: Image name as written.
        where: File and line, or file and key, for errors.
        states: Class name to present (``True``), absent (``False``) or unknown (``None``).
    """

    image: str
    where: str
    states: Mapping[str, bool | None]


@dataclass(frozen=True)
class TagTable:
    """A tag file before its class names are bound to class ids.

    Attributes:
        path: The file, or the folder of class folders.
        rows: Its rows in order; several rows of one image add up.
        asked: Class names that the file decides on; others are unknown. ``None``: all, so others are absent.
    """

    path: Path
    rows: tuple[TagRow, ...]
    asked: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Refuse a table without images, and images that would share one id."""
        if not self.rows:
            raise DataError(f"{self.path}: lists no images; add one row for each image")
        first: dict[str, TagRow] = {}
        for row in self.rows:
            other = first.setdefault(image_id_of(row.image), row)
            if other.image != row.image:
                raise DataError(
                    f"{row.where}: {row.image!r} and {other.image!r} both have the image id "
                    f"{image_id_of(row.image)!r}; rename one, or keep one of the two"
                )

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all classes that the file mentions, without the background."""
        return frozenset(self.asked or ()).union(*(row.states for row in self.rows)) - BACKGROUND_NAMES

    def mapped(self, class_map: ClassMap) -> "TagTable":
        """Return the table with class names as ``class_map`` makes them."""
        rows = tuple(replace(row, states=class_map.states(row.states)) for row in self.rows)
        return replace(self, rows=rows, asked=None if self.asked is None else frozenset(class_map.names(self.asked)))

    def bind(self, classes: Classes) -> dict[str, Tags]:
        """Return the tags of every image by image id, in the order of the file.

        Raises:
            DataError: If the file names a class that is none of ``classes``.
        """
        for name in sorted(self.asked or ()):
            classes.id_of(name, f"{self.path}:1")
        asked = classes.names if self.asked is None else self.asked
        unasked = {class_id for class_id, name in enumerate(classes.names, start=1) if name not in asked}
        present: dict[str, set[int]] = {}
        unknown: dict[str, set[int]] = {}
        for row in self.rows:
            states = {classes.id_of(n, row.where): s for n, s in row.states.items() if n not in BACKGROUND_NAMES}
            image_id = image_id_of(row.image)
            present.setdefault(image_id, set()).update(i for i, state in states.items() if state)
            unknown.setdefault(image_id, set(unasked)).update(i for i, state in states.items() if state is None)
        return {i: Tags(frozenset(present[i]), frozenset(unknown[i])) for i in present}


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
    present: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    for row in read_table(path).rows:
        present.setdefault(row.image, set()).update(name for name, state in row.states.items() if state)
        first.setdefault(row.image, row.where)
    images = (AnnotatedImage(name, (), first[name], frozenset(names)) for name, names in present.items())
    return AnnotationTable(path, tuple(images))


def read_table(path: Path) -> TagTable:
    """Return the content of a tag file, with class names as they are written.

    The form follows from the suffix and, in CSV, from the header::

        image,label            one pair a row; an empty label: the image is known to have none
        image,labels           separated by ; or |; empty: known to have none
        image,cat,dog          1 present, 0 absent, empty unknown
        {"image": ["cat"]}     JSON; [] is known to have none
        {"image": "a.jpg", "labels": ["cat"]}      JSONL, one object a line

    Raises:
        DataError: If the file is missing, empty, malformed, not UTF-8, of another kind, or says a thing twice.
    """
    if path.suffix.lower() not in _READERS:
        raise DataError(f"{path}: no kind of label file; give a file that ends in {', '.join(_READERS)}")
    return _READERS[path.suffix.lower()](path)


def _read_csv(path: Path) -> TagTable:
    """Read the form of CSV that the header names."""
    (where, header), *body = csv_rows(path)
    _check_header(where, header)
    image = header.index("image")
    columns = header[:image] + header[image + 1 :]
    named: list[tuple[str, str, list[str]]] = []
    for where, cells in body:
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} fields {cells}, but the header has {len(header)}; correct the row")
        named.append((where, _image_name(cells[image], where), cells[:image] + cells[image + 1 :]))
    if columns == ["label"]:
        return long_table(
            path, [TagRow(name, where, {label: True} if label else {}) for where, name, (label,) in named]
        )
    if columns == ["labels"]:
        return _single_table(path, [TagRow(name, where, _split(cell, where)) for where, name, (cell,) in named])
    rows = [TagRow(name, where, _wide_states(columns, cells, where)) for where, name, cells in named]
    return _single_table(path, rows, asked=frozenset(columns) - BACKGROUND_NAMES)


def _read_json(path: Path) -> TagTable:
    """Read one object from image name to list of labels."""
    value = parse_json(path, read_text(path, "label file"))
    if not isinstance(value, dict):
        raise DataError(f'{path}: expected an object {{"image": ["class", ...]}}, got {_kind(value)}; change the file')
    rows = []
    for name, labels in value.items():
        where = f"{path}: image {name!r}"
        rows.append(TagRow(_image_name(name, where), where, _listed(labels, where)))
    return _single_table(path, rows)


def _read_jsonl(path: Path) -> TagTable:
    """Read one object with ``image`` and ``labels`` a line."""
    rows = []
    for number, line in read_lines(path, "label file"):
        where = f"{path}:{number}"
        value = parse_json(path, line, first_line=number)
        if not isinstance(value, dict) or set(value) != {"image", "labels"}:
            got = f"keys {sorted(value)}" if isinstance(value, dict) else _kind(value)
            raise DataError(f'{where}: expected {{"image": "...", "labels": [...]}}, got {got}; change the line')
        rows.append(TagRow(_image_name(value["image"], where), where, _listed(value["labels"], where)))
    return _single_table(path, rows)


_READERS: dict[str, Callable[[Path], TagTable]] = {".csv": _read_csv, ".json": _read_json, ".jsonl": _read_jsonl}


def csv_rows(path: Path) -> list[tuple[str, list[str]]]:
    """Return (file and line, stripped cells) of every row that is not blank; at least one."""
    reader = csv.reader(io.StringIO(read_text(path, "label file"), newline=""), strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) or len(cells) > 1:
                rows.append((f"{path}:{line}", [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{line}: malformed CSV ({error}); check quotes and line ends") from error
    if not rows:
        raise DataError(f"{path}: the file is empty; {_WANTED}")
    return rows


def _check_header(where: str, header: list[str]) -> None:
    """Refuse a header without ``image``, without another column, or with a column that is empty or repeated."""
    if "image" not in header or len(header) < 2:
        raise DataError(f"{where}: got header {','.join(header)!r}; {_WANTED}")
    if wrong := [name for name in header if not name or header.count(name) > 1]:
        raise DataError(f"{where}: column {wrong[0]!r} is empty or repeated in header {','.join(header)!r}; {_WANTED}")


def long_table(path: Path, rows: list[TagRow]) -> TagTable:
    """Build a table in which an image may have several rows; none says the same again, or denies another."""
    first: dict[tuple[str, str], TagRow] = {}
    empty: dict[str, TagRow] = {row.image: row for row in rows if not row.states}
    for row in rows:
        label = next(iter(row.states), "")
        other = first.setdefault((row.image, label), row)
        if other is not row:
            raise DataError(f"{row.where}: {row.image!r} with label {label!r} is already at {other.where}; remove one")
        if label and row.image in empty:
            raise DataError(
                f"{row.where}: {row.image!r} has label {label!r}, but is said to have none at "
                f"{empty[row.image].where}; remove one"
            )
    return TagTable(path, tuple(rows))


def _single_table(path: Path, rows: list[TagRow], *, asked: frozenset[str] | None = None) -> TagTable:
    """Build a table in which every image has one row."""
    first: dict[str, TagRow] = {}
    for row in rows:
        other = first.setdefault(row.image, row)
        if other is not row:
            raise DataError(f"{row.where}: image {row.image!r} is already at {other.where}; keep one row an image")
    return TagTable(path, tuple(rows), asked)


def _image_name(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: expected the name of an image, got {value!r}; add it, or remove the row")
    return value


def _split(cell: str, where: str) -> dict[str, bool | None]:
    """Return the states in a cell such as ``cat;dog``; empty parts do not count."""
    return _listed([label.strip() for label in re.split("[;|]", cell) if label.strip()], where)


def _listed(labels: object, where: str) -> dict[str, bool | None]:
    """Return the states of a list of present classes."""
    if not isinstance(labels, list):
        raise DataError(f"{where}: expected a list of class names, got {_kind(labels)} {labels!r}; write [] for none")
    states: dict[str, bool | None] = {}
    for label in labels:
        if not isinstance(label, str) or not label:
            raise DataError(f"{where}: expected class names, got {label!r}; write each class as text")
        if label in states:
            raise DataError(f"{where}: label {label!r} is listed twice; keep one")
        states[label] = True
    return states


def _wide_states(columns: list[str], cells: list[str], where: str) -> dict[str, bool | None]:
    """Return the states of one row of the wide form."""
    for name, cell in zip(columns, cells, strict=True):
        if cell not in _STATES:
            raise DataError(
                f"{where}: {cell!r} in column {name!r}; write 1 (present), 0 (absent) or leave it empty (unknown). "
                "A column of class names is called 'label' or 'labels', and is the only one beside 'image'"
            )
    return {name: _STATES[cell] for name, cell in zip(columns, cells, strict=True)}


def _kind(value: object) -> str:
    """Name the kind of a JSON value."""
    return {dict: "an object", list: "a list", str: "text", type(None): "null", bool: "true or false"}.get(
        type(value), "a number"
    )
