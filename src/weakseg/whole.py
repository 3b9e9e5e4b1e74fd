"""Counts over a batch whose examples several processes share, so that means are those of the whole batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from weakseg.crew import ALONE, Crew

if TYPE_CHECKING:
    from torch import Tensor

_shared: tuple[Crew, float] = (ALONE, 1.0)


@contextmanager
def sharing(crew: Crew, share: float) -> Iterator[None]:
    """Let ``whole_count`` count over the batch of which this process has a part.

    Args:
        crew: The processes that share it; all of them count as often, and in the same order.
        share: Examples of the batch that are here, of all; 0: what is here counts for nothing.
    """
    global _shared
    before, _shared = _shared, (crew, share)
    try:
        yield
    finally:
        _shared = before


def whole_count(count: "Tensor", *, least: float = 0.0, extra: float = 0.0) -> "Tensor":
    """Return what a sum over a part of a batch is divided by: ``share * (max(n, least) + extra)``.

    n is the count over the whole batch. Losses of parts, weighted with their shares and added, are then the loss of the
    whole batch, as for a mean over examples. Where one process has the whole batch, n is ``count`` and the share is 1.

    Args:
        count: Scalar: what counts here.
        least: Guards against counts of 0.
        extra: Added to the count.
    """
    from torch import float32

    crew, share = _shared
    if crew.size == 1:
        found = count.clamp(min=least) if least else count
        return found + extra if extra else found
    total = crew.sum(count.detach().double() * bool(share))
    return ((total.clamp(min=least) + extra) * (share or 1.0)).to(count.dtype if count.is_floating_point() else float32)
