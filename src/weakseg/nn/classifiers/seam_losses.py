"""What SEAM wants of the evidence in a photograph and in its reduced copy: that both agree."""

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.nn.classifiers.pcm import EPS, stretched
from weakseg.nn.losses import tag_loss
from weakseg.settings.seam import SeamLossConfig


def seam_loss(large: Tensor, small: Tensor, targets: Tensor, config: SeamLossConfig) -> Tensor:
    """Return ``mean l_cls + mean l_min + L_ER + L_ECR`` over both views.

    Args:
        large: ``(B, 2 K + 1, H, W)``: maps of the first view at its size, raw and refined, see ``SeamClassifier``.
        small: ``(B, 2 K + 1, H', W')``: those of the second.
        targets: ``(B, K)`` float: 1 present, 0 absent, NaN unknown.
        config: Weights and shares.

    Reference:
        [wang2020seam], equations 7 to 10, and its code.
    """
    present = (targets == 1)[:, :, None, None].to(large.dtype)
    losses, views = [], []
    for maps in (large, small):
        raw, refined = maps[:, : targets.shape[1]], maps[:, targets.shape[1] :]
        losses.append(tag_loss(raw.mean((2, 3)), targets))
        losses.append(config.low * lowest_mean(F.relu((refined[:, 1:] * present).amax(1)), config.low_fraction))
        views.append((max_normalized(raw), max_normalized(refined)))
    size = (small.shape[2], small.shape[3])
    (first, first_refined), (second, second_refined) = ([stretched(kind, size) for kind in view] for view in views)
    first, second = first * present, second * present
    with_background = torch.cat([torch.ones_like(present[:, :1]), present], dim=1)
    correlation = hardest_mean(
        with_best(second.detach()) - first_refined * with_background, config.hard_fraction
    ) + hardest_mean(with_best(first.detach()) - second_refined * with_background, config.hard_fraction)
    views_agree = config.equivariance * (first - second).abs().mean() + config.correlation * correlation
    return 0.5 * torch.stack(losses).sum() + views_agree


def max_normalized(maps: Tensor) -> Tensor:
    """Return ``relu(p - min p - eps) / (max p - min p + eps)``, ``p = relu(maps)``, in [0, 1], over each map.

    Args:
        maps: ``(..., H, W)`` float; constant ones and those without positive values become 0.
    """
    positive = F.relu(maps)
    low, high = positive.amin((-2, -1), keepdim=True), positive.amax((-2, -1), keepdim=True)
    return F.relu(positive - low - EPS) / (high - low + EPS)


def with_best(classes: Tensor) -> Tensor:
    """Return background and classes ``(B, K + 1, H, W)`` of ``(B, K, H, W)``: of each pixel the best class alone."""
    best = classes.amax(1, keepdim=True)
    return torch.cat([1 - best, torch.where(classes == best, classes, 0)], dim=1)


def hardest_mean(differences: Tensor, fraction: float) -> Tensor:
    """Return the mean of the ``floor(fraction n)`` largest of the n absolute values of each image, at least one."""
    values = differences.abs().flatten(1)
    return values.topk(max(1, int(fraction * values.shape[1])), dim=1).values.mean()


def lowest_mean(scores: Tensor, fraction: float) -> Tensor:
    """Return the mean of the ``floor(fraction n)`` lowest of the n scores of each image, at least one."""
    values = scores.flatten(1)
    return values.topk(max(1, int(fraction * values.shape[1])), dim=1, largest=False).values.mean()


def second_view(images: Tensor, scale: float) -> Tensor:
    """Return ``(B, 3, H, W)`` images reduced by a factor, bilinearly between aligned corners.

    Reference:
        [wang2020seam], the transform of its code: 448 pixels become 134.
    """
    size = (max(1, int(images.shape[2] * scale)), max(1, int(images.shape[3] * scale)))
    return stretched(images, size)
