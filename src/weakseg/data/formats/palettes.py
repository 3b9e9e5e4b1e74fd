"""Palettes: files that say which colour of a mask is which class, as CVAT's ``labelmap.txt``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weakseg.data.paths import read_lines
from weakseg.errors import DataError

FILE_NAME = "labelmap.txt"
Colour = tuple[int, int, int]
_NAME_FIRST = re.compile(r"(?P<name>[^:]+):(?P<colour>\d+\s*,\s*\d+\s*,\s*\d+)\s*(:.*)?")
_COLOUR_FIRST = re.compile(r"(?P<colour>\d+\s+\d+\s+\d+)\s+(?P<name>.+)")
_TABLE_ROW = re.compile(r"\"?(?P<name>[^,\"]+)\"?\s*[,;]\s*(?P<colour>\d+\s*[,;]\s*\d+\s*[,;]\s*\d+)\s*")


@dataclass(frozen=True)
class Palette:
    """The colours of classes.

    Attributes:
        path: The file that says so.
        names: Class name by colour (red, green, blue), in the order of the file; the background among them.
    """

    path: Path
    names: dict[Colour, str]


def read_palette(path: Path) -> Palette:
    """Return the palette in a file.

    A line is ``name:red,green,blue`` with whatever follows a further colon (CVAT), ``name,red,green,blue`` (a table,
    whose first line may name its columns), or ``red green blue name``. Lines that begin with ``#`` are left out.

    Raises:
        DataError: If it is missing or malformed, or gives two classes one colour.
    """
    names: dict[Colour, str] = {}
    for where, name, colour in _rows(path):
        if names.setdefault(colour, name) != name:
            raise DataError(f"{where}: colour {colour} of {name!r} is that of {names[colour]!r} too; give each its own")
    if not names:
        raise DataError(f"{path}: holds no colour; write one class a line, as in crate:250,50,83::")
    return Palette(path, names)


def find_palette(folder: Path, root: Path | None = None) -> Palette | None:
    """Return the palette ``labelmap.txt`` in a folder of masks or the one above it; ``None`` where there is none.

    Args:
        folder: The folder of masks.
        root: Folder that must not be left, where there is one.
    """
    for place in (folder, folder.parent):
        path = place / FILE_NAME
        if path.is_file() and (root is None or path.resolve().is_relative_to(root)):
            return read_palette(path)
    return None


def _rows(path: Path) -> Iterator[tuple[str, str, Colour]]:
    """Yield (file and line, class name, colour) of each line."""
    for number, line in read_lines(path, "palette"):
        if line.startswith("#"):
            continue
        where = f"{path}:{number}"
        row = next(
            (found for kind in (_NAME_FIRST, _COLOUR_FIRST, _TABLE_ROW) if (found := kind.fullmatch(line))), None
        )
        if row is None:
            if number == 1 and re.fullmatch(r"name\s*[,;].*", line, re.IGNORECASE):
                continue
            raise DataError(f"{where}: {line!r:.200} is no class with a colour; write it as in crate:250,50,83::")
        red, green, blue = (int(value[:4]) for value in re.findall(r"\d+", row["colour"]))
        if max(red, green, blue) > 255:
            raise DataError(
                f"{where}: colour {red}, {green}, {blue} of {row['name']!r:.200} goes beyond 255; correct it"
            )
        yield where, row["name"].strip(), (red, green, blue)
