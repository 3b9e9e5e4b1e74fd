"""Attention over the neighbours of each node: memory grows with the edges, not with the square of the nodes."""

from typing import Any

import torch
from torch import Tensor

from weakseg.checks import check_finite
from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse_product import edge_dot, multiply, product

SMALLEST_NORM = 1e-12


def neighborhood_attention(pattern: Pattern, scores: Tensor, values: Tensor) -> Tensor:
    """Return ``h_i = sum_j P_ij v_j`` with ``P_ij = exp(s_ij) / sum_k exp(s_ik)`` over the neighbours j of i.

    Args:
        pattern: Row i holds the neighbours of node i; ``(N, N)``.
        scores: ``(M,)`` float, one an edge.
        values: ``(N, C)``, of the same type.

    Returns:
        ``(N, C)``; 0 for a node without neighbours. First derivatives in scores and values.

    Reference:
        [thekumparampil2018agnn], equation 7; [zhang2021a2gnn], equation 18, read as one softmax.
    """
    return product(pattern, edge_softmax(pattern, scores), values)


def edge_softmax(pattern: Pattern, scores: Tensor) -> Tensor:
    """Return ``(M,)`` scores as probabilities that sum to one over each row of the pattern; first derivatives."""
    if scores.shape != pattern.columns.shape:
        raise ShapeError(f"scores: expected one an edge ({pattern.num_entries}), got shape {tuple(scores.shape)}")
    check_finite("scores", scores)
    result: Tensor = _EdgeSoftmax.apply(scores, pattern)
    return result


def edge_cosine(pattern: Pattern, features: Tensor) -> Tensor:
    """Return the ``(M,)`` cosines between the ``(N, C)`` features of each edge's nodes; 0, with
    derivative 0, where one is zero."""
    norms = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    unit = torch.where(norms > SMALLEST_NORM, features / norms.clamp(min=SMALLEST_NORM), 0)
    return edge_dot(pattern, unit, unit)


class _EdgeSoftmax(torch.autograd.Function):
    """Softmax over the entries of each row."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, pattern: Pattern) -> Tensor:
        lowest = scores.new_full((pattern.num_rows,), -torch.inf)
        largest = lowest.scatter_reduce(0, pattern.rows, scores, "amax")
        raised = torch.exp(scores - largest[pattern.rows])
        probs = raised / _row_sums(pattern, raised)[pattern.rows]
        ctx.save_for_backward(probs)
        ctx.pattern = pattern
        return probs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (probs,) = ctx.saved_tensors
        weighted = probs * grad
        return weighted - probs * _row_sums(ctx.pattern, weighted)[ctx.pattern.rows], None


def _row_sums(pattern: Pattern, values: Tensor) -> Tensor:
    return multiply(pattern, values, values.new_ones(pattern.num_columns, 1))[:, 0]
