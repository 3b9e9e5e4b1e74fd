"""Losses of the tag classifier and the segmenter, on masks or on seeds.

Those that are no means over examples divide by ``whole_count``: where several processes share a batch, their parts add
up to its loss.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import UNDECIDED
from weakseg.settings.segment import SegmentConfig, SegmentLoss
from weakseg.whole import whole_count

PROBABILITY_FLOOR = 1e-4
RATIO_RANGE = (0.05, 20.0)  # of refined to own probabilities


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
    return (losses * known).sum() / whole_count(known.sum(), least=1)


def reactivation_loss(logits: Tensor, present: Tensor) -> Tensor:
    """Return ``(1 / B) sum_b (1 / n_b) sum_c -log softmax(s_bc)[c]`` over the n_b classes that image b shows.

    Args:
        logits: ``(R, K)`` float: s, of the feature of each class of each image, in the order of ``present.nonzero()``.
        present: ``(B, K)`` bool; an image without a class counts in B all the same.

    Returns:
        Scalar; 0, with gradient 0, where no class is present.

    Reference:
        [chen2022recam], softmax cross-entropy of its code.
    """
    images, classes = present.nonzero(as_tuple=True)
    shares = 1 / (len(present) * present.sum(1)[images].to(logits))
    return (F.cross_entropy(logits, classes, reduction="none") * shares).sum()


def focal_loss(logits: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the mean of ``(1 - p_t)^gamma CE`` over known tags; no gradient flows through the first factor.

    CE is the binary cross-entropy, and ``p_t = exp(-CE)`` the probability of what is true.

    Args:
        logits: ``(B, K)`` float.
        targets: ``(B, K)`` float: 1 present, 0 absent, NaN unknown (no loss, no gradient).
        gamma: >= 0; with 0 it is ``tag_loss``.

    Returns:
        Scalar; 0 where no tag is known.

    Reference:
        [zhang2023grm], its code. Differs from the paper: printed there is ``1 / p_t`` in place of ``p_t``, with which
        the loss explodes.
    """
    known = ~torch.isnan(targets)
    losses = F.binary_cross_entropy_with_logits(logits, torch.nan_to_num(targets), reduction="none")
    weights = (1 - torch.exp(-losses)).detach() ** gamma
    return (weights * losses * known).sum() / whole_count(known.sum(), least=1)


def segmentation_loss(logits: Tensor, labels: Tensor, kind: SegmentLoss = "cross_entropy") -> Tensor:
    """Return the pixel mean of the cross-entropy; pixels labelled 255 count nothing.

    Args:
        logits: ``(B, K + 1, H, W)`` float.
        labels: ``(B, H, W)`` int64 in {0..K, 255}.
        kind: ``cross_entropy``; ``balanced``: mean over background pixels plus mean over foreground pixels, each 0 if
            there are none; ``balanced_halved``: half of that.

    Returns:
        Scalar; 0, with gradient 0, where every pixel is undecided.
    """
    losses = F.cross_entropy(logits, labels, ignore_index=UNDECIDED, reduction="none")
    if kind == "cross_entropy":
        return losses.sum() / whole_count((labels != UNDECIDED).sum(), least=1)
    background, foreground = labels == 0, (labels > 0) & (labels != UNDECIDED)
    means = [(losses * part).sum() / whole_count(part.sum(), least=1) for part in (background, foreground)]
    return (0.5 if kind == "balanced_halved" else 1.0) * (means[0] + means[1])


def map_loss(logits: Tensor, labels: Tensor, config: SegmentConfig, *, corners: bool = False) -> Tensor:
    """Return the loss of logits of cells for labels of pixels.

    Args:
        logits: ``(B, K + 1, h, w)`` float.
        labels: ``(B, H, W)`` int64 in {0..K, 255}.
        config: Which loss, and whether logits are enlarged bilinearly to the labels, or labels are reduced to the
            logits: each cell gets that of the pixel in its middle.
        corners: Whether corner cells lie on corner pixels when logits are enlarged.

    Returns:
        Scalar; 0 where every pixel is undecided.
    """
    if config.loss_on == "cells":
        labels = F.interpolate(labels[:, None].float(), logits.shape[2:], mode="nearest-exact")[:, 0].long()
    else:
        logits = F.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=corners)
    return segmentation_loss(logits, labels, config.loss)


def floored(probs: Tensor) -> Tensor:
    """Return ``(B, L, ...)`` probabilities of which none is zero: ``p + 1e-4``, divided by the sum over labels.

    Reference:
        [huang2018dsrg], its code.
    """
    raised = probs + PROBABILITY_FLOOR
    return raised / raised.sum(1, keepdim=True)


def seeding_loss(probs: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of ``-log H`` over cells of classes, all together, plus that over cells of the background.

    Both means are of each image, 0 where it has no such cell; the loss is the mean over images.

    Args:
        probs: ``(B, L, h, w)`` float in (0, 1]: H.
        labels: ``(B, h, w)`` int64 in {0..L - 1, 255}; 255 counts nothing.

    Returns:
        Scalar; 0, with gradient 0, where nothing is labelled.

    Reference:
        [feng2021dgcn], seeding loss. Differs from the paper: the background's term is printed without the logarithm,
        which the code of [huang2018dsrg] has.
    """
    known = labels != UNDECIDED
    picked = probs.gather(1, torch.where(known, labels, 0)[:, None])[:, 0]
    losses = -torch.log(torch.where(known, picked, 1.0))
    halves = labels == 0, known & (labels != 0)
    return torch.stack([((losses * half).sum((1, 2)) / half.sum((1, 2)).clamp(min=1)).mean() for half in halves]).sum()


def boundary_loss(probs: Tensor, refined: Tensor) -> Tensor:
    """Return the mean over cells of ``sum_c Q_c log clip(Q_c / H_c, 0.05, 20)``: how far H is from what a CRF says.

    Args:
        probs: ``(B, L, h, w)`` float in (0, 1]: H.
        refined: ``(B, L, h, w)`` float in (0, 1]: Q, a constant.

    Returns:
        Scalar.

    Reference:
        [feng2021dgcn], boundary loss, over all classes as in the code of [huang2018dsrg]; the clip is that code's, too.
        Differs from it: no gradient flows through the CRF.
    """
    target = refined.detach()
    return (target * torch.log((target / probs).clamp(*RATIO_RANGE))).sum(1).mean()


def integral_loss(scores: Tensor, targets: Tensor, threshold: float = 1e-3) -> Tensor:
    """Return the mean of ``-target log sigma(F)`` over cells above the threshold, plus that of ``-log(1 - sigma(F))``.

    The first mean is over all cells of all classes of an image whose target is above the threshold, the second over the
    others; each is 0 where there are none. Low targets of an object are thus no reason to keep its scores low. The loss
    is the mean over images.

    Args:
        scores: ``(B, K, h, w)`` float: F.
        targets: ``(B, K, h, w)`` float in [0, 1]; NaN counts nothing.
        threshold: In [0, 1).

    Returns:
        Scalar.

    Reference:
        [jiang2019oaa], hybrid loss. Differs from its code: the logarithms are taken of the scores, without 1e-8 inside.
    """
    high, low = targets > threshold, targets <= threshold
    losses = torch.where(high, -torch.nan_to_num(targets) * F.logsigmoid(scores), -F.logsigmoid(-scores))
    parts = [(losses * part).sum((1, 2, 3)) / part.sum((1, 2, 3)).clamp(min=1) for part in (high, low)]
    return (parts[0] + parts[1]).mean()
