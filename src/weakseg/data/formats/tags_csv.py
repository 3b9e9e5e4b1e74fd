"""CSV files of image tags: a pair a row, a list a row, or a column for each class."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from weakseg.data.classes import BACKGROUND_NAMES
from weakseg.data.formats.csv_files import check_columns, image_column, label_name, read_csv
from weakseg.data.formats.tag_table import State, TagRow, TagTable, long_table, single_table
from weakseg.errors import DataError, cut, quoted

WANTED = (
    "want 'image,label' (a pair a row), 'image,labels' (separated by ; or |), or 'image,CLASS,CLASS,...' (1/0/empty)"
)
_STATES: dict[str, State] = {"1": True, "0": False, "": None, "1.0": True, "0.0": False, "true": True, "false": False}
_VERIFIED = {"labelname", "confidence"}
_UNLABELLED = "Unlabeled"  # Roboflow's column of photographs that show no class

Cells = Sequence[str]


def read_tags_csv(path: Path) -> TagTable:
    """Return the tags in a CSV file, in the form that its header names.

    Raises:
        DataError: If the file is missing, empty, malformed, or has no column of images; or no row can be used.
    """
    file = read_csv(path, WANTED)
    (where, header), *body = file.rows
    image = image_column(header)
    if image is None or len(header) < 2:
        raise DataError(f"{where}: got header {quoted(','.join(header))}; {WANTED}")
    check_columns(header, where, WANTED)
    columns = header[:image] + header[image + 1 :]
    named: list[tuple[str, str, Cells]] = []
    skipped: dict[str, str] = {}
    for place, cells in body:
        if image < len(cells) and cells[image]:
            named.append((place, cells[image], cells[:image] + cells[image + 1 :]))
        else:
            skipped[place] = "expected the name of an image, got ''; add it, or remove the row"
    if {column.lower() for column in columns} >= _VERIFIED:
        return _verified(path, columns, named, skipped)
    form = _form(columns, [cells for _, _, cells in named])
    if form == "label":
        return long_table(path, [_pair(*one) for one in named], skipped)
    if form == "labels":
        separators = "[;|]" if file.delimiter == "," else "[;|,]"
        return single_table(path, [_list(*one, separators) for one in named], skipped=skipped)
    return _wide(path, columns, named, skipped)


def _form(columns: Cells, rows: Sequence[Cells]) -> str:
    """Return ``label`` or ``labels`` where one column holds names, else ``wide``."""
    if len(columns) != 1:
        return "wide"
    name = label_name(columns[0])
    numbers = columns[0] != name and all(cell.lower() in _STATES for cells in rows for cell in cells)
    return "wide" if numbers or name not in ("label", "labels") else name


def _ragged(where: str, name: str, cells: Cells, wanted: int) -> TagRow | None:
    """Return the row as one that is left out where it has too many or too few fields."""
    if len(cells) == wanted:
        return None
    shown = cut([name, *cells])
    return TagRow(
        name, where, {}, f"{len(cells) + 1} fields {shown}, but the header has {wanted + 1}; correct the row", None
    )


def _pair(where: str, name: str, cells: Cells) -> TagRow:
    return _ragged(where, name, cells, 1) or TagRow(name, where, {cells[0]: True} if cells[0] else {})


def _list(where: str, name: str, cells: Cells, separators: str) -> TagRow:
    """Return the states in a cell such as ``cat;dog``; empty parts do not count."""
    if row := _ragged(where, name, cells, 1):
        return row
    return TagRow(name, where, {label.strip(): True for label in re.split(separators, cells[0]) if label.strip()})


def _wide(path: Path, columns: Cells, rows: Sequence[tuple[str, str, Cells]], skipped: Mapping[str, str]) -> TagTable:
    """Return the table of a file with a column for each class."""
    none = [number for number, column in enumerate(columns) if column == _UNLABELLED]
    names = ["_none_" if number in none else column for number, column in enumerate(columns)]
    found = [_ragged(*one, len(columns)) or _wide_row(*one, names) for one in rows]
    return single_table(path, found, asked=frozenset(names) - BACKGROUND_NAMES, skipped=skipped)


def _wide_row(where: str, name: str, cells: Cells, columns: Cells) -> TagRow:
    """Return the states of one row; what is none leaves its class unknown."""
    states = {column: _STATES.get(cell.lower()) for column, cell in zip(columns, cells, strict=True)}
    wrong = {column: cell for column, cell in zip(columns, cells, strict=True) if cell.lower() not in _STATES}
    if not wrong:
        return TagRow(name, where, states)
    column, cell = next(iter(wrong.items()))
    reason = (
        f"{quoted(cell)} in column {quoted(column)}; write 1 (present), 0 (absent) or leave it empty (unknown). A "
        "column of class names is called 'label' or 'labels', and is the only one beside 'image'"
    )
    return TagRow(name, where, states, reason, frozenset(wrong))


def _verified(
    path: Path, columns: Cells, rows: Sequence[tuple[str, str, Cells]], skipped: Mapping[str, str]
) -> TagTable:
    """Return the table of labels that people verified, as Open Images has them: what has no row is unknown."""
    lower = [column.lower() for column in columns]
    label, confidence = lower.index("labelname"), lower.index("confidence")
    found = []
    for where, name, cells in rows:
        row = _ragged(where, name, cells, len(columns))
        found.append(row or _wide_row(where, name, [cells[confidence]], [cells[label]]))
    return TagTable(path, tuple(found), frozenset(), skipped)
