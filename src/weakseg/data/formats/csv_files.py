"""CSV files as people's programs write them: separated by commas, semicolons or tabs, columns under several names."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakseg.data.paths import read_text
from weakseg.errors import DataError, cut

_IMAGE = ("image", "filename", "file_name", "file", "image_name", "path", "image_path", "imageid", "image_id")
_LABEL = ("label", "class", "class_name", "labelname", "label_name", "category")
_LABELS = ("labels", "classes", "tags")
_BOX = ("xmin", "ymin", "xmax", "ymax")
_BOX_NAMES = {"x1": "xmin", "y1": "ymin", "x2": "xmax", "y2": "ymax"}


@dataclass(frozen=True)
class CsvFile:
    """The rows of a CSV file that are not blank; at least one.

    Attributes:
        path: The file.
        rows: (file and line, stripped cells) each.
        delimiter: What separates cells: a comma, a semicolon or a tab.
    """

    path: Path
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    delimiter: str

    @property
    def first(self) -> tuple[str, ...]:
        """The cells of the first row, which mostly are the names of columns."""
        return self.rows[0][1]

    def number_text(self, cell: str) -> str:
        """Return the text of a number with a decimal point; a comma that separates no cells is one."""
        return cell if self.delimiter == "," else cell.replace(",", ".")


def read_csv(path: Path, wanted: str) -> CsvFile:
    """Return the content of a CSV file; its first line decides what separates cells.

    Args:
        path: The file.
        wanted: What it should hold, for the error where it is empty.

    Raises:
        DataError: If it is missing, empty, malformed or not UTF-8.
    """
    text = read_text(path, "label file")
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    rows, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) or len(cells) > 1:
                rows.append((f"{path}:{line}", tuple(cell.strip() for cell in cells)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{line}: malformed CSV ({error}); check quotes and line ends") from error
    if not rows:
        raise DataError(f"{path}: the file is empty; {wanted}")
    return CsvFile(path, tuple(rows), delimiter)


def _delimiter(text: str) -> str:
    """Return a tab where the first line has one, a semicolon where it has one and no comma, else a comma."""
    line = text.lstrip().partition("\n")[0]
    return "\t" if "\t" in line else ";" if ";" in line and "," not in line else ","


def image_column(header: Sequence[str]) -> int | None:
    """Return which column names the photographs: ``image``, or the first that is called otherwise for the same."""
    lower = [name.lower() for name in header]
    return next((lower.index(name) for name in _IMAGE if name in lower), None)


def label_name(column: str) -> str:
    """Return ``label`` or ``labels`` for a column that is called otherwise for the same; other names stay."""
    lower = column.lower()
    return "label" if lower in _LABEL else "labels" if lower in _LABELS else column


def known_columns(header: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of points and boxes by one name each, in lower case."""
    image = image_column(header)
    names = [_BOX_NAMES.get(name.lower(), label_name(name).lower()) for name in header]
    return tuple("image" if number == image else name for number, name in enumerate(names))


def check_columns(header: Sequence[str], where: str, wanted: str) -> None:
    """Refuse columns that are empty or repeated.

    Raises:
        DataError: If there is one.
    """
    if wrong := [name for name, count in Counter(header).items() if not name or count > 1]:
        shown = cut(",".join(header))
        raise DataError(f"{where}: column {cut(wrong[0])!r} is empty or repeated in header {shown!r}; {wanted}")
