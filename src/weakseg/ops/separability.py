"""How well a threshold on activations tells two kinds of features apart."""

import torch
from torch import Tensor

from weakseg.checks import check_rank
from weakseg.errors import ShapeError

LEAST_CELLS = 3  # on either side of a threshold


def separability(features: Tensor, values: Tensor, thresholds: Tensor) -> Tensor:
    """Return the share of the variance of features that lies between cells above and below each threshold.

    Otsu's criterion, with features in place of grey values: ``p (1 - p) |m_1 - m_0|^2 / s^2``, where p is the share of
    the cells above the threshold, ``m_1`` and ``m_0`` are the mean features above and below it, and ``s^2`` is the
    variance of all. Each feature is divided by its length before.

    Args:
        features: ``(C, N)`` float, of N cells.
        values: ``(N,)`` float, what is compared with thresholds.
        thresholds: ``(T,)`` float.

    Returns:
        ``(T,)`` float in [0, 1]; NaN where fewer than three cells are on one side.

    Raises:
        ShapeError: If features and values are not of the same cells.

    Reference:
        [otsu1979].
    """
    check_rank("features", features, 2, "(C, N)")
    if values.shape != features.shape[1:]:
        raise ShapeError(f"values: {tuple(values.shape)}, want one for each of {features.shape[1]} cells")
    unit = features.double() / (features.double().norm(dim=0) + 1e-6)
    above = (values[None] > thresholds[:, None]).double()
    count, total = above.sum(1), above.shape[1]
    sums = unit @ above.T
    first, second = sums / count, (unit.sum(1, keepdim=True) - sums) / (total - count)
    variance = (unit - unit.mean(1, keepdim=True)).square().sum() / total
    share = count / total
    found: Tensor = share * (1 - share) * (first - second).square().sum(0) / variance.clamp(min=1e-12)
    few = (count < LEAST_CELLS) | (total - count < LEAST_CELLS)
    return found.masked_fill(few, torch.nan).float()
