"""High powers of a sparse matrix times vectors: step by step, or through a short Chebyshev expansion."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from weakseg.errors import ShapeError
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.sparse_product import multiplier


def power_times(matrix: SparseMatrix, x: Tensor, steps: int, *, error: float = 0.0) -> Tensor:
    """Return ``M^t x``, or ``p(M) x`` with a polynomial that is within ``error`` of ``l^t`` on [-1, 1].

    Args:
        matrix: ``(N, N)``, similar to a symmetric matrix with eigenvalues in [-1, 1].
        x: ``(N, C)``, of the same type.
        steps: t >= 0.
        error: 0, or below 1; the expansion is used where its degree is below t.

    Raises:
        ShapeError: If x is not one row a column of the matrix, of its type, or as ``power_coefficients``.
    """
    if x.ndim != 2 or len(x) != matrix.shape[1] or x.dtype != matrix.values.dtype:
        wanted = f"({matrix.shape[1]}, C) {matrix.values.dtype}"
        raise ShapeError(f"x: expected {wanted}, one row a node, got {tuple(x.shape)} {x.dtype}")
    terms = power_coefficients(steps, error).tolist()
    if not error or len(terms) > steps:
        once = _multiplier(matrix, x)
        for _ in range(steps):
            x = once(x)
        return x
    total = torch.zeros_like(x)
    for coefficient, term in zip(terms, _chebyshev(matrix, x), strict=False):
        if coefficient:
            total = torch.add(total, term, alpha=coefficient)
    return total


def power_coefficients(steps: int, error: float) -> Tensor:
    """Return the fewest c with ``|l^t - sum_k c_k T_k(l)| <= error`` on [-1, 1], T_k the Chebyshev polynomials.

    Exact: ``c_k = 2^(1-t) binomial(t, (t - k) / 2)`` for k of the parity of t, half of it for k = 0. All are positive,
    so the sum of those left out is the largest error, reached at 1.

    Args:
        steps: t >= 0.
        error: In [0, 1).

    Returns:
        ``(d + 1,)`` float64; at t = 256 the degree d is 42, 52, 62 for errors 1e-2, 1e-3, 1e-4.

    Raises:
        ShapeError: If ``steps`` or ``error`` lies outside.

    Reference:
        [sachdeva2014approximation], theorem 3.3 (the tail as that of a coin tossed t times).
    """
    if steps < 0 or not 0 <= error < 1:
        raise ShapeError(f"steps, error: expected steps >= 0 and 0 <= error < 1, got {steps} and {error}")
    degree = torch.arange(steps % 2, steps, 2, dtype=torch.float64)
    ratios = (steps - degree) / (steps + degree + 2)  # of neighbouring binomials
    first = degree.new_full((1,), 0.5 if steps % 2 == 0 else 1.0)
    terms = torch.cat([first, ratios.cumprod(0)])
    terms = terms / terms.sum()
    from_here_on = terms.flip(0).cumsum(0).flip(0)
    kept = terms[from_here_on > error]
    coefficients = terms.new_zeros(steps % 2 + 2 * len(kept) - 1)
    coefficients[steps % 2 :: 2] = kept
    return coefficients


def _chebyshev(matrix: SparseMatrix, x: Tensor) -> Iterator[Tensor]:
    """Yield ``T_0(M) x``, ``T_1(M) x``, and so on without end: ``T_k+1 = 2 M T_k - T_k-1``."""
    once = _multiplier(matrix, x)
    before, now = x, once(x)
    yield before
    while True:
        yield now
        before, now = now, 2 * once(now) - before


def _multiplier(matrix: SparseMatrix, x: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the product with the matrix, which is made ready once where no derivative can be asked for."""
    if torch.is_grad_enabled() and (matrix.values.requires_grad or x.requires_grad):
        return matrix.__matmul__
    return multiplier(matrix.pattern, matrix.values)
