"""The terms of A2GNN's losses as formulas: cross-entropy of seeds, gated CRF, and the pull among a box's points."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.ops.neighborhood import SMALLEST_NORM
from weakseg.ops.pattern import counts_of
from weakseg.ops.sparse import SparseMatrix

SOFTPLUS_LINEAR = 40.0  # exp(-40) is below the rounding of any float that is used here


def row_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return ``(P,)``: ``log sum_c exp z_c - z_label`` of ``(P, C)`` logits; first derivatives."""
    losses: Tensor = _RowCrossEntropy.apply(logits, labels)
    return losses


def log_partition(above: Tensor) -> Tensor:
    """Return ``(P,)``: ``log(1 + sum_c exp d_c)`` of ``(P, C - 1)`` logits less that of label 0; first derivatives."""
    single = above.shape[1] == 1
    values: Tensor = F.softplus(above[:, 0], threshold=SOFTPLUS_LINEAR) if single else _LogPartition.apply(above)
    return values


def image_sums(values: Tensor, image: Tensor, num_images: int) -> Tensor:
    """Return the ``(B,)`` sums of the ``(P,)`` values of each image; ``image`` says whose each is."""
    if num_images == 1:
        return values.sum()[None]
    return values.new_zeros(num_images).index_add(0, image, values)


def mean_weights(counts: Tensor, groups: Tensor, num_groups: int) -> Tensor:
    """Return ``(P,)`` weights that sum to one over each group, in proportion to ``counts``; 0 in groups without any."""
    sums = counts.new_zeros(num_groups).index_add(0, groups, counts)
    return counts / torch.where(sums > 0, sums, 1)[groups]


def gated_crf(probs: Tensor, kernel: SparseMatrix, image: Tensor, num_images: int) -> Tensor:
    """Return ``(1/N) sum_ij k_ij (1 - p_i . p_j)`` of each image: ``(sum k - sum_c p_c^T K p_c) / N``.

    ``weakseg.ops.laplacian.gated_crf_energy`` for any graph, and for several images of any sizes.

    Args:
        probs: ``(N, C)`` of the nodes of all images, rows summing to one.
        kernel: ``(N, N)`` symmetric, >= 0.
        image: ``(N,)`` int64: whose node each is.
        num_images: B.

    Returns:
        ``(B,)`` >= 0; first derivatives ``-(2/N) sum_j k_ij p_j``.

    Reference:
        [obukhov2019gatedcrf]; [zhang2021a2gnn], equation 22, restricted to pairs of different labels as in its code: as
        printed it sums over all pairs and is a constant.
    """
    counts = counts_of(image, num_images).clamp(min=1).to(probs.dtype)
    losses: Tensor = _GatedCrf.apply(probs, kernel, image, 1 / counts)
    return losses


def pull(features: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """Return ``sum_pq (1 - cos(f_p, f_q))`` over the points of each group, in time linear in the points.

    ``n^2 - |sum_p u_p|^2``, u the features divided by their norms, 0 where a norm is 0.

    Args:
        features: ``(n, D)``.
        group: ``(n,)`` int64.
        num_groups: K.

    Returns:
        ``(K,)`` >= 0.

    Reference:
        [zhang2021a2gnn], equation 26, pairs of a point with itself included.
    """
    norms = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    units = torch.where(norms > SMALLEST_NORM, features / norms.clamp(min=SMALLEST_NORM), 0)
    counts = counts_of(group, num_groups).to(features.dtype)
    sums = features.new_zeros(num_groups, features.shape[1]).index_add(0, group, units)
    return (counts.square() - sums.square().sum(1)).clamp(min=0)


class _RowCrossEntropy(torch.autograd.Function):
    """Labels come first inside: reductions over a short last axis are several times slower."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        log_probs = torch.log_softmax(logits.T.contiguous(), 0)
        ctx.save_for_backward(log_probs, labels)
        return -log_probs.gather(0, labels[None])[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        log_probs, labels = ctx.saved_tensors
        slopes = log_probs.exp().mul_(grad)
        return slopes.scatter_add_(0, labels[None], -grad[None]).T, None


class _LogPartition(torch.autograd.Function):
    """Labels come first inside."""

    @staticmethod
    def forward(ctx: Any, above: Tensor) -> Tensor:
        log_probs = torch.log_softmax(F.pad(above.T, (0, 0, 1, 0)), 0)
        ctx.save_for_backward(log_probs)
        return -log_probs[0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (log_probs,) = ctx.saved_tensors
        slopes: Tensor = log_probs[1:].exp().mul_(grad)
        return slopes.T


class _GatedCrf(torch.autograd.Function):
    """One product with the kernel serves both ways."""

    @staticmethod
    def forward(ctx: Any, probs: Tensor, kernel: SparseMatrix, image: Tensor, shares: Tensor) -> Tensor:
        moved = kernel.times(probs)
        energy = kernel.row_sums() - (probs * moved).sum(1)
        ctx.save_for_backward(moved, image, shares)
        return torch.zeros_like(shares).index_add(0, image, energy) * shares

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        moved, image, shares = ctx.saved_tensors
        return -2 * (grad * shares)[image][:, None] * moved, None, None, None
