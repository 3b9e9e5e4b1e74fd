"""Palettes: files that say which colour of a mask is which class, as CVAT's ``labelmap.txt``; read and written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, voc_palette
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.paths import read_lines
from weakseg.errors import DataError, cut

FILE_NAME = "labelmap.txt"
VOID_NAMES = frozenset({"void", "ignore", "ignored", "undecided", "unlabelled", "unlabeled", "__ignore__"})
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


def palette_rows(classes: Classes, palette: Palette | None = None, *, undecided: bool = False) -> dict[str, Colour]:
    """Return the colour of each name that a palette file for masks of these classes has, in its order.

    Args:
        classes: The classes of the masks.
        palette: Whose rows are kept, classes that the masks do not have among them; ``None``: VOC's colours.
        undecided: Whether undecided pixels need a row.

    Raises:
        DataError: If the palette lacks a class, or has given another one the colour of the background, or of undecided
            pixels, which it does not name.
    """
    voc = [_as_colour(row) for row in voc_palette()]
    if palette is None:
        rows = dict(zip(("background", *classes.names), voc, strict=False))
        return {**rows, **({"undecided": voc[UNDECIDED]} if undecided else {})}
    rows = {}
    for colour, name in palette.names.items():
        rows.setdefault(name, colour)
    if missing := [name for name in classes.names if name not in rows]:
        raise DataError(f"{palette.path}: has no colour for {cut(', '.join(map(repr, missing)))}; add a line for each")
    wanted = [("background", 0, BACKGROUND_NAMES), ("undecided", UNDECIDED, VOID_NAMES)]
    for name, label, names in wanted[: 1 + undecided]:
        if not any(_is_one_of(row, names) and row not in classes.ids for row in rows):
            if voc[label] in palette.names:
                raise DataError(
                    f"{palette.path}: names no {name!r}, and its colour {voc[label]} is that of "
                    f"{palette.names[voc[label]]!r}; add a line for it, with a colour of its own"
                )
            rows[name] = voc[label]
    return rows


def label_colours(classes: Classes, palette: Palette | None = None, *, undecided: bool = False) -> NDArray[np.uint8]:
    """Return the ``(256, 3)`` colour of each label of masks, as ``palette_rows`` names them; the rest are VOC's."""
    rows, colours = palette_rows(classes, palette, undecided=undecided), voc_palette().copy()
    for label, name in enumerate(classes.names, start=1):
        colours[label] = rows[name]
    for label, names in ((0, BACKGROUND_NAMES), (UNDECIDED, VOID_NAMES)):
        if row := next((row for row in rows if _is_one_of(row, names) and row not in classes.ids), None):
            colours[label] = rows[row]
    return colours


def _is_one_of(name: str, names: frozenset[str]) -> bool:
    """Return whether a row of a palette is of the background, or of pixels that say nothing, as masks are read."""
    return name in names or (names is VOID_NAMES and name.lower() in names)


def _as_colour(row: NDArray[np.uint8]) -> Colour:
    red, green, blue = row.tolist()
    return red, green, blue


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
