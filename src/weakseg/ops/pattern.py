"""Which entries of a sparse matrix are stored: compressed rows."""

import itertools
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from weakseg.checks import check_rank
from weakseg.errors import ShapeError

ROW_BLOCK = 64


@dataclass(frozen=True, eq=False)
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
    @torch.inference_mode(False)
    def row_length(self) -> int | None:
        """Entries of a row where all rows have equally many, and some; else ``None``."""
        least, most = (int(length) for length in torch.aminmax(self.row_starts.diff())) if self.num_rows else (0, 0)
        return least if least == most and least else None

    @cached_property
    @torch.inference_mode(False)
    def rows(self) -> Tensor:
        """``(M,)`` int64: the row of each entry."""
        index = torch.arange(self.num_rows, device=self.columns.device)
        return torch.repeat_interleave(index, self.row_starts.diff(), output_size=self.num_entries)

    @cached_property
    @torch.inference_mode(False)
    def transposed(self) -> tuple["Pattern", Tensor]:
        """The pattern of the transposed matrix, and ``(M,)`` int64: where each of its entries was."""
        order = torch.argsort(self.columns, stable=True)
        return Pattern(row_starts_of(self.columns, self.num_columns), self.rows[order].int(), self.num_rows), order

    @cached_property
    @torch.inference_mode(False)
    def blocks(self) -> list[tuple[int, int, int, int, int, int]]:
        """Rows ``[r0, r1)``, entries ``[e0, e1)`` and columns ``[c0, c1)`` that they reach, for ``ROW_BLOCK`` rows."""
        edges = [*range(0, self.num_rows, ROW_BLOCK), self.num_rows]
        block, columns = self.rows // ROW_BLOCK, self.columns.long()
        low = columns.new_full((len(edges) - 1,), self.num_columns).scatter_reduce(0, block, columns, "amin").tolist()
        high = columns.new_zeros(len(edges) - 1).scatter_reduce(0, block, columns, "amax").tolist()
        spans = zip(itertools.pairwise(edges), itertools.pairwise(self.row_starts[edges].tolist()), strict=True)
        return [
            (*rows, *entries, first, last + 1)
            for (rows, entries), first, last in zip(spans, low, high, strict=True)
            if entries[0] < entries[1]
        ]

    @cached_property
    @torch.inference_mode(False)
    def cells(self) -> Tensor:
        """``(M,)`` int64: where each entry lies in the dense rectangle of its block, row by row."""
        out = torch.empty(self.num_entries, dtype=torch.int64, device=self.columns.device)
        for r0, _, e0, e1, c0, c1 in self.blocks:
            out[e0:e1] = (self.rows[e0:e1] - r0) * (c1 - c0) + (self.columns[e0:e1] - c0)
        return out


def row_starts_of(rows: Tensor, num_rows: int) -> Tensor:
    """Return ``(num_rows + 1,)`` int32: where each row starts, from the row of every entry, in any order."""
    counts = counts_of(rows, num_rows)
    if (total := len(rows)) >= 2**31:
        raise ShapeError(f"matrix: {total} entries are over the limit of 2^31 - 1")
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()


def counts_of(numbers: Tensor, count: int) -> Tensor:
    """Return ``(count,)`` int64: how often each number below ``count`` is among integers, all of them below it.

    ``bincount`` lets the processor wait for a GPU, whatever the length that it is asked for.
    """
    if not numbers.is_cuda:
        return torch.bincount(numbers, minlength=count)
    ones = torch.ones_like(numbers, dtype=torch.int64)
    return ones.new_zeros(count).index_add_(0, numbers, ones)
