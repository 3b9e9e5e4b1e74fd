"""Energies of pairs of pixels: low where neighbours that look alike have equal values. To be minimised."""

import math
from typing import Any

import torch
from torch import Tensor

from weakseg.checks import check_finite, check_same_size, check_within
from weakseg.errors import ShapeError
from weakseg.ops.permutohedral import Lattice
from weakseg.ops.stencil import Offset, shifted_views


def laplacian_energy(weights: Tensor, offsets: tuple[Offset, ...], maps: Tensor) -> Tensor:
    """Return ``sum over half offsets d and cells i of w_d,i ||q_i - q_i+d||^2`` = ``tr(Q^T L Q)``, ``L = D - W``.

    Each pair counts once; the sum over ordered pairs (i, j) is twice as large. Divide by the cells for a mean.

    Args:
        weights: ``(P, h, w)``, or ``(B, P, h, w)`` for weights of each image; finite, >= 0; ignored where a cell has no
            neighbour at the offset.
        offsets: P offsets of a half plane.
        maps: ``(C, h, w)`` or ``(B, C, h, w)``, finite: probabilities, log-probabilities or anything else.

    Returns:
        One number an image, >= 0: ``()`` or ``(B,)``. First derivatives in maps (``2 L Q``) and weights; memory grows
        with the maps, not with the offsets.

    Raises:
        ShapeError: If shapes or ranges differ from the above.

    Reference:
        [pan2021wsgcn], Laplacian loss, there divided by the cells.
    """
    _check_pairs(weights, offsets, maps)
    energy: Tensor = _LaplacianEnergy.apply(weights, maps, offsets)
    return energy


def gated_crf_energy(weights: Tensor, offsets: tuple[Offset, ...], probs: Tensor) -> Tensor:
    """Return ``(1/N) sum_i sum_j k_ij (1 - <p_i, p_j>)`` over the window: how often similar neighbours disagree.

    Computed as ``(sum_i k_i (1 - ||p_i||^2) + tr(P^T L P)) / N`` with ``k_i = sum_j k_ij``, which is the same and never
    negative.

    Args:
        weights: ``(P, h, w)`` or ``(B, P, h, w)``: k between each cell and its neighbour at each half offset, >= 0; see
            ``laplacian_energy``.
        offsets: P offsets of a half plane; both directions count.
        probs: ``(C, h, w)`` or ``(B, C, h, w)``; the classes of a cell sum to one.

    Returns:
        One number an image: ``()`` or ``(B,)``; 0 for equal one-hot labels. First derivatives in probs, ``-(2/N) K P``,
        and weights.

    Raises:
        ShapeError: If shapes or ranges differ from the above.

    Reference:
        [obukhov2019gatedcrf], without gates; [zhang2021a2gnn], equation 22, as in its code: printed without the
        condition ``c_i != c_j`` it is constant.
    """
    energy = laplacian_energy(weights, offsets, probs)
    unsure = (_degrees(weights, offsets) * (1 - probs.square().sum(-3))).sum((-2, -1))
    return (energy + unsure) / math.prod(probs.shape[-2:])


def dense_crf_energy(lattice: Lattice, probs: Tensor) -> Tensor:
    """Return ``-(1/B) sum_c p_c^T A p_c`` over all pairs of pixels, each with itself included, A a Gaussian kernel.

    Up to the constant ``1^T A 1 / B`` this is the Potts energy; unlike that of ``gated_crf_energy`` it is not divided
    by the pixels, and pairs of a pixel with itself reward certainty. The kernel of the lattice is about half the
    Gaussian, which a weight of the energy has to allow for.

    Args:
        lattice: Of the ``B h w`` pixels, image after image, row after row; images in groups of their own.
        probs: ``(C, h, w)`` or ``(B, C, h, w)``, finite, of the type of the lattice; 0 where a pixel does not count.

    Returns:
        ``()``, <= 0 for probabilities. First derivative ``-(2/B) A P``, from the one filtering of the value.

    Raises:
        ShapeError: If ``probs`` is not finite or does not have one pixel a point of the lattice.

    Reference:
        [tang2018regularized], dense CRF loss; A as filtered by [adams2010permutohedral].
    """
    if probs.ndim not in (3, 4):
        raise ShapeError(f"probs: expected shape (C, h, w) or (B, C, h, w), got {tuple(probs.shape)}")
    check_finite("probs", probs)
    images = probs if probs.ndim == 4 else probs[None]
    columns = images.movedim(1, -1).flatten(0, 2)  # (B h w, C)
    if len(columns) != (points := lattice.slice.shape[0]):
        raise ShapeError(f"probs: expected one pixel for each of {points} points, got shape {tuple(probs.shape)}")
    energy: Tensor = _DenseEnergy.apply(columns, lattice)
    return energy / len(images)


class _LaplacianEnergy(torch.autograd.Function):
    """Shifted differences, computed anew on the way back."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, maps: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
        ctx.save_for_backward(weights, maps)
        ctx.offsets = offsets
        energy = maps.new_zeros(maps.shape[:-3])
        for plane, offset in enumerate(offsets):
            weight, _ = shifted_views(weights[..., plane, :, :], offset)
            here, there = shifted_views(maps, offset)
            energy = energy + (weight * (here - there).square_().sum(-3)).sum((-2, -1))
        return energy

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        weights, maps = ctx.saved_tensors
        scale = grad[..., None, None]
        by_maps = torch.zeros_like(maps)
        by_weights = maps.new_zeros(*maps.shape[:-3], *weights.shape[-3:]) if ctx.needs_input_grad[0] else None
        for plane, offset in enumerate(ctx.offsets):
            weight, _ = shifted_views(weights[..., plane, :, :], offset)
            here, there = shifted_views(maps, offset)
            difference = here - there
            if by_weights is not None:
                shifted_views(by_weights[..., plane, :, :], offset)[0].copy_(scale * difference.square().sum(-3))
            difference *= (2 * scale * weight).unsqueeze(-3)
            here, there = shifted_views(by_maps, offset)
            here += difference
            there -= difference
        return None if by_weights is None else by_weights.sum_to_size(weights.shape), by_maps, None


class _DenseEnergy(torch.autograd.Function):
    """``-sum p^T A p`` for symmetric A, whose derivative is there with the value."""

    @staticmethod
    def forward(ctx: Any, probs: Tensor, lattice: Lattice) -> Tensor:
        filtered = lattice.filter(probs)
        ctx.save_for_backward(filtered)
        return -(probs * filtered).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (filtered,) = ctx.saved_tensors
        return -2 * grad * filtered, None


def _degrees(weights: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Return ``(..., h, w)``: the sum of the weights of all pairs that a cell is in."""
    degrees = weights.new_zeros(*weights.shape[:-3], *weights.shape[-2:])
    for plane, offset in enumerate(offsets):
        weight, _ = shifted_views(weights[..., plane, :, :], offset)
        shifted_views(degrees, offset)[0].add_(weight)
        shifted_views(degrees, offset)[1].add_(weight)
    return degrees


def _check_pairs(weights: Tensor, offsets: tuple[Offset, ...], maps: Tensor) -> None:
    """Refuse weights and maps that do not belong together."""
    shapes = f"got {tuple(weights.shape)} and {tuple(maps.shape)}"
    if weights.ndim not in (3, 4) or maps.ndim not in (3, 4):
        raise ShapeError(f"weights, maps: expected (P, h, w) and (C, h, w) with or without images in front, {shapes}")
    if weights.ndim == 4 and weights.shape[:1] != maps.shape[: maps.ndim - 3]:
        raise ShapeError(f"weights, maps: expected as many images, {shapes}")
    if weights.shape[-3] != len(offsets):
        raise ShapeError(f"weights: expected one map for each of {len(offsets)} offsets, got {tuple(weights.shape)}")
    check_same_size("weights", weights.shape[-2:], "maps", maps.shape[-2:])
    check_within("weights", weights, 0, math.inf)
    check_finite("maps", maps)
