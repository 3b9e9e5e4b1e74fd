"""Several opinions on the labels of each pixel as one."""

import math

from torch import Tensor

from weakseg.checks import check_same_size, check_within
from weakseg.errors import ShapeError

SMALLEST_SUM = 1e-12


def fuse_scores(probs: Tensor, scores: Tensor, *, weight: float = 3.0) -> Tensor:
    """Return ``(P + w R) / sum_c (P + w R)``: probabilities from those of a network and from scores of a walk.

    Args:
        probs: ``(C, h, w)``, >= 0: P.
        scores: ``(C, h, w)``, >= 0, of the same labels; those of a cell need not sum to one: R.
        weight: w >= 0.

    Returns:
        ``(C, h, w)`` in [0, 1]; the labels of a cell sum to one, and are equal where nothing speaks for any.

    Raises:
        ShapeError: If shapes differ, or a value is negative or not finite.

    Reference:
        [zhang2021a2gnn], fusion for image tags in its code, there 1 to 3.
    """
    check_same_size("probs", probs.shape, "scores", scores.shape)
    if not 0 <= weight < math.inf:
        raise ShapeError(f"weight: expected >= 0, got {weight}")
    for name, values in (("probs", probs), ("scores", scores)):
        check_within(name, values, 0, math.inf)
    total = probs + weight * scores + SMALLEST_SUM
    return total / total.sum(0, keepdim=True)
