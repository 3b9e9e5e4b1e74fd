"""Sparse matrices as compressed rows, and their products with dense columns, forward and backward."""

import itertools
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from weakseg.checks import check_finite, check_rank
from weakseg.errors import ShapeError

DENSE_NODES = 4096  # above this a dense form is refused: 67 MB in float32
ROW_BLOCK = 64
WORTH_A_BLOCK = 24  # a dense block is computed where it holds at most this many cells per entry
GATHER_FLOATS = 1 << 20  # channels are gathered for so many floats at once

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


@dataclass(frozen=True)
class Pattern:
    """Which entries of a matrix may differ from zero: compressed rows.

    Attributes:
        row_starts: ``(R + 1,)`` int32: row r owns the entries from ``row_starts[r]`` up to ``row_starts[r + 1]``.
        columns: ``(M,)`` int32 in [0, num_columns), each at most once in a row.
        num_columns: Number of columns.
    """

    row_starts: Tensor
    columns: Tensor
    num_columns: int

    def __post_init__(self) -> None:
        """Refuse arrays of another type or rank."""
        check_rank("row_starts", self.row_starts, 1, "(R + 1,)")
        check_rank("columns", self.columns, 1, "(M,)")
        if self.row_starts.dtype != torch.int32 or self.columns.dtype != torch.int32:
            raise ShapeError(f"pattern: expected int32, got {self.row_starts.dtype} and {self.columns.dtype}")

    def check(self) -> None:
        """Raise ``ShapeError`` unless starts rise from 0 to M and columns are in range: for arrays from outside."""
        starts, columns = self.row_starts.long(), self.columns
        rising = len(starts) > 0 and starts[0] == 0 and bool((starts.diff() >= 0).all()) and starts[-1] == len(columns)
        if not rising or bool(((columns < 0) | (columns >= self.num_columns)).any()):
            raise ShapeError(f"pattern: row starts must rise from 0 to {len(columns)}, columns stay in the matrix")

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.row_starts) - 1

    @property
    def num_entries(self) -> int:
        """Number of stored entries."""
        return len(self.columns)

    @cached_property
    def rows(self) -> Tensor:
        """``(M,)`` int64: the row of each entry."""
        index = torch.arange(self.num_rows, device=self.columns.device)
        return torch.repeat_interleave(index, self.row_starts.diff(), output_size=self.num_entries)

    @cached_property
    def transposed(self) -> tuple["Pattern", Tensor]:
        """The pattern of the transposed matrix, and ``(M,)`` int64: where each of its entries was."""
        order = torch.argsort(self.columns, stable=True)
        return Pattern(_starts(self.columns, self.num_columns), self.rows[order].int(), self.num_rows), order

    @cached_property
    def blocks(self) -> list[tuple[int, int, int, int, int, int]]:
        """Rows ``[r0, r1)``, entries ``[e0, e1)`` and columns ``[c0, c1)`` that they reach, for ``ROW_BLOCK`` rows."""
        edges = [*range(0, self.num_rows, ROW_BLOCK), self.num_rows]
        starts = self.row_starts[edges].tolist()
        found = []
        for (r0, r1), (e0, e1) in zip(itertools.pairwise(edges), itertools.pairwise(starts), strict=True):
            if e1 > e0:
                low, high = torch.aminmax(self.columns[e0:e1])
                found.append((r0, r1, e0, e1, int(low), int(high) + 1))
        return found


@dataclass(frozen=True)
class SparseMatrix:
    """A sparse matrix: a pattern and one value an entry.

    Attributes:
        pattern: Which entries are stored.
        values: ``(M,)`` float32 or float64; gradients flow through them.
    """

    pattern: Pattern
    values: Tensor

    def __post_init__(self) -> None:
        """Refuse values that are not one float an entry."""
        if self.values.shape != self.pattern.columns.shape:
            entries = self.pattern.num_entries
            raise ShapeError(f"values: expected one an entry ({entries}), got shape {tuple(self.values.shape)}")
        if self.values.dtype not in (torch.float32, torch.float64):
            raise ShapeError(f"values: expected float32 or float64, got {self.values.dtype}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pattern.num_rows, self.pattern.num_columns

    def __matmul__(self, x: Tensor) -> Tensor:
        """Return the product with ``(columns, C)`` floats, differentiable in both."""
        return product(self.pattern, self.values, x)

    def transpose(self) -> "SparseMatrix":
        """Return the transposed matrix."""
        pattern, order = self.pattern.transposed
        return SparseMatrix(pattern, self.values[order])

    def row_sums(self) -> Tensor:
        """Return the ``(rows,)`` sums."""
        return (self @ self.values.new_ones(self.shape[1], 1))[:, 0]

    def scale(self, rows: Tensor | None = None, columns: Tensor | None = None) -> "SparseMatrix":
        """Return ``diag(rows) A diag(columns)``; ``None`` stands for ones."""
        values = self.values if rows is None else self.values * rows[self.pattern.rows]
        return SparseMatrix(self.pattern, values if columns is None else values * columns[self.pattern.columns])

    def diagonal(self) -> Tensor:
        """Return the ``(rows,)`` diagonal of a square matrix."""
        on = self.pattern.rows == self.pattern.columns
        index = self.pattern.rows[on]
        return self.values.new_zeros(self.shape[0]).index_put((index,), self.values[on])

    def to_dense(self, *, max_nodes: int = DENSE_NODES) -> Tensor:
        """Return the ``(rows, columns)`` dense matrix.

        Raises:
            ShapeError: If it has more than ``max_nodes`` rows or columns.
        """
        if max(self.shape) > max_nodes:
            raise ShapeError(f"matrix: {self.shape} is over the limit of {max_nodes} for a dense form; raise max_nodes")
        index = (self.pattern.rows, self.pattern.columns.long())
        return self.values.new_zeros(self.shape).index_put(index, self.values)

    def to(self, device: str | torch.device) -> "SparseMatrix":
        """Return the matrix on a device."""
        pattern = Pattern(self.pattern.row_starts.to(device), self.pattern.columns.to(device), self.shape[1])
        return SparseMatrix(pattern, self.values.to(device))


def matrix_from_edges(
    edges: Tensor, weights: Tensor, shape: tuple[int, int], *, duplicates: Literal["sum", "amax"] = "sum"
) -> SparseMatrix:
    """Return the matrix with ``A[edges[0, e], edges[1, e]] = weights[e]``.

    Args:
        edges: ``(2, E)`` int64: rows, columns.
        weights: ``(E,)`` float32 or float64, finite; gradients flow through them.
        shape: Rows and columns.
        duplicates: Entries that are named more than once are added, or the largest counts.

    Raises:
        ShapeError: If shapes disagree, an index lies outside, or a weight is not finite.
    """
    check_rank("edges", edges, 2, "(2, E)")
    if edges.shape[0] != 2 or weights.shape != edges.shape[1:]:
        raise ShapeError(f"edges, weights: expected (2, E) and (E,), got {tuple(edges.shape)}, {tuple(weights.shape)}")
    check_finite("weights", weights)
    limit = torch.tensor(shape, device=edges.device)[:, None]
    if bool(((edges < 0) | (edges >= limit)).any()):
        raise ShapeError(f"edges: an index lies outside of the {shape} matrix")
    codes, inverse = torch.unique(edges[0] * shape[1] + edges[1], return_inverse=True)
    pattern = Pattern(_starts(codes // max(shape[1], 1), shape[0]), (codes % max(shape[1], 1)).int(), shape[1])
    if len(codes) == len(weights):
        order = torch.empty_like(inverse).index_put((inverse,), torch.arange(len(inverse), device=inverse.device))
        return SparseMatrix(pattern, weights[order])
    merged = weights.new_zeros(len(codes)).scatter_reduce(0, inverse, weights, duplicates, include_self=False)
    return SparseMatrix(pattern, merged)


def block_diagonal(matrices: list[SparseMatrix]) -> SparseMatrix:
    """Return several matrices as one: the graphs of several images, of any sizes, in one computation."""
    columns = list(itertools.accumulate((m.shape[1] for m in matrices), initial=0))
    entries = list(itertools.accumulate((m.pattern.num_entries for m in matrices), initial=0))
    starts = [m.pattern.row_starts[1:] + before for m, before in zip(matrices, entries, strict=False)]
    pattern = Pattern(
        torch.cat([matrices[0].pattern.row_starts[:1], *starts]),
        torch.cat([m.pattern.columns + before for m, before in zip(matrices, columns, strict=False)]),
        columns[-1],
    )
    return SparseMatrix(pattern, torch.cat([m.values for m in matrices]))


def product(pattern: Pattern, values: Tensor, x: Tensor) -> Tensor:
    """Return ``A @ x``; first derivatives in the values of A and in x.

    Args:
        pattern: Of A, ``(R, N)``.
        values: ``(M,)`` float32 or float64.
        x: ``(N, C)``, of the same type.

    Returns:
        ``(R, C)``.

    Raises:
        ShapeError: If shapes or types disagree.
    """
    check_rank("x", x, 2, "(N, C)")
    if len(x) != pattern.num_columns or x.dtype != values.dtype:
        raise ShapeError(
            f"x: expected ({pattern.num_columns}, C) {values.dtype}, got {tuple(x.shape)} {x.dtype}; "
            "it needs one row a column of the matrix, and its type"
        )
    result: Tensor = _Product.apply(values, x, pattern)
    return result


def edge_dot(pattern: Pattern, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a_i . b_j`` for every entry (i, j), without the full product; first derivatives in both.

    Args:
        pattern: The entries, ``(R, N)``.
        a: ``(R, C)`` float.
        b: ``(N, C)`` float.

    Returns:
        ``(M,)``.
    """
    if a.ndim != 2 or b.ndim != 2 or (len(a), len(b)) != (pattern.num_rows, pattern.num_columns):
        wanted = f"({pattern.num_rows}, C) and ({pattern.num_columns}, C)"
        raise ShapeError(f"a, b: expected {wanted}, got {tuple(a.shape)} and {tuple(b.shape)}")
    result: Tensor = _EdgeDot.apply(a, b, pattern)
    return result


class _Product(torch.autograd.Function):
    """Sparse times dense."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, x: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(values, x)
        ctx.pattern = pattern
        return _multiply(pattern, values, x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        values, x = ctx.saved_tensors
        by_values = _dot(ctx.pattern, grad, x) if ctx.needs_input_grad[0] else None
        return by_values, _multiply_transposed(ctx.pattern, values, grad) if ctx.needs_input_grad[1] else None, None


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
        by_a = _multiply(ctx.pattern, grad, b) if ctx.needs_input_grad[0] else None
        return by_a, _multiply_transposed(ctx.pattern, grad, a) if ctx.needs_input_grad[1] else None, None


def _multiply(pattern: Pattern, values: Tensor, x: Tensor) -> Tensor:
    """Return ``A @ x`` through the compressed-row product of the maths library."""
    rows, columns = pattern.num_rows, x.shape[1]
    if not pattern.num_entries or not columns:
        return x.new_zeros(rows, columns)
    shape = (rows, pattern.num_columns)
    matrix = torch.sparse_csr_tensor(pattern.row_starts, pattern.columns, values, shape, check_invariants=False)
    out = x.new_empty(rows, columns)  # addmm would copy any other addend; with beta = 0 it is not read
    return torch.addmm(out, matrix, x.contiguous(), beta=0, out=out)


def _multiply_transposed(pattern: Pattern, values: Tensor, x: Tensor) -> Tensor:
    transposed, order = pattern.transposed
    return _multiply(transposed, values[order], x)


def _dot(pattern: Pattern, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a_i . b_j`` of the entries: a small dense block for rows with near columns, else by gathering."""
    out = a.new_empty(pattern.num_entries)
    for r0, r1, e0, e1, c0, c1 in pattern.blocks:
        rows, columns = pattern.rows[e0:e1], pattern.columns[e0:e1]
        if (r1 - r0) * (c1 - c0) <= WORTH_A_BLOCK * (e1 - e0):
            cells = torch.mm(a[r0:r1], b[c0:c1].T).flatten()
            out[e0:e1] = cells[(rows - r0) * (c1 - c0) + (columns - c0)]
            continue
        step = max(1, GATHER_FLOATS // max(a.shape[1], 1))
        for low in range(0, e1 - e0, step):
            part = slice(low, low + step)
            out[e0:e1][part] = (a[rows[part]] * b[columns[part]]).sum(1)
    return out


def _starts(sorted_or_not: Tensor, num_rows: int) -> Tensor:
    """Return where each row starts, from the row of every entry."""
    counts = torch.bincount(sorted_or_not, minlength=num_rows)
    if (total := len(sorted_or_not)) >= 2**31:
        raise ShapeError(f"matrix: {total} entries are over the limit of 2^31 - 1")
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()
