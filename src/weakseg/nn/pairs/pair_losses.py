"""Losses over pairs of neighbouring cells whose labels are known: alike or not, and how far apart.

Means are over the whole batch, also where several processes share it.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from weakseg.artifacts import UNDECIDED
from weakseg.checks import check_rank, check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.stencil import Offset, shifted_views
from weakseg.whole import whole_count

EPS = 1e-5


class Pairs(NamedTuple):
    """Which pairs (cell, cell + offset) are of which kind: ``(B, P, h, w)`` bool each; a pair is of one kind or none.

    Attributes:
        background: Both are background.
        foreground: Both are of the same class.
        different: The labels differ.
    """

    background: Tensor
    foreground: Tensor
    different: Tensor


def label_pairs(labels: Tensor, offsets: tuple[Offset, ...]) -> Pairs:
    """Return the kinds of all pairs of cells that are both decided.

    Args:
        labels: ``(B, h, w)`` integer in {0..K, 255}.
        offsets: P offsets of a half plane.

    Reference:
        [ahn2018affinitynet], section 3.2; [ahn2019irnet], section 4.2. Differs from their code: pairs whose first cell
        lies near the border are taken too.
    """
    check_rank("labels", labels, 3, "(B, h, w)")
    batch, *size = labels.shape
    kinds = labels.new_zeros(3, batch, len(offsets), *size, dtype=torch.bool)
    for plane, offset in enumerate(offsets):
        here, there = shifted_views(labels, offset)
        decided, equal = (here != UNDECIDED) & (there != UNDECIDED), here == there
        for kind, found in enumerate((equal & (here == 0), equal & (here != 0), ~equal)):
            shifted_views(kinds[kind, :, plane], offset)[0].copy_(found & decided)
    return Pairs(*kinds)


def affinity_loss(affinity: Tensor, pairs: Pairs, *, own: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Return ``1/4 mean_bg -ln a + 1/4 mean_fg -ln a + 1/2 mean_diff -ln(1 - a)``, means over all images.

    Logarithms and counts are guarded by 1e-5, so a missing kind counts 0, and a perfect value is slightly negative.

    Args:
        affinity: ``(B, P, h, w)`` in [0, 1].
        pairs: From ``label_pairs``.
        own: From ``own_pairs``: how many cells of background and of classes there are. Each counts as half a pair of
            affinity 1, as it does where windows hold their centre and all other pairs twice.

    Reference:
        [ahn2018affinitynet], equation 5, and [ahn2019irnet], equation of the boundary loss; in both codes with these
        weights. [zhang2021a2gnn], equations 9 and 10, with the weights of its code, which counts ``own`` pairs.
    """
    check_same_size("affinity", affinity.shape, "pairs", pairs.background.shape)
    alike, unlike = -torch.log(affinity + EPS), -torch.log(1 + EPS - affinity)
    own_background, own_foreground = own or (0.0, 0.0)
    background = _mean(alike, pairs.background, own_background)
    foreground = _mean(alike, pairs.foreground, own_foreground)
    return 0.25 * background + 0.25 * foreground + 0.5 * _mean(unlike, pairs.different)


def own_pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many cells are background, and how many are of a class."""
    background = labels == 0
    return background.sum(), ((labels != UNDECIDED) & ~background).sum()


def similarity_loss(distance: Tensor, weights: Tensor, offsets: tuple[Offset, ...], inside: Tensor) -> Tensor:
    """Return ``sum of k_ij Delta_ij / #pairs`` over all pairs inside: cells that look alike get features alike.

    Args:
        distance: ``(B, P, h, w)``: Delta, from ``feature_distance``.
        weights: ``(B, P, h, w)``: k, from ``color_position_weights``; of a cell and itself 0.
        offsets: P offsets of a half plane; both directions count, and each cell and itself in the denominator.
        inside: ``(B, h, w)`` bool: which cells lie in the photograph.

    Returns:
        Scalar, >= 0; 0 where no cell is inside. First derivatives.

    Reference:
        [zhang2021a2gnn], equations 12 and 13, divided by the pairs as in its code.
    """
    check_same_size("distance", distance.shape, "weights", weights.shape)
    check_same_size("inside", inside.shape, "distance", (distance.shape[0], *distance.shape[2:]))
    both = torch.zeros_like(distance, dtype=torch.bool)
    for plane, offset in enumerate(offsets):
        here, there = shifted_views(inside, offset)
        shifted_views(both[:, plane], offset)[0].copy_(here & there)
    pairs = whole_count(2 * both.sum() + inside.sum(), least=1)
    return 2 * (weights * torch.where(both, distance, 0)).sum() / pairs


def displacement_loss(field: Tensor, pairs: Pairs, offsets: tuple[Offset, ...]) -> Tensor:
    """Return ``1/2 mean_fg |D_i - D_j - (j - i)| + 1/2 mean_bg |D_i - D_j|``, means over pairs and the two axes.

    Zero where each cell of an object points to one centre, and all background cells in one direction.

    Args:
        field: ``(B, 2, h, w)``: displacement (rows, columns) in cells.
        pairs: From ``label_pairs``.
        offsets: P offsets of a half plane.

    Reference:
        [ahn2019irnet], losses of the displacement field, halved as in its code.
    """
    check_rank("field", field, 4, "(B, 2, h, w)")
    if field.shape[1] != 2:
        raise ShapeError(f"field: expected shape (B, 2, h, w), got {tuple(field.shape)}")
    loss: Tensor = _Displacement.apply(field, pairs, offsets)
    return loss


def _mean(values: Tensor, chosen: Tensor, own: Tensor | float = 0.0) -> Tensor:
    """Return the mean of the chosen values and, as ``own`` halves, of pairs of affinity 1."""
    halves = 0.5 * torch.as_tensor(own, dtype=values.dtype, device=values.device)
    total = torch.where(chosen, values, 0).sum() - halves * math.log1p(EPS)
    return total / whole_count(chosen.sum().to(values.dtype) + halves, extra=EPS)


class _Displacement(torch.autograd.Function):
    """The loss and its derivative in one pass over the offsets: memory of one field, not of one an offset."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, pairs: Pairs, offsets: tuple[Offset, ...]) -> Tensor:
        kinds = (pairs.foreground, pairs.background)
        weights = [0.5 / whole_count(2 * kind.sum().to(field.dtype), extra=EPS) for kind in kinds]
        loss, slope = field.new_zeros(()), torch.zeros_like(field)
        for plane, offset in enumerate(offsets):
            here, there = shifted_views(field, offset)
            ahead = field.new_tensor(offset)[:, None, None]
            targets = ahead, torch.zeros_like(ahead)
            for kind, weight, target in zip(kinds, weights, targets, strict=True):
                chosen = shifted_views(kind[:, plane], offset)[0].unsqueeze(1) * weight
                rest = here - there - target
                loss = loss + (rest.abs() * chosen).sum()
                pull = rest.sign_() * chosen
                shifted_views(slope, offset)[0].add_(pull)
                shifted_views(slope, offset)[1].sub_(pull)
        ctx.save_for_backward(slope)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return grad * slope, None, None
