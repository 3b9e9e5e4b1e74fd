from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from torch import Tensor

import dense_reference as dense
from cases import each
from sparse_graphs import (
    EDGES,
    GRAPHS,
    WEIGHTS,
    close,
    densely,
    every_graph,
    grid,
    matrix_at,
    noise,
    same,
    scattered,
    special_masks,
    star,
    three_nodes,
    value_and_gradients,
)
from weakseg.errors import ShapeError
from weakseg.ops.sparse import DENSE_NODES, SparseMatrix, block_diagonal, matrix_from_edges
from weakseg.ops.sparse_product import edge_dot

FLOATS = st.sampled_from([torch.float32, torch.float64])


class TestThreeNodes:
    def test_values_follow_the_pattern(self) -> None:
        assert three_nodes().values.tolist() == [2, 3, 4, 5]
        assert three_nodes().to_dense().tolist() == [[0, 2, 0], [3, 0, 4], [0, 0, 5]]

    def test_transpose(self) -> None:
        pattern, order = three_nodes().pattern.transposed
        assert pattern.row_starts.tolist() == [0, 1, 2, 4]
        assert pattern.columns.tolist() == [1, 0, 1, 2]
        assert order.tolist() == [1, 0, 2, 3]
        assert three_nodes().transpose().to_dense().tolist() == [[0, 3, 0], [2, 0, 0], [0, 4, 5]]

    def test_row_sums_and_diagonal(self) -> None:
        assert three_nodes().row_sums().tolist() == [2, 7, 5]
        assert three_nodes().diagonal().tolist() == [0, 0, 5]

    def test_scale(self) -> None:
        rows, columns = torch.tensor([1.0, 2, 3]).double(), torch.tensor([10.0, 100, 1000]).double()
        assert three_nodes().scale().values.tolist() == [2, 3, 4, 5]
        assert three_nodes().scale(rows=rows).values.tolist() == [2, 6, 8, 15]
        assert three_nodes().scale(columns=columns).values.tolist() == [200, 30, 4000, 5000]
        assert three_nodes().scale(rows, columns).values.tolist() == [200, 60, 8000, 15000]

    def test_block_diagonal(self) -> None:
        row = matrix_from_edges(torch.tensor([[0], [1]]), torch.tensor([7.0], dtype=torch.float64), (1, 2))
        found = block_diagonal([row, three_nodes(), row]).to_dense()
        torch.testing.assert_close(found, torch.block_diag(row.to_dense(), three_nodes().to_dense(), row.to_dense()))


class TestDuplicates:
    """Cell (0, 2) is named three times, (1, 0) once."""

    EDGES = torch.tensor([[0, 0, 1, 0], [2, 2, 0, 2]])

    def matrix(self, weights: Tensor, how: str) -> SparseMatrix:
        return matrix_from_edges(self.EDGES, weights, (2, 3), duplicates=how)  # type: ignore[arg-type]

    def test_sum(self) -> None:
        weights = torch.tensor([1.0, -3.0, 7.0, 2.0], requires_grad=True)
        matrix = self.matrix(weights, "sum")
        assert matrix.values.tolist() == [0, 7]  # a sum of zero stays an entry
        assert matrix.pattern.columns.tolist() == [2, 0]
        assert torch.autograd.grad(matrix.values @ torch.tensor([10.0, 1.0]), weights)[0].tolist() == [10, 10, 1, 10]

    @pytest.mark.parametrize("weights", [(-5.0, -3.0, 7.0, -4.0), (1.0, 3.0, 7.0, 2.0)])
    def test_largest(self, weights: tuple[float, ...]) -> None:
        leaf = torch.tensor(weights, requires_grad=True)
        matrix = self.matrix(leaf, "amax")
        assert matrix.values.tolist() == [weights[1], 7]
        assert torch.autograd.grad(matrix.values @ torch.tensor([10.0, 1.0]), leaf)[0].tolist() == [0, 10, 1, 0]

    @settings(max_examples=60)
    @given(how=st.sampled_from(["sum", "amax"]), count=st.integers(0, 12), seed=st.integers(0, 2**16), dtype=FLOATS)
    def test_equal_to_the_dense_version(self, how: str, count: int, seed: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(seed)
        edges = torch.stack([torch.randint(n, (count,), generator=generator) for n in (3, 2)])
        weights = noise(count, dtype=dtype, seed=seed)
        found = value_and_gradients(
            lambda w: matrix_from_edges(edges, w, (3, 2), duplicates=how).to_dense(),  # type: ignore[arg-type]
            weights,
        )
        close(found, value_and_gradients(lambda w: dense.matrix_from_edges(edges, w, (3, 2), how), weights))


class TestLaws:
    @every_graph
    def test_order_of_the_edges_does_not_matter(self, build: Callable[[], SparseMatrix]) -> None:
        matrix = build()
        edges = torch.stack([matrix.pattern.rows, matrix.pattern.columns.long()])
        shuffled = torch.randperm(matrix.pattern.num_entries, generator=torch.Generator().manual_seed(0))
        same(matrix_from_edges(edges[:, shuffled], matrix.values[shuffled], matrix.shape), matrix)

    @every_graph
    def test_transpose_of_the_transpose(self, build: Callable[[], SparseMatrix]) -> None:
        same(build().transpose().transpose(), build())

    @every_graph
    def test_sums_and_scales_are_those_of_the_dense_form(self, build: Callable[[], SparseMatrix]) -> None:
        matrix, full = build(), build().to_dense()
        rows, columns = noise(matrix.shape[0]), noise(matrix.shape[1], seed=1)
        torch.testing.assert_close(full, densely(matrix.pattern, matrix.values))
        torch.testing.assert_close(matrix.row_sums(), full.sum(1))
        torch.testing.assert_close(matrix.scale(rows, columns).to_dense(), rows[:, None] * full * columns)

    @pytest.mark.parametrize("build", [grid, star, scattered])
    def test_diagonal_is_that_of_the_dense_form(self, build: Callable[[], SparseMatrix]) -> None:
        torch.testing.assert_close(build().diagonal(), build().to_dense().diagonal())

    def test_inputs_are_left_alone(self) -> None:
        matrix, x = scattered(), noise(170, 3)
        copies = x.clone(), matrix.values.clone(), matrix.pattern.columns.clone(), matrix.pattern.row_starts.clone()
        edge_dot(matrix.pattern, matrix @ x, matrix.transpose().scale(x[:, 0]) @ x)
        arrays = x, matrix.values, matrix.pattern.columns, matrix.pattern.row_starts
        torch.testing.assert_close(arrays, copies, rtol=0, atol=0)


class TestBlockDiagonal:
    def test_equals_one_by_one(self) -> None:
        matrices = [build() for build in GRAPHS] + [matrix_at(mask) for mask in special_masks().values()]
        together = block_diagonal(matrices)
        rows, columns = [m.shape[0] for m in matrices], [m.shape[1] for m in matrices]
        x, y = noise(sum(columns), 3), noise(sum(rows), 3, seed=1)
        parts = list(zip(matrices, x.split(columns), y.split(rows), strict=True))
        torch.testing.assert_close(together @ x, torch.cat([m @ part for m, part, _ in parts]))
        dots = [edge_dot(m.pattern, left, right) for m, right, left in parts]
        torch.testing.assert_close(edge_dot(together.pattern, y, x), torch.cat(dots))
        torch.testing.assert_close(together.transpose() @ y, torch.cat([m.transpose() @ part for m, _, part in parts]))

    def test_gradients_reach_every_matrix(self) -> None:
        matrices = [three_nodes(), matrix_at(special_masks()["wide"])]
        x = noise(203, 2)
        found = value_and_gradients(
            lambda *values: (
                block_diagonal([SparseMatrix(m.pattern, v) for m, v in zip(matrices, values, strict=True)]) @ x
            ),
            *[m.values for m in matrices],
        )
        expected = value_and_gradients(
            lambda *values: (
                torch.block_diag(*[densely(m.pattern, v) for m, v in zip(matrices, values, strict=True)]) @ x
            ),
            *[m.values for m in matrices],
        )
        close(found, expected)

    def test_one_matrix_stays_itself(self) -> None:
        same(block_diagonal([scattered()]), scattered())


class TestGradcheck:
    def test_matrix_from_edges(self) -> None:
        inputs = (noise(4).requires_grad_(),)
        assert torch.autograd.gradcheck(
            lambda w: matrix_from_edges(TestDuplicates.EDGES, w, (2, 3)).transpose().scale(noise(3)).to_dense(), inputs
        )


def test_a_pattern_first_used_in_inference_mode_serves_training() -> None:
    matrix = three_nodes()
    with torch.inference_mode():
        matrix.transpose().scale(rows=torch.ones(3, dtype=torch.float64))
    values, rows = matrix.values.clone().requires_grad_(), torch.ones(3).double().requires_grad_()
    SparseMatrix(matrix.pattern, values).scale(rows=rows).transpose().values.sum().backward()
    assert values.grad is not None
    assert rows.grad is not None
    assert values.grad.tolist() == [1, 1, 1, 1]
    assert rows.grad.tolist() == [2, 7, 5]


class TestErrors:
    @each(("edges", "weights"), [(EDGES[0], WEIGHTS), (EDGES.T, WEIGHTS), (EDGES, WEIGHTS[:3]), (EDGES, WEIGHTS[None])])
    def test_shapes_that_disagree(self, edges: Tensor, weights: Tensor) -> None:
        with pytest.raises(ShapeError, match="edges"):
            matrix_from_edges(edges, weights, (3, 3))

    @each("edge", [(-1, 0), (0, -1), (2, 0), (0, 3)])
    def test_indices_outside(self, edge: tuple[int, int]) -> None:
        with pytest.raises(ShapeError, match=r"edges: an index lies outside of the \(2, 3\) matrix"):
            matrix_from_edges(torch.tensor([[1, edge[0]], [2, edge[1]]]), torch.ones(2), (2, 3))

    @pytest.mark.parametrize("dtype", [torch.int32, torch.float32, torch.bool])
    def test_edges_of_another_type(self, dtype: torch.dtype) -> None:
        # In int32 the cell number of (99999, 99999) wraps around.
        with pytest.raises(ShapeError, match="edges: expected int64"):
            matrix_from_edges(torch.full((2, 1), 99999).to(dtype), torch.ones(1), (100_000, 100_000))

    @pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
    def test_weights_that_are_not_finite(self, value: float) -> None:
        with pytest.raises(ShapeError, match="weights: holds NaN or infinite values"):
            matrix_from_edges(EDGES, torch.tensor([1.0, value, 1.0, 1.0]), (3, 3))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.int64])
    def test_values_of_another_type(self, dtype: torch.dtype) -> None:
        with pytest.raises(ShapeError, match="values: expected float32 or float64"):
            SparseMatrix(three_nodes().pattern, torch.ones(4, dtype=dtype))

    @pytest.mark.parametrize("shape", [(3,), (5,), (4, 1)])
    def test_values_that_are_not_one_an_entry(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match=r"values: expected one an entry \(4\)"):
            SparseMatrix(three_nodes().pattern, torch.ones(shape))

    def test_a_dense_form_over_the_limit(self) -> None:
        with pytest.raises(ShapeError, match=r"\(3, 3\) is over the limit of 2 for a dense form"):
            three_nodes().to_dense(max_nodes=2)
        assert three_nodes().to_dense(max_nodes=3).shape == (3, 3)
        nothing = torch.zeros(2, 0, dtype=torch.int64)
        for shape in ((DENSE_NODES + 1, 1), (1, DENSE_NODES + 1)):
            with pytest.raises(ShapeError, match="over the limit of 4096"):
                matrix_from_edges(nothing, torch.zeros(0), shape).to_dense()
        assert matrix_from_edges(nothing, torch.zeros(0), (DENSE_NODES, 1)).to_dense().shape == (DENSE_NODES, 1)


@settings(max_examples=40)
@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6))), st.lists(st.integers(0, 5), max_size=9))
def test_rows_that_are_taken(drawn: NDArray[np.bool_], index: list[int]) -> None:
    mask = torch.from_numpy(drawn)
    edges = mask.nonzero().T
    values = torch.arange(1.0, edges.shape[1] + 1, requires_grad=True)
    matrix = matrix_from_edges(edges, values, (mask.shape[0], mask.shape[1]))
    chosen = torch.tensor([i % len(mask) for i in index], dtype=torch.int64)
    found = matrix.take_rows(chosen).to_dense()
    assert found.equal(matrix.to_dense()[chosen])
    if len(chosen):
        (slope,) = torch.autograd.grad(found.sum() + 0 * values.sum(), values)
        assert slope.tolist() == [chosen.tolist().count(row) for row in edges[0].tolist()]
