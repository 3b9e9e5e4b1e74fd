"""Which images a gallery shows when there are too many: the worst, the best, and an even sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weakseg.errors import ShapeError
from weakseg.report.formatting import known


@dataclass(frozen=True)
class Selection:
    """The chosen images.

    Attributes:
        indices: Increasing positions in the sequence that was chosen from.
        sentence: What was left out, for the reader; empty when nothing was.
    """

    indices: tuple[int, ...]
    sentence: str = ""


def choose(values: Sequence[float | None], limit: int) -> Selection:
    """Choose at most ``limit`` images by their measure; build pictures for these only.

    Args:
        values: One measure per image, higher is better; None and NaN are unknown, neither worst nor best.
        limit: How many to show, at least one.

    Raises:
        ShapeError: If ``limit`` is below one.
    """
    if limit < 1:
        raise ShapeError(f"max_cards: expected at least 1, got {limit}")
    if len(values) <= limit:
        return Selection(tuple(range(len(values))))
    numbers = [known(value) for value in values]
    ranked = sorted((number, index) for index, number in enumerate(numbers) if number is not None)
    ends = min(limit // 3, len(ranked) // 2)
    order = [index for _, index in ranked]
    middle = order[ends : len(order) - ends] + [index for index, number in enumerate(numbers) if number is None]
    sample = [middle[position] for position in _even_positions(len(middle), limit - 2 * ends)]
    chosen = order[:ends] + sample + order[len(order) - ends :]
    return Selection(tuple(sorted(chosen)), _sentence(limit, len(values), ends))


def _even_positions(count: int, wanted: int) -> list[int]:
    """Return ``wanted <= count`` distinct positions spread over ``range(count)``, each in the middle of its share."""
    return [int(position) for position in (np.arange(wanted) + 0.5) * count / wanted]


def _sentence(shown: int, total: int, ends: int) -> str:
    if not ends:
        return f"showing {shown:,} of {total:,}: an even sample"
    return f"showing {shown:,} of {total:,}: the worst {ends:,}, the best {ends:,}, and an even sample"
