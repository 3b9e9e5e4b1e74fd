"""Sparse matrices as compressed rows with differentiable values."""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.checks import check_finite, check_rank
from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern, row_starts_of
from weakseg.ops.sparse_product import product, unchecked_product

DENSE_NODES = 4096  # above this a dense form is refused: 67 MB in float32


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A sparse matrix: a pattern and one value an entry.

    Attributes:
        pattern: Which entries are stored.
        values: ``(M,)`` float32 or float64; gradients flow through them.
    """

    pattern: Pattern
    values: Tensor

    def __post_init__(self) -> None:
        """Refuse values that are not one finite float an entry."""
        if self.values.shape != self.pattern.columns.shape:
            entries = self.pattern.num_entries
            raise ShapeError(f"values: expected one an entry ({entries}), got shape {tuple(self.values.shape)}")
        if self.values.dtype not in (torch.float32, torch.float64):
            raise ShapeError(f"values: expected float32 or float64, got {self.values.dtype}")
        check_finite("values", self.values)

    @classmethod
    def of_checked(cls, pattern: Pattern, values: Tensor) -> "SparseMatrix":
        """Return a matrix whose values are those of matrices that were checked: they are not looked at again."""
        matrix = cls.__new__(cls)
        object.__setattr__(matrix, "pattern", pattern)
        object.__setattr__(matrix, "values", values)
        return matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pattern.num_rows, self.pattern.num_columns

    def __matmul__(self, x: Tensor) -> Tensor:
        """Return the product with ``(columns, C)`` floats, differentiable in both."""
        return product(self.pattern, self.values, x, flipped=lambda: self._flipped)

    def times(self, x: Tensor) -> Tensor:
        """Return the same as ``@`` without a look at the numbers of ``x``: for inner loops on a GPU."""
        return unchecked_product(self.pattern, self.values, x, flipped=lambda: self._flipped)

    @cached_property
    def _flipped(self) -> Tensor:
        """The values in the order of the transposed matrix, kept for the next way back."""
        return self.values.detach().index_select(0, self.pattern.transposed[1])

    def transpose(self) -> "SparseMatrix":
        """Return the transposed matrix."""
        pattern, order = self.pattern.transposed
        flipped = self.values.index_select(0, order) if self.values.requires_grad else self._flipped
        return SparseMatrix.of_checked(pattern, flipped)

    def take_rows(self, index: Tensor) -> "SparseMatrix":
        """Return the rows that ``(R,)`` int64 ``index`` names, in its order, any of them more than once."""
        starts = self.pattern.row_starts.long()
        if (length := self.pattern.row_length) is not None:  # then nothing has to be counted
            entries = (starts[index][:, None] + torch.arange(length, device=index.device)).flatten()
            ends = torch.arange(0, len(entries) + 1, length, device=index.device)
        else:
            lengths = starts.diff()[index]
            ends = F.pad(lengths.cumsum(0), (1, 0))
            within = torch.arange(int(ends[-1]), device=index.device) - ends[:-1].repeat_interleave(lengths)
            entries = starts[index].repeat_interleave(lengths) + within
        pattern = Pattern(ends.int(), self.pattern.columns[entries], self.shape[1])
        return SparseMatrix.of_checked(pattern, self.values[entries])

    def row_sums(self) -> Tensor:
        """Return the ``(rows,)`` sums."""
        return self.times(self.values.new_ones(self.shape[1], 1))[:, 0]

    def scale(self, rows: Tensor | None = None, columns: Tensor | None = None) -> "SparseMatrix":
        """Return ``diag(rows) A diag(columns)``; ``None`` stands for ones."""
        values = self.values if rows is None else self.values * rows.index_select(0, self.pattern.rows)
        if columns is not None:
            values = values * columns.index_select(0, self.pattern.columns)
        return SparseMatrix(self.pattern, values)

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
        if self.values.device == torch.device(device):
            return self
        pattern = Pattern(self.pattern.row_starts.to(device), self.pattern.columns.to(device), self.shape[1])
        return SparseMatrix.of_checked(pattern, self.values.to(device))


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
    if edges.dtype != torch.int64:
        raise ShapeError(f"edges: expected int64, got {edges.dtype}")
    if edges.shape[0] != 2 or weights.shape != edges.shape[1:]:
        raise ShapeError(f"edges, weights: expected (2, E) and (E,), got {tuple(edges.shape)}, {tuple(weights.shape)}")
    check_finite("weights", weights)
    limit = torch.tensor(shape, device=edges.device)[:, None]
    if bool(((edges < 0) | (edges >= limit)).any()):
        raise ShapeError(f"edges: an index lies outside of the {shape} matrix")
    codes, inverse = torch.unique(edges[0] * shape[1] + edges[1], return_inverse=True)
    pattern = Pattern(row_starts_of(codes // max(shape[1], 1), shape[0]), (codes % max(shape[1], 1)).int(), shape[1])
    if len(codes) == len(weights):
        order = torch.empty_like(inverse).index_put((inverse,), torch.arange(len(inverse), device=inverse.device))
        return SparseMatrix(pattern, weights[order])
    merged = weights.new_zeros(len(codes)).scatter_reduce(0, inverse, weights, duplicates, include_self=False)
    return SparseMatrix(pattern, merged)


def block_diagonal(matrices: list[SparseMatrix]) -> SparseMatrix:
    """Return several matrices as one: the graphs of several images, of any sizes, in one computation."""
    if not matrices:
        raise ShapeError("matrices: expected at least one, got none")
    columns = list(itertools.accumulate((m.shape[1] for m in matrices), initial=0))
    entries = list(itertools.accumulate((m.pattern.num_entries for m in matrices), initial=0))
    starts = [m.pattern.row_starts[1:] + before for m, before in zip(matrices, entries, strict=False)]
    pattern = Pattern(
        torch.cat([matrices[0].pattern.row_starts[:1], *starts]),
        torch.cat([m.pattern.columns + before for m, before in zip(matrices, columns, strict=False)]),
        columns[-1],
    )
    return SparseMatrix.of_checked(pattern, torch.cat([m.values for m in matrices]))
