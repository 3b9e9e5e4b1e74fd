"""Products of sparse matrices with dense columns, and of dense rows at the entries of a pattern, with gradients."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from weakseg.checks import check_finite, check_rank
from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern

WORTH_A_BLOCK = 24  # a dense block is computed where it holds at most this many cells per entry
GATHER_FLOATS = 1 << 20  # channels are gathered for so many floats at once


def product(pattern: Pattern, values: Tensor, x: Tensor, *, flipped: Callable[[], Tensor] | None = None) -> Tensor:
    """Return ``A @ x``; first derivatives in the values of A and in x.

    Args:
        pattern: Of A, ``(R, N)``.
        values: ``(M,)`` float32 or float64.
        x: ``(N, C)``, of the same type.
        flipped: Gives the values in the order of the transposed matrix, for the way back, where they are known.

    Returns:
        ``(R, C)``.

    Raises:
        ShapeError: If shapes or types disagree.
    """
    check_rank("x", x, 2, "(N, C)")
    check_finite("x", x)
    if values.shape != pattern.columns.shape:
        raise ShapeError(f"values: expected one an entry ({pattern.num_entries}), got shape {tuple(values.shape)}")
    if len(x) != pattern.num_columns or x.dtype != values.dtype:
        raise ShapeError(
            f"x: expected ({pattern.num_columns}, C) {values.dtype}, got {tuple(x.shape)} {x.dtype}; "
            "it needs one row a column of the matrix, and its type"
        )
    return unchecked_product(pattern, values, x, flipped=flipped)


def unchecked_product(
    pattern: Pattern, values: Tensor, x: Tensor, *, flipped: Callable[[], Tensor] | None = None
) -> Tensor:
    """Return the same as ``product`` without a look at the numbers, for which a GPU would have to be waited for."""
    result: Tensor = _Product.apply(values, x, pattern, flipped)
    return result


def edge_dot(pattern: Pattern, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a_i . b_j`` for every entry (i, j), without the full product; first derivatives in both.

    Args:
        pattern: The entries, ``(R, N)``.
        a: ``(R, C)`` float.
        b: ``(N, C)`` float.

    Returns:
        ``(M,)``.

    Raises:
        ShapeError: If shapes or types disagree, or a number is not finite.
    """
    if (
        a.ndim != 2
        or b.ndim != 2
        or (len(a), len(b)) != (pattern.num_rows, pattern.num_columns)
        or a.shape[1:] != b.shape[1:]
        or a.dtype != b.dtype
    ):
        wanted = f"({pattern.num_rows}, C) and ({pattern.num_columns}, C) of one type"
        raise ShapeError(f"a, b: expected {wanted}, got {tuple(a.shape)} {a.dtype} and {tuple(b.shape)} {b.dtype}")
    check_finite("a", a)
    check_finite("b", b)
    result: Tensor = _EdgeDot.apply(a, b, pattern)
    return result


class _Product(torch.autograd.Function):
    """Sparse times dense."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, x: Tensor, pattern: Pattern, flipped: Callable[[], Tensor] | None) -> Tensor:
        ctx.save_for_backward(values, x)
        ctx.pattern, ctx.flipped = pattern, flipped
        return multiply(pattern, values, x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        values, x = ctx.saved_tensors
        by_values = _dot(ctx.pattern, grad, x) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return by_values, None, None, None
        transposed, order = ctx.pattern.transposed
        flipped = ctx.flipped() if ctx.flipped else values.index_select(0, order)
        return by_values, multiply(transposed, flipped, grad), None, None


class _EdgeDot(torch.autograd.Function):
    """Sampled dense times dense."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.pattern = pattern
        return _dot(pattern, a, b)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        a, b = ctx.saved_tensors
        by_a = multiply(ctx.pattern, grad, b) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return by_a, None, None
        transposed, order = ctx.pattern.transposed
        return by_a, multiply(transposed, grad.index_select(0, order), a), None


def multiply(pattern: Pattern, values: Tensor, x: Tensor) -> Tensor:
    """Return ``A @ x`` without checks and without derivatives: for inner loops; see ``product``."""
    return multiplier(pattern, values)(x)


def multiplier(pattern: Pattern, values: Tensor) -> Callable[[Tensor], Tensor]:
    """Return ``x -> A @ x`` like ``multiply``, for a matrix that is used many times."""
    matrix = csr_tensor(pattern, values) if pattern.num_entries else None

    def times(x: Tensor) -> Tensor:
        if matrix is None or not x.shape[1]:
            return x.new_zeros(pattern.num_rows, x.shape[1])
        with torch.autocast(x.device.type, enabled=False):
            return multiply_csr(matrix, x)

    return times


def csr_tensor(pattern: Pattern, values: Tensor) -> Tensor:
    """Return the matrix in torch's own form, for ``multiply_csr``."""
    _announce()
    shape = (pattern.num_rows, pattern.num_columns)
    return torch.sparse_csr_tensor(pattern.row_starts, pattern.columns, values, shape, check_invariants=False)


def multiply_csr(matrix: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
    """Return ``A @ x`` like ``multiply``, for a matrix with entries that is used many times; not under autocast."""
    columns = x.shape[1]
    out = x.new_empty(matrix.shape[0], columns) if out is None else out
    if columns == 1:  # one column is half the work of a matrix of one column
        return torch.mv(matrix, x[:, 0].contiguous(), out=out[:, 0])[:, None]
    return torch.addmm(out, matrix, x.contiguous(), beta=0, out=out)  # with beta = 0 the addend is not read


@cache
def _announce() -> None:
    """Make the first sparse tensor, on which torch says once that they are new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        none = torch.zeros(1, dtype=torch.int32)
        torch.sparse_csr_tensor(none, none[:0], none[:0].float(), (0, 0), check_invariants=False)


def _dot(pattern: Pattern, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a_i . b_j`` of the entries: a small dense block for rows with near columns, else by gathering."""
    out = a.new_empty(pattern.num_entries)
    for r0, r1, e0, e1, c0, c1 in pattern.blocks:
        if (r1 - r0) * (c1 - c0) <= WORTH_A_BLOCK * (e1 - e0):
            with torch.autocast(a.device.type, enabled=False):
                cells = torch.mm(a[r0:r1], b[c0:c1].T)
            torch.index_select(cells.flatten(), 0, pattern.cells[e0:e1], out=out[e0:e1])
            continue
        step = max(1, GATHER_FLOATS // max(a.shape[1], 1))
        for low in range(e0, e1, step):
            part = slice(low, min(low + step, e1))
            out[part] = (a[pattern.rows[part]] * b[pattern.columns[part]]).sum(1)
    return out
