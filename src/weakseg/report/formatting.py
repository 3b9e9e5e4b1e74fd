"""Numbers as a reader sees them: one dash for all that is unknown, decimals shared by a column."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from weakseg.errors import ShapeError

Cell = str | int | float | None

UNKNOWN = "–"
DECIMALS_BELOW = ((1.0, 4), (100.5, 2), (1000.0, 1), (math.inf, 0))


def known(value: float | None) -> float | None:
    """Return ``value``, or None where it is NaN.

    >>> known(float("nan")) is None
    True
    """
    return None if value is None or math.isnan(value) else float(value)


def check_within(name: str, value: float | None, highest: float) -> None:
    """Raise ``ShapeError`` unless ``value`` is unknown or in [0, ``highest``]."""
    number = known(value)
    if number is not None and not 0.0 <= number <= highest:
        raise ShapeError(f"{name}: expected a value in [0, {highest:g}], None or NaN, got {number:g}")


def format_percent(fraction: float | None) -> str:
    """Return a fraction as percent with one decimal.

    >>> format_percent(0.634), format_percent(None)
    ('63.4', '–')
    """
    number = known(fraction)
    return UNKNOWN if number is None else f"{100 * number:.1f}"


def format_cell(cell: Cell) -> str:
    """Return one cell on its own: a column of one."""
    return format_column([cell])[0]


def format_column(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the cells' texts; floats share as many decimals as the largest can bear and any of them needs.

    >>> format_column([63.42, 7.0, None, "n/a", 12])
    ('63.42', '7.00', '–', 'n/a', '12')
    >>> format_column([31.2, 30.0])
    ('31.2', '30.0')
    """
    floats = [float(cell) for cell in cells if isinstance(cell, float | np.floating) and math.isfinite(cell)]
    pattern = _pattern(floats)
    return tuple(_text(cell, pattern) for cell in cells)


def is_numeric(cells: Sequence[Cell]) -> bool:
    """Return whether a column holds numbers and nothing else but unknowns."""
    kinds = [isinstance(cell, int | float | np.number) for cell in cells if cell is not None]
    return bool(kinds) and all(kinds)


def flatten_settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``("section.key", text)`` in the given order, spelled as the command line's flags are."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten_settings(value, f"{name}.")
        else:
            yield name, value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _pattern(values: Sequence[float]) -> str:
    largest = max(map(abs, values), default=0.0)
    if 0.0 < largest < 0.001:
        return ".1e"
    decimals = next(count for bound, count in DECIMALS_BELOW if largest < bound)
    while decimals and all(round(value, decimals) == round(value, decimals - 1) for value in values):
        decimals -= 1
    return f",.{decimals}f"


def _text(cell: Cell, pattern: str) -> str:
    if cell is None or isinstance(cell, str):
        return UNKNOWN if cell is None else cell
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    if isinstance(cell, int | np.integer):
        return f"{cell:,}"
    return UNKNOWN if math.isnan(cell) else format(cell, pattern)
