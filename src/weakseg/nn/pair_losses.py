"""Losses over pairs of neighbouring cells whose labels are known: alike or not, and how far apart."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from weakseg.artifacts import UNDECIDED
from weakseg.checks import check_rank, check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.stencil import Offset, shifted_views

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


def affinity_loss(affinity: Tensor, pairs: Pairs) -> Tensor:
    """Return ``1/4 mean_bg -ln a + 1/4 mean_fg -ln a + 1/2 mean_diff -ln(1 - a)``, means over all images.

    Logarithms and counts are guarded by 1e-5, so a missing kind counts 0, and a perfect value is slightly negative.

    Args:
        affinity: ``(B, P, h, w)`` in [0, 1].
        pairs: From ``label_pairs``.

    Reference:
        [ahn2018affinitynet], equation 5, and [ahn2019irnet], equation of the boundary loss; in both codes with these
        weights.
    """
    check_same_size("affinity", affinity.shape, "pairs", pairs.background.shape)
    alike, unlike = -torch.log(affinity + EPS), -torch.log(1 + EPS - affinity)
    background, foreground = _mean(alike, pairs.background), _mean(alike, pairs.foreground)
    return 0.25 * background + 0.25 * foreground + 0.5 * _mean(unlike, pairs.different)


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


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(chosen, values, 0).sum() / (chosen.sum() + EPS)


class _Displacement(torch.autograd.Function):
    """The loss and its derivative in one pass over the offsets: memory of one field, not of one an offset."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, pairs: Pairs, offsets: tuple[Offset, ...]) -> Tensor:
        weights = [0.5 / (2 * kind.sum() + EPS) for kind in (pairs.foreground, pairs.background)]
        loss, slope = field.new_zeros(()), torch.zeros_like(field)
        for plane, offset in enumerate(offsets):
            here, there = shifted_views(field, offset)
            ahead = field.new_tensor(offset)[:, None, None]
            targets = ahead, torch.zeros_like(ahead)
            for kind, weight, target in zip((pairs.foreground, pairs.background), weights, targets, strict=True):
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
