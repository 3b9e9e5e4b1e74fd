"""Losses of the tag classifier and the segmenter."""

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import UNDECIDED


def tag_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the multi-label soft-margin loss: the mean of binary cross-entropies over known tags.

    Args:
        logits: ``(B, K)`` float.
        targets: ``(B, K)`` float: 1 present, 0 absent, NaN unknown (no loss, no gradient).

    Returns:
        Scalar; 0 where no tag is known.
    """
    known = ~torch.isnan(targets)
    losses = F.binary_cross_entropy_with_logits(logits, torch.nan_to_num(targets), reduction="none")
    return (losses * known).sum() / known.sum().clamp(min=1)


def segmentation_loss(logits: Tensor, labels: Tensor, *, balanced: bool = False) -> Tensor:
    """Return the pixel mean of the cross-entropy; pixels labelled 255 count nothing.

    Args:
        logits: ``(B, K + 1, H, W)`` float.
        labels: ``(B, H, W)`` int64 in {0..K, 255}.
        balanced: Mean over background pixels plus mean over foreground pixels, halved (each 0 if there are none).

    Returns:
        Scalar; 0 where every pixel is undecided.
    """
    losses = F.cross_entropy(logits, labels, ignore_index=UNDECIDED, reduction="none")
    if not balanced:
        return losses.sum() / (labels != UNDECIDED).sum().clamp(min=1)
    background, foreground = labels == 0, (labels > 0) & (labels != UNDECIDED)
    means = [(losses * part).sum() / part.sum().clamp(min=1) for part in (background, foreground)]
    return 0.5 * (means[0] + means[1])
