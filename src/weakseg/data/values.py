"""Single values of users' label files: finite numbers, sizes, text. Anything else is an error that says where."""

import math
import re

from weakseg.data.image import MAX_PIXELS
from weakseg.errors import DataError, cut, quoted

_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


def as_number(value: object, what: str, where: str) -> float:
    """Return a JSON number as a finite float.

    Args:
        value: The value.
        what: Its name in the file.
        where: File and entry, for the error.

    Raises:
        DataError: If it is no number, true or false, infinite, or NaN.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    raise DataError(f"{where}: {what} must be a finite number, got {shown(value)}; correct it")


def number_of_text(text: str | None, what: str, where: str) -> float:
    """Return the finite number that a text holds.

    Raises:
        DataError: If the text is missing, or holds anything else.
    """
    stripped = (text or "").strip()
    if len(stripped) > 400 or not _NUMBER.fullmatch(stripped):
        raise DataError(f"{where}: {what} must be a number, got {shown(text)}; correct it")
    return as_number(float(stripped), what, where)


def as_text(value: object, what: str, where: str) -> str:
    """Return a text that is not blank, stripped.

    Raises:
        DataError: If it is anything else.
    """
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: {what} must be text, got {shown(value)}; add or correct it")
    return value.strip()


def as_record(value: object, what: str, where: str) -> dict[str, object]:
    """Return a JSON object.

    Raises:
        DataError: If it is anything else.
    """
    if not isinstance(value, dict):
        raise DataError(f"{where}: {what} must be an object, got {shown(value)}; correct it")
    return value


def as_list(value: object, what: str, where: str) -> list[object]:
    """Return a JSON list.

    Raises:
        DataError: If it is anything else.
    """
    if not isinstance(value, list):
        raise DataError(f"{where}: {what} must be a list, got {shown(value)}; correct it")
    return value


def as_size(rows: float, columns: float, where: str) -> tuple[int, int]:
    """Return (rows, columns) of a photograph.

    Raises:
        DataError: If one is no whole number of at least 1, or they make more than ``MAX_PIXELS`` pixels.
    """
    if min(rows, columns) < 1 or rows != math.floor(rows) or columns != math.floor(columns):
        raise DataError(f"{where}: size must be whole numbers of at least 1, got {rows:g} x {columns:g}; correct it")
    if rows * columns > MAX_PIXELS:
        raise DataError(
            f"{where}: size of {rows:g} x {columns:g} is more than the limit of {MAX_PIXELS:,} pixels; correct it"
        )
    return int(rows), int(columns)


def shown(value: object) -> str:
    """Return a value for an error: short, and never the inside of a nested one."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a huge number"
    return quoted(value) if isinstance(value, str) else cut(repr(value))
