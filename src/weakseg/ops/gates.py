"""Whether a classifier knows the classes of an image, so that its activations of them are to be trusted."""

import torch
from torch import Tensor

from weakseg.checks import check_same_size


def rank_gate(logits: Tensor, targets: Tensor) -> Tensor:
    """Return which present classes are among the n with the highest logits, n being how many classes are present.

    Args:
        logits: ``(B, K)`` float; of equal ones the first class is the higher.
        targets: ``(B, K)`` float: 1 present, 0 absent, NaN unknown; classes that are unknown do not compete.

    Returns:
        ``(B, K)`` bool; False where a class is not present.

    Reference:
        [jiang2019oaa], as in its code; the paper takes classes that are correctly predicted.
    """
    check_same_size("targets", targets.shape, "logits", logits.shape)
    known = logits.masked_fill(torch.isnan(targets), -torch.inf)
    order = torch.argsort(known, dim=1, descending=True, stable=True)
    rank = torch.argsort(order, dim=1)
    present = targets == 1
    return present & (rank < present.sum(1, keepdim=True))


def probability_gate(logits: Tensor, targets: Tensor, min_probability: float) -> Tensor:
    """Return which present classes have ``sigma(logit) >= min_probability``; arguments and result as of ``rank_gate``.

    Reference:
        [li2021groupwsss], as in its code.
    """
    check_same_size("targets", targets.shape, "logits", logits.shape)
    return (targets == 1) & (logits.sigmoid() >= min_probability)
