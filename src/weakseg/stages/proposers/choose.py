"""Which of several proposed masks is an object's, and when none is."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from weakseg.stages.proposers.prompt import Places

NoEvidence = Literal["", "outside", "tiny", "whole image", "error", "empty", "small", "full"]
Masks = NDArray[np.bool_]


def chosen(
    masks: Masks,
    scores: NDArray[np.float64],
    *,
    own: Sequence[Places] = (),
    others: Sequence[Places] = (),
    failures: Sequence[NoEvidence] = (),
) -> int:
    """Return the number of the mask that agrees best with marks, and of equals that of the highest score.

    The agreement of a mask is ``mean_m c(m) - mean_o c(o)``, in [-1, 1]: ``c`` is the share of a mark's pixels that the
    mask covers, m the marks on the object, o those on what it is not; a mean of none is 0. So a point counts as much as
    a scribble. Masks that are no evidence come after all that are; of equals in all the first one is taken.

    Args:
        masks: ``(M, H, W)``, at least one.
        scores: ``(M,)`` of the proposer.
        own: ``(n, 2)`` pixels of each mark on the object.
        others: Those of marks on what it is not.
        failures: Of each mask why it is no evidence; empty: all are.
    """
    reasons = failures or [""] * len(masks)

    def order(number: int) -> tuple[bool, float, float]:
        agreement = _covered(masks[number], own) - _covered(masks[number], others)
        return not reasons[number], agreement, float(scores[number])

    return max(range(len(masks)), key=order)


def failure_of(mask: Masks, whole: Masks, *, least: float) -> NoEvidence:
    """Return why a mask that does not leave its box is no evidence: ``empty``, ``small`` or ``full``.

    Args:
        mask: ``(H, W)``.
        whole: ``(H, W)``, the box.
        least: Share of the box that it has to cover.
    """
    share = mask.sum() / whole.sum()  # the IoU, since a segment does not leave its box
    return "empty" if not share else "small" if share < least else "full" if share == 1 else ""


def _covered(mask: Masks, marks: Sequence[Places]) -> float:
    """Return the mean share of marks that a mask covers."""
    return float(np.mean([mask[tuple(pixels.T)].mean() for pixels in marks])) if marks else 0.0
