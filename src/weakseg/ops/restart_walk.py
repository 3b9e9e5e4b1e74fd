"""Random walks on directed graphs that return to where they began."""

import torch
from torch import Tensor

from weakseg.checks import check_rank
from weakseg.errors import ShapeError
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.sparse_product import multiply

RESTART = 0.15


def restart_walk(
    weights: SparseMatrix, seeds: Tensor, *, restart: float = RESTART, tolerance: float = 1e-9, max_steps: int = 1000
) -> Tensor:
    """Return how often a walk is at each node: ``x <- y + (1 - sum y) e_s``, ``y = (1 - c) P^T x``.

    ``P_uv = w_uv / max(sum_v w_uv, 1)``: what a step loses, at nodes that nothing leads away from and where weights are
    below one in sum, returns to the seed. All seeds walk at once.

    Args:
        weights: ``(N, N)`` >= 0; row u holds the edges that leave u.
        seeds: ``(S,)`` int64 nodes.
        restart: c in (0, 1), how often the walk returns to its seed anyway.
        tolerance: The walk ends where no column changes by more, in the sum of absolute values.
        max_steps: Most steps, >= 1.

    Returns:
        ``(N, S)`` of the type of the weights; columns sum to one.

    Raises:
        ShapeError: If an argument differs from the above.

    Reference:
        [tong2006rwr]; [zhang2023grm], floor of the row sums as in its published relations.
    """
    _check(weights, seeds, restart, max_steps)
    back = weights.scale(rows=(1 - restart) / weights.row_sums().clamp(min=1.0)).transpose()
    column = torch.arange(len(seeds), device=seeds.device)
    x = weights.values.new_zeros(weights.shape[0], len(seeds))
    x[seeds, column] = 1.0
    for _ in range(max_steps):
        y = multiply(back.pattern, back.values, x)
        y[seeds, column] += 1 - y.sum(0)
        change = x.sub_(y).abs_().sum(0).amax() if len(seeds) else x.new_zeros(())
        x = y
        if change <= tolerance:
            break
    return x


def _check(weights: SparseMatrix, seeds: Tensor, restart: float, max_steps: int) -> None:
    check_rank("seeds", seeds, 1, "(S,)")
    rows, columns = weights.shape
    if rows != columns or bool((weights.values < 0).any()):
        raise ShapeError(f"weights: expected a square matrix >= 0, got {weights.shape}, or a negative weight")
    if seeds.dtype != torch.int64 or bool(((seeds < 0) | (seeds >= rows)).any()):
        raise ShapeError(f"seeds: expected int64 in [0, {rows}), got {seeds.dtype}, or a node outside")
    if not 0 < restart < 1 or max_steps < 1:
        raise ShapeError(f"restart, max_steps: need in (0, 1), >= 1, got {restart}, {max_steps}")
