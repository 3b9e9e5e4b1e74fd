"""A walk of many steps as two thin factors: worth its price where one graph serves many applications."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weakseg.checks import check_rank, check_within
from weakseg.errors import ShapeError
from weakseg.ops.matrix_power import power_times
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.walk import Convention, affinity_sums, check_convention

OVERSAMPLING = 8
PROBES = 10
FAILURE = 1e-6  # probability that the bound does not hold
EXPANSION_ERROR = 1e-6
LOOSE = 0.1  # part that a node keeps to itself


@dataclass(frozen=True)
class LowRankWalk:
    """``M^t ~ F F^T + diag(k)`` for the symmetric ``M = S^-1/2 A S^-1/2``; then ``R^t = S^-1/2 M^t S^1/2``.

    Attributes:
        factor: ``(N, r)`` F: orthogonal columns, the longest first; for what spreads over regions.
        kept: ``(N,)`` k >= 0: for what loosely tied nodes keep to themselves; 0 elsewhere.
        sums: ``(N,)`` s >= 0, the row sums of the affinity.
        error: Upper bound on the spectral norm of ``M^t - F F^T - diag(k)``, exceeded with probability at most 1e-6.
    """

    factor: Tensor
    kept: Tensor
    sums: Tensor
    error: float

    def __post_init__(self) -> None:
        """Refuse factors that do not belong to the sums."""
        shapes = tuple(self.factor.shape), tuple(self.kept.shape), tuple(self.sums.shape)
        if self.factor.ndim != 2 or shapes[1] != shapes[0][:1] or shapes[2] != shapes[0][:1]:
            raise ShapeError(f"factor, kept, sums: expected (N, r), (N,) and (N,), got {shapes}")

    def apply(self, values: Tensor, *, convention: Convention = "average") -> Tensor:
        """Return ``weakseg.ops.walk.walk`` of ``(N, C)`` values, off by at most ``error`` in the norm described there.

        Two products with the factor; derivatives in the values. A node whose affinities are zero keeps its value.
        """
        check_convention(convention)
        check_rank("values", values, 2, "(N, C)")
        if len(values) != len(self.sums):
            raise ShapeError(f"values: expected one row for each of {len(self.sums)} nodes, got {tuple(values.shape)}")
        check_within("values", values, -math.inf, math.inf)
        root = _roots(self.sums)[:, None]
        into, out_of = (root, 1 / root) if convention == "average" else (1 / root, root)
        return out_of * _times(self.factor, self.kept, into * values)


def low_rank_walk(
    affinity: SparseMatrix, steps: int, rank: int, *, generator: torch.Generator, oversampling: int = OVERSAMPLING
) -> LowRankWalk:
    """Return a walk of t steps, t even, as thin factors: ``F = M^(t/2) Q``, Q a basis of ``M^(t/2)`` times noise.

    What F leaves, ``M^(t/2) (I - Q Q^T) M^(t/2)``, is positive semi-definite. A node that keeps a part
    ``M_ii^t > 0.1`` to itself, as pixels on a boundary do, would cost a column each. Such nodes are left out of Q, and
    the diagonal ``k_i = M_ii^t``, at most what F leaves there, stands for them. What they exchange with others is then
    the part that no rank brings back: see ``error``. Graphs of several images may be one block-diagonal matrix; they
    share the rank.

    Args:
        affinity: ``(N, N)`` symmetric, >= 0; see ``walk``. Taken as fixed: no derivatives in it.
        steps: t, even, >= 2.
        rank: r >= 1; at most N is used.
        generator: Where the noise comes from; the same state gives the same factors.
        oversampling: Further columns that are drawn and dropped at the end, >= 0.

    Raises:
        ShapeError: If the affinity is none, ``steps`` is odd or ``rank`` below 1.

    Reference:
        [halko2011randomness], algorithm 4.1 for M^(t/2); the bound is lemma 4.1.
    """
    if steps < 2 or steps % 2 or rank < 1 or oversampling < 0:
        got = f"{steps}, {rank}, {oversampling}"
        raise ShapeError(f"steps, rank, oversampling: expected even >= 2, >= 1 and >= 0, got {got}")
    with torch.no_grad():
        sums = affinity_sums(affinity)
        matrix = _symmetric_transition(affinity, sums)
        alone = torch.where(sums > 0, matrix.diagonal() ** steps, 1)
        shared = (alone <= LOOSE).to(sums.dtype)[:, None]
        noise = _normal(sums, min(rank + oversampling, len(sums)), generator)
        range_ = shared * power_times(matrix, noise, steps // 2, error=EXPANSION_ERROR)
        basis = shared * torch.linalg.qr(range_).Q  # once the range is used up, Q goes on with any coordinates
        factor = _truncate(power_times(matrix, basis, steps // 2, error=EXPANSION_ERROR), rank)
        kept = torch.where(alone > LOOSE, alone, 0)
        return LowRankWalk(factor, kept, sums, _bound(matrix, factor, kept * (sums > 0), steps, generator))


def _times(factor: Tensor, kept: Tensor, x: Tensor) -> Tensor:
    """Return ``(F F^T + diag(k)) x``."""
    return factor @ (factor.T @ x) + kept[:, None] * x


def _roots(sums: Tensor) -> Tensor:
    """Return ``sqrt(s)``, 1 where s is 0."""
    return torch.where(sums > 0, sums, 1).sqrt()


def _symmetric_transition(affinity: SparseMatrix, sums: Tensor) -> SparseMatrix:
    """Return ``M = S^-1/2 A S^-1/2``, zero rows left zero."""
    root, pattern = _roots(sums), affinity.pattern
    return SparseMatrix(pattern, affinity.values / (root[pattern.rows] * root[pattern.columns]))


def _truncate(factor: Tensor, rank: int) -> Tensor:
    """Return the best ``(N, rank)`` factor of ``F F^T``, columns from the longest to the shortest."""
    turn: Tensor = torch.linalg.eigh(factor.T @ factor).eigenvectors
    return factor @ turn.flip(1)[:, :rank]


def _bound(matrix: SparseMatrix, factor: Tensor, kept: Tensor, steps: int, generator: torch.Generator) -> float:
    """Bound the norm of what is left: ``a sqrt(2 / pi)`` times its largest effect on n probes, but for odds of a^-n."""
    probes = _normal(kept, PROBES, generator)
    left = power_times(matrix, probes, steps, error=EXPANSION_ERROR) - _times(factor, kept, probes)
    scale = math.exp(-math.log(FAILURE) / PROBES) * math.sqrt(2 / math.pi)
    return scale * float(torch.linalg.vector_norm(left, dim=0).max()) + EXPANSION_ERROR


def _normal(like: Tensor, columns: int, generator: torch.Generator) -> Tensor:
    """Return ``(N, columns)`` standard normal numbers."""
    drawn = torch.randn(len(like), columns, generator=generator, dtype=like.dtype, device=generator.device)
    return drawn.to(like.device)
