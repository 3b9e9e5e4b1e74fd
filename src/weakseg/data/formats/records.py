"""Values at the keys of JSON records: each is what the format promises, or an error that names file and entry."""

import math

from weakseg.data.annotations import Position
from weakseg.data.regions import check_size
from weakseg.data.values import as_list, as_text, shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size


def list_in(record: dict[str, object], key: str, where: str) -> list[object]:
    """Return the list at ``key``."""
    return as_list(record.get(key), repr(key), where)


def text_in(record: dict[str, object], key: str, where: str) -> str:
    """Return the text at ``key``, which may not be empty."""
    return as_text(record.get(key), repr(key), where)


def number_in(record: dict[str, object], key: str, where: str) -> float:
    """Return the number at ``key``."""
    return any_number(record.get(key), repr(key), where)


def any_number(value: object, what: str, where: str) -> float:
    """Return a number as float: NaN and infinity pass, and make one shape unusable; a huge integer is infinite."""
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
        found.append((any_number(pair[1], what, where), any_number(pair[0], what, where)))
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
