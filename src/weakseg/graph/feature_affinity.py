"""How alike neighbouring cells are: by learned features, or by colour and position."""

import math
from typing import Any

import torch
from torch import Tensor

from weakseg.checks import check_within
from weakseg.errors import ShapeError
from weakseg.ops.stencil import Offset, shifted_views


def feature_affinity(features: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Return ``a_i,i+d = exp(-mean_c |F_c,i - F_c,i+d|)``.

    Args:
        features: ``(..., C, h, w)`` float, finite, C >= 1.
        offsets: P offsets (rows, columns), such as ``half_disc(5)``.

    Returns:
        ``(..., P, h, w)`` in (0, 1]; 0 where a cell has no neighbour at the offset. First derivatives, 0 where two
        features are equal. Memory beyond the result grows with the features, not with the offsets, backwards too.

    Raises:
        ShapeError: If features are not 3-D or more, have no channel or are not finite.

    Reference:
        [ahn2018affinitynet], equation of the affinity, mean instead of sum as in its code; [zhang2021a2gnn],
        equation 8.
    """
    return torch.exp(-feature_distance(features, offsets))


def feature_distance(features: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Return ``mean_c |F_c,i - F_c,i+d|``, infinite where a cell has no neighbour at the offset.

    Arguments, derivatives, memory and errors as for ``feature_affinity``.
    """
    _check_channels("features", features)
    distance: Tensor = _FeatureDistance.apply(features, offsets)
    return distance


def color_position_weights(
    image: Tensor, offsets: tuple[Offset, ...], *, color_denominator: float, position_denominator: float
) -> Tensor:
    """Return ``exp(-||I_i - I_j||^2 / color_denominator - ||i - j||^2 / position_denominator)``, j = i + d.

    WSGCN writes the denominators themselves: 12 and 20 in its code. A kernel of two standard deviations has twice
    their squares: ``2 * 0.1**2`` and ``2 * 6**2`` for the gated CRF of A2GNN.

    Args:
        image: ``(..., C, h, w)`` float colours on the scale that the denominator is for: [0, 1] in WSGCN, normalised
            by the ImageNet mean and deviation in A2GNN.
        offsets: P offsets (rows, columns), such as ``half_square(2)``.
        color_denominator: > 0, squared colour units.
        position_denominator: > 0, squared cells.

    Returns:
        ``(..., P, h, w)`` in [0, 1]; 0 where a cell has no neighbour at the offset. Derivatives.

    Raises:
        ShapeError: If the image is not 3-D or more or not finite, or a denominator is not positive.

    Reference:
        [pan2021wsgcn], weights of the Laplacian loss; [zhang2021a2gnn], equation 13, squared; [obukhov2019gatedcrf].
    """
    _check_channels("image", image)
    if min(color_denominator, position_denominator) <= 0 or math.isnan(color_denominator + position_denominator):
        raise ShapeError(f"denominators: expected > 0, got {color_denominator} and {position_denominator}")
    weights = _no_pairs(image, offsets)
    for plane, offset in enumerate(offsets):
        here, there = shifted_views(image, offset)
        near = (offset[0] ** 2 + offset[1] ** 2) / position_denominator
        alike = torch.exp(-(here - there).square().sum(-3) / color_denominator - near)
        shifted_views(weights[..., plane, :, :], offset)[0].copy_(alike)
    return weights


class _FeatureDistance(torch.autograd.Function):
    """Shifted absolute differences, computed anew on the way back."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
        distance = _no_pairs(features, offsets).fill_(math.inf)
        for plane, offset in enumerate(offsets):
            here, there = shifted_views(features, offset)
            shifted_views(distance[..., plane, :, :], offset)[0].copy_((here - there).abs_().mean(-3))
        ctx.save_for_backward(features)
        ctx.offsets = offsets
        return distance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (features,) = ctx.saved_tensors
        by_features = torch.zeros_like(features)
        scaled = grad / features.shape[-3]
        for plane, offset in enumerate(ctx.offsets):
            here, there = shifted_views(features, offset)
            push = (here - there).sign_() * shifted_views(scaled[..., plane, :, :], offset)[0].unsqueeze(-3)
            here, there = shifted_views(by_features, offset)
            here += push
            there -= push
        return by_features, None


def _no_pairs(maps: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Return ``(..., P, h, w)`` zeros for ``(..., C, h, w)`` maps."""
    return maps.new_zeros(*maps.shape[:-3], len(offsets), *maps.shape[-2:])


def _check_channels(name: str, maps: Tensor) -> None:
    if maps.ndim < 3 or not maps.shape[-3]:
        raise ShapeError(f"{name}: expected shape (C, h, w) with C >= 1, got {tuple(maps.shape)}")
    check_within(name, maps, -math.inf, math.inf)
