from collections.abc import Callable

import pytest
import torch

from cases import each
from sparse_graphs import every_graph, matrix_at, special_masks, three_nodes
from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix


def test_three_nodes() -> None:
    pattern = three_nodes().pattern
    assert pattern.row_starts.tolist() == [0, 1, 3, 4]
    assert pattern.columns.tolist() == [1, 0, 2, 2]
    assert pattern.rows.tolist() == [0, 1, 1, 2]
    assert (pattern.num_rows, pattern.num_columns, pattern.num_entries) == (3, 3, 4)
    assert pattern.rows.dtype == torch.int64


@every_graph
def test_columns_increase_within_a_row(build: Callable[[], SparseMatrix]) -> None:
    pattern = build().pattern
    for row in range(pattern.num_rows):
        columns = pattern.columns[pattern.row_starts[row] : pattern.row_starts[row + 1]]
        assert (columns.diff() > 0).all()


class TestErrors:
    def test_patterns_of_another_type_or_rank(self) -> None:
        starts, columns = three_nodes().pattern.row_starts, three_nodes().pattern.columns
        with pytest.raises(ShapeError, match="pattern: expected int32"):
            Pattern(starts.long(), columns, 3)
        with pytest.raises(ShapeError, match="pattern: expected int32"):
            Pattern(starts, columns.long(), 3)
        with pytest.raises(ShapeError, match="row_starts"):
            Pattern(starts[None], columns, 3)
        with pytest.raises(ShapeError, match="columns"):
            Pattern(starts, columns[None], 3)

    @each(
        ("starts", "columns"),
        [
            ([], []),
            ([0, 3, 1, 2], [0, 1]),
            ([1, 1, 2], [0, 1]),
            ([0, 1], [0, 1]),
            ([0, 3], [0, 1]),
            ([0, 1, 2], [0, 2]),
            ([0, 1, 2], [-1, 1]),
        ],
    )
    def test_patterns_that_contradict_themselves(self, starts: list[int], columns: list[int]) -> None:
        pattern = Pattern(torch.tensor(starts).int(), torch.tensor(columns).int(), 2)
        with pytest.raises(ShapeError, match="pattern: row starts must rise from 0 to"):
            pattern.check()

    @each("name", special_masks())
    def test_patterns_that_are_sound(self, name: str) -> None:
        matrix_at(special_masks()[name]).pattern.check()
