"""Random walks on a symmetric affinity matrix, and on the cells of a grid."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from weakseg.checks import check_rank, check_same_size, check_within
from weakseg.errors import ShapeError
from weakseg.ops.matrix_power import power_times
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.stencil import Offset, stencil_matrix

Convention = Literal["average", "mass"]
SYMMETRY_TOLERANCE = 1e-4  # of the largest row sum; mirrored float32 affinities may differ by their rounding


def walk(
    affinity: SparseMatrix, values: Tensor, steps: int, *, convention: Convention = "average", error: float = 0.0
) -> Tensor:
    """Return values after a walk: ``R^t x`` ("average") or ``(R^T)^t x`` ("mass") with ``R = S^-1 A``, ``s = A 1``.

    "average": at each step a node takes the mean over its neighbours, so constants stay and no value leaves the range
    of the input; ``y <- (A y) / s``. "mass": at each step a node hands out what it has, so sums stay.

    Args:
        affinity: ``(N, N)`` symmetric, >= 0, with the diagonal that the walker may rest on. A node whose row is zero
            keeps its value.
        values: ``(N, C)`` of the same float type, finite; all columns walk at once.
        steps: t >= 0; 0 returns the values.
        convention: "average" or "mass".
        error: 0 takes t steps. Above 0 the result may be off by this much, in exchange for about
            ``sqrt(2 t ln(2 / error))`` products: ``||y - R^t x||_s <= error ||x||_s`` with the norm
            ``||v||_s^2 = sum_i s_i v_i^2`` ("mass": ``sum_i v_i^2 / s_i``), rounding aside. So one node may be off by
            ``error ||x||_s / sqrt(s_i)``, and constants come back times a number in [1 - error, 1].

    Returns:
        ``(N, C)``. First derivatives in values and affinity, that of an entry and its mirror being right together; when
        only the values need them no step is kept.

    Raises:
        ShapeError: If the affinity is not square, symmetric (row and column sums are compared), finite and >= 0, or
            an argument differs from the above.

    Reference:
        [ahn2018affinitynet] and [ahn2019irnet], propagation of scores ("average").
    """
    check_convention(convention)
    check_rank("values", values, 2, "(N, C)")
    check_within("values", values, -math.inf, math.inf)
    if not (affinity.values.requires_grad and torch.is_grad_enabled()):
        return build_walk(affinity, steps, convention=convention, error=error).apply(values)
    sums = affinity_sums(affinity)
    walked = power_times(_transition(affinity, sums, convention), values, steps, error=error)
    return torch.where((sums > 0)[:, None], walked, values)


def walk_scores(
    scores: Tensor, affinity: Tensor, offsets: tuple[Offset, ...], *, beta: float, steps: int, error: float = 0.0
) -> Tensor:
    """Return score maps spread along a grid: ``y <- (A y) / s``, ``A = a^beta`` with ones on the diagonal, t times.

    For IRNet the scores are ``suppress_boundaries(activations, boundary)``.

    Args:
        scores: ``(C, h, w)`` float, finite.
        affinity: ``(P, h, w)`` in [0, 1]: between each cell and its neighbour at each offset; ignored where there is
            no such cell.
        offsets: P offsets of a half plane.
        beta: Sharpening exponent, > 0.
        steps: t >= 0.
        error: See ``walk``.

    Returns:
        ``(C, h, w)``, each class within the range of its input.

    Raises:
        ShapeError: If shapes or ranges differ from the above.

    Reference:
        [ahn2018affinitynet] and [ahn2019irnet], propagation of scores. Differs from the code of 2018:
        pairs at the border are complete.
    """
    check_rank("scores", scores, 3, "(C, h, w)")
    check_rank("affinity", affinity, 3, "(P, h, w)")
    check_same_size("scores", scores.shape[1:], "affinity", affinity.shape[1:])
    check_within("affinity", affinity, 0, 1)
    return walk_maps(scores, stencil_matrix(affinity, offsets, diagonal=1.0), beta=beta, steps=steps, error=error)


def walk_maps(scores: Tensor, affinity: SparseMatrix, *, beta: float, steps: int, error: float = 0.0) -> Tensor:
    """Return ``(C, h, w)`` score maps spread along a graph of their cells: ``y <- (A y) / s``, ``A = a^beta``, t times.

    Args:
        scores: ``(C, h, w)`` float, finite.
        affinity: ``(h w, h w)`` symmetric, >= 0, rows of cells one after the other, with the diagonal.
        beta: Sharpening exponent, > 0.
        steps: t >= 0: as many sparse products where ``error`` is 0.
        error: See ``walk``.

    Raises:
        ShapeError: If shapes or ranges differ from the above.

    Reference:
        [zhang2021a2gnn], random walk of its code, and those of ``walk_scores``.
    """
    check_rank("scores", scores, 3, "(C, h, w)")
    check_within("scores", scores, -math.inf, math.inf)
    sharpened = SparseMatrix(affinity.pattern, affinity_power(affinity.values, beta))
    return walk(sharpened, scores.flatten(1).T, steps, error=error).T.reshape(scores.shape)


def affinity_power(affinity: Tensor, beta: float) -> Tensor:
    """Return ``a^beta`` element by element for a >= 0.

    Raises:
        ShapeError: Unless beta > 0: ``0^0 = 1`` would join all pairs. Or if an affinity is negative or not finite.
    """
    if not 0 < beta < math.inf:
        raise ShapeError(f"beta: expected > 0, got {beta}; at 0 every pair would have affinity 1")
    check_within("affinity", affinity, 0, math.inf)
    return affinity**beta


def suppress_boundaries(activations: Tensor, boundary: Tensor) -> Tensor:
    """Return ``M (1 - B)``: ``(C, h, w)`` activations without what lies on the ``(h, w)`` boundary map in [0, 1].

    Reference:
        [ahn2019irnet], start of the walk.
    """
    check_same_size("activations", activations.shape[-2:], "boundary", boundary.shape)
    check_within("boundary", boundary, 0, 1)
    return activations * (1 - boundary)


def affinity_sums(affinity: SparseMatrix) -> Tensor:
    """Return the row sums ``s``, or say in which way the matrix is no affinity.

    Raises:
        ShapeError: If it is not square, finite and >= 0, or row and column sums differ.
    """
    rows, columns = affinity.shape
    if rows != columns:
        raise ShapeError(f"affinity: expected as many rows as columns, got {affinity.shape}")
    check_within("affinity", affinity.values, 0, math.inf)
    exact = affinity.values.double()  # a rounded sum would drift by t roundings
    sums = SparseMatrix(affinity.pattern, exact).row_sums()
    with torch.no_grad():
        down = torch.zeros_like(sums).index_add(0, affinity.pattern.columns, exact)
        if rows and float((down - sums).abs().max()) > SYMMETRY_TOLERANCE * float(sums.max()):
            raise ShapeError("affinity: row and column sums differ; a walk needs a symmetric matrix, see symmetrize")
    return sums.to(affinity.values.dtype)


def check_convention(convention: str) -> None:
    """Raise ``ShapeError`` for any other word than those of ``Convention``."""
    if convention not in get_args(Convention):
        raise ShapeError(f"convention: expected one of {get_args(Convention)}, got {convention!r}")


@dataclass(frozen=True)
class Walk:
    """A walk on a fixed graph, prepared for many applications; see ``walk`` for its terms.

    Attributes:
        transition: ``R`` for "average", ``R^T`` for "mass".
        adjoint: The transposed of ``transition``.
        moves: ``(N, 1)`` bool: False for nodes whose affinities are zero, which keep their values.
        steps: t.
        error: See ``walk``.
    """

    transition: SparseMatrix
    adjoint: SparseMatrix
    moves: Tensor
    steps: int
    error: float = 0.0

    def apply(self, values: Tensor) -> Tensor:
        """Return ``(N, C)`` finite values after the walk, with derivatives in them that keep no step."""
        walked: Tensor = _Walk.apply(values, self)
        return torch.where(self.moves, walked, values)


def build_walk(affinity: SparseMatrix, steps: int, *, convention: Convention = "average", error: float = 0.0) -> Walk:
    """Return the walk on a fixed affinity, whose derivatives are not taken; arguments and errors as for ``walk``."""
    check_convention(convention)
    fixed = SparseMatrix(affinity.pattern, affinity.values.detach())
    sums = affinity_sums(fixed)
    other: Convention = "mass" if convention == "average" else "average"
    there, back = _transition(fixed, sums, convention), _transition(fixed, sums, other)
    return Walk(there, back, (sums > 0)[:, None], steps, error)


class _Walk(torch.autograd.Function):
    """A walk on a fixed graph; backwards it is the walk of the other convention, so that no step is kept."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, walk: Walk) -> Tensor:
        ctx.walk = walk
        return power_times(walk.transition, values, walk.steps, error=walk.error)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        walk = ctx.walk
        return power_times(walk.adjoint, grad, walk.steps, error=walk.error), None


def _transition(affinity: SparseMatrix, sums: Tensor, convention: Convention) -> SparseMatrix:
    """Return ``S^-1 A`` or ``A S^-1``; zero rows stay zero. Divides: ``1 / s`` would overflow for the smallest s."""
    index = affinity.pattern.rows if convention == "average" else affinity.pattern.columns
    return SparseMatrix(affinity.pattern, affinity.values / torch.where(sums > 0, sums, 1)[index])
