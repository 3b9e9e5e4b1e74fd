"""Values of JSON label files: each is what the format promises, or an error that names file, entry and value."""

import math
import reprlib

from weakseg.data.annotations import Position
from weakseg.data.formats.coco_masks import Size
from weakseg.data.formats.regions import check_size
from weakseg.errors import DataError

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def shown(value: object) -> str:
    """Return a value as errors show it: cut where it is long, of any depth."""
    return _SHORT.repr(value)


def object_in(value: object, what: str, where: str) -> dict[str, object]:
    """Return a JSON object; ``what`` names it for the error."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: {what} must be an object, got {shown(value)}; correct it")
    return value


def list_in(record: dict[str, object], key: str, where: str) -> list[object]:
    """Return the list at ``key``."""
    value = record.get(key)
    if not isinstance(value, list):
        raise DataError(f"{where}: {key!r} must be a list, got {shown(value)}; add or correct it")
    return value


def text_in(record: dict[str, object], key: str, where: str) -> str:
    """Return the text at ``key``, which may not be empty."""
    return as_text(record.get(key), repr(key), where)


def as_text(value: object, what: str, where: str) -> str:
    """Return text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: {what} must be text, got {shown(value)}; add or correct it")
    return value


def number_in(record: dict[str, object], key: str, where: str) -> float:
    """Return the number at ``key``."""
    return as_number(record.get(key), repr(key), where)


def as_number(value: object, what: str, where: str) -> float:
    """Return a number as float: NaN and infinity pass, an integer beyond floats becomes infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {what} must be a number, got {shown(value)}; add or correct it")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def positions_in(record: dict[str, object], key: str, where: str) -> list[Position]:
    """Return the list ``[[x, y], ...]`` at ``key`` as (row, column) positions."""
    found = []
    for number, pair in enumerate(list_in(record, key, where)):
        what = f"{key}[{number}]"
        if not isinstance(pair, list) or len(pair) != 2:
            raise DataError(f"{where}: {what} must be x and y, got {shown(pair)}; correct it")
        found.append((as_number(pair[1], what, where), as_number(pair[0], what, where)))
    return found


def size_in(record: dict[str, object], keys: tuple[str, str], where: str) -> Size | None:
    """Return (rows, columns) at two keys, in this order; ``None`` where both are missing or null."""
    values = [record.get(key) for key in keys]
    if values == [None, None]:
        return None
    for key, value in zip(keys, values, strict=True):
        if not isinstance(value, int) or isinstance(value, bool):
            raise DataError(f"{where}: {key!r} must be an integer, got {shown(value)}; add or correct it")
    rows, columns = values
    assert isinstance(rows, int) and isinstance(columns, int)
    return check_size((rows, columns), where)
