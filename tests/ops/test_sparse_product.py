from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from cases import each
from sparse_graphs import (
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
from weakseg.ops import sparse_product
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges
from weakseg.ops.sparse_product import edge_dot, product

FLOATS = st.sampled_from([torch.float32, torch.float64])
MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9)).map(torch.from_numpy)
CHANNELS = st.integers(0, 4)


class TestThreeNodes:
    def test_product(self) -> None:
        x = torch.tensor([[1.0, 10], [2, 20], [3, 30]], dtype=torch.float64)
        assert (three_nodes() @ x).tolist() == [[4, 40], [15, 150], [15, 150]]

    def test_gradients_of_the_product(self) -> None:
        # d sum(A x) / d a_ij = x_j for each entry (0,1), (1,0), (1,2), (2,2); by x the column sums of A: 3, 2, 9.
        values, x = WEIGHTS[[2, 3, 1, 0]].requires_grad_(), torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
        product(three_nodes().pattern, values, x.requires_grad_()).sum().backward()
        assert values.grad is not None
        assert x.grad is not None
        assert values.grad.tolist() == [2, 1, 3, 3]
        assert x.grad.flatten().tolist() == [3, 2, 9]

    def test_edge_dot(self) -> None:
        a, b = torch.tensor([[1.0, 0], [0, 1], [1, 1]]), torch.tensor([[1.0, 2], [3, 4], [5, 6]])
        assert edge_dot(three_nodes().pattern, a, b).tolist() == [3, 2, 6, 11]


class TestLaws:
    @every_graph
    def test_transpose_is_the_adjoint(self, build: Callable[[], SparseMatrix]) -> None:
        matrix = build()
        x, y = noise(matrix.shape[1], 3), noise(matrix.shape[0], 3)
        torch.testing.assert_close(((matrix @ x) * y).sum(), (x * (matrix.transpose() @ y)).sum())

    @every_graph
    def test_linear_in_columns_and_values(self, build: Callable[[], SparseMatrix]) -> None:
        matrix = build()
        x, z = noise(matrix.shape[1], 3), noise(matrix.shape[1], 3, seed=1)
        torch.testing.assert_close(matrix @ (2 * x - 3 * z), 2 * (matrix @ x) - 3 * (matrix @ z))
        torch.testing.assert_close(SparseMatrix(matrix.pattern, -4 * matrix.values) @ x, -4 * (matrix @ x))

    @pytest.mark.parametrize("build", [grid, star, scattered])
    def test_permutation_equivariance(self, build: Callable[[], SparseMatrix]) -> None:
        matrix, x = build(), noise(build().shape[0], 3)
        order = torch.randperm(matrix.shape[0], generator=torch.Generator().manual_seed(0))
        place = torch.argsort(order)  # node order[k] becomes node k
        edges = torch.stack([place[matrix.pattern.rows], place[matrix.pattern.columns]])
        permuted = matrix_from_edges(edges, matrix.values, matrix.shape)
        torch.testing.assert_close(permuted @ x[order], (matrix @ x)[order])
        torch.testing.assert_close(permuted.row_sums(), matrix.row_sums()[order])
        torch.testing.assert_close(permuted.diagonal(), matrix.diagonal()[order])
        dots = SparseMatrix(permuted.pattern, edge_dot(permuted.pattern, x[order], x[order])).to_dense()
        expected = SparseMatrix(matrix.pattern, edge_dot(matrix.pattern, x, x)).to_dense()
        torch.testing.assert_close(dots, expected[order][:, order])


class TestColumnsInAnyOrder:
    """A pattern need not be sorted within its rows."""

    @staticmethod
    def shuffled(build: Callable[[], SparseMatrix]) -> SparseMatrix:
        matrix = build()
        order = torch.randperm(matrix.pattern.num_entries, generator=torch.Generator().manual_seed(0))
        order = order[torch.argsort(matrix.pattern.rows[order], stable=True)]
        pattern = Pattern(matrix.pattern.row_starts, matrix.pattern.columns[order], matrix.shape[1])
        return SparseMatrix(pattern, matrix.values[order])

    @every_graph
    def test_product_and_transpose(self, build: Callable[[], SparseMatrix]) -> None:
        found = self.shuffled(build)
        assert not torch.equal(found.pattern.columns, build().pattern.columns)
        x, y = noise(found.shape[1], 3), noise(found.shape[0], 3)
        torch.testing.assert_close(found @ x, build() @ x)
        same(found.transpose(), build().transpose())
        _, by_values, by_x = value_and_gradients(lambda v, x: product(found.pattern, v, x), found.values, x)
        full = build().to_dense()
        torch.testing.assert_close(by_x, full.T @ noise(*y.shape, seed=9))
        chosen = (noise(*y.shape, seed=9) @ x.T)[found.pattern.rows, found.pattern.columns.long()]
        torch.testing.assert_close(by_values, chosen)

    @every_graph
    def test_dots(self, build: Callable[[], SparseMatrix]) -> None:
        pattern = self.shuffled(build).pattern
        a, b = noise(pattern.num_rows, 3), noise(pattern.num_columns, 3, seed=1)
        torch.testing.assert_close(edge_dot(pattern, a, b), (a @ b.T)[pattern.rows, pattern.columns.long()])


class TestAgainstTheDenseVersion:
    """Value and gradient."""

    @staticmethod
    def check(mask: Tensor, channels: int, dtype: torch.dtype) -> None:
        matrix = matrix_at(mask, dtype=dtype)
        pattern = matrix.pattern
        x, a = noise(mask.shape[1], channels, dtype=dtype), noise(mask.shape[0], channels, dtype=dtype, seed=2)
        found = value_and_gradients(lambda v, x: SparseMatrix(pattern, v) @ x, matrix.values, x)
        close(found, value_and_gradients(lambda v, x: densely(pattern, v) @ x, matrix.values, x))
        found = value_and_gradients(lambda v, a: SparseMatrix(pattern, v).transpose() @ a, matrix.values, a)
        close(found, value_and_gradients(lambda v, a: densely(pattern, v).T @ a, matrix.values, a))
        found = value_and_gradients(lambda a, x: edge_dot(pattern, a, x), a, x)
        close(found, value_and_gradients(lambda a, x: (a @ x.T)[mask], a, x))
        assert found[0].dtype == dtype

    @each("dtype", [torch.float32, torch.float64])
    @each("name", special_masks())
    def test_special_patterns(self, name: str, dtype: torch.dtype) -> None:
        self.check(special_masks()[name], 3, dtype)

    @settings(max_examples=60)
    @given(mask=MASKS, channels=CHANNELS, dtype=FLOATS)
    def test_random_patterns(self, mask: Tensor, channels: int, dtype: torch.dtype) -> None:
        self.check(mask, channels, dtype)

    @every_graph
    @each(("worth", "floats"), [(0, 1 << 20), (0, 7), (0, 64), (10**9, 7), (24, 64)])
    def test_dense_blocks_and_gathering_give_the_same(
        self, build: Callable[[], SparseMatrix], worth: int, floats: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pattern = build().pattern
        a, b = noise(pattern.num_rows, 3), noise(pattern.num_columns, 3, seed=1)
        monkeypatch.setattr(sparse_product, "WORTH_A_BLOCK", worth)
        monkeypatch.setattr(sparse_product, "GATHER_FLOATS", floats)
        torch.testing.assert_close(edge_dot(pattern, a, b), (a @ b.T)[pattern.rows, pattern.columns.long()])

    @pytest.mark.parametrize("worth", [0, 10**9])
    def test_dots_without_channels_are_zero(self, worth: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sparse_product, "WORTH_A_BLOCK", worth)
        assert edge_dot(three_nodes().pattern, torch.ones(3, 0), torch.ones(3, 0)).tolist() == [0, 0, 0, 0]

    def test_each_route_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []
        multiply = torch.mm
        monkeypatch.setattr(torch, "mm", lambda a, b: sizes.append(len(a)) or multiply(a, b))  # type: ignore[func-returns-value]
        edge_dot(grid().pattern, noise(99, 3), noise(99, 3))  # near columns: 64 and 35 rows at once
        assert sizes == [64, 35]
        edge_dot(scattered().pattern, noise(170, 3), noise(170, 3))  # about two entries in each row of 170
        assert sizes == [64, 35]

    def test_columns_that_are_not_contiguous(self) -> None:
        matrix, x = scattered(), noise(3, 170)
        torch.testing.assert_close(matrix @ x.T, matrix.to_dense() @ x.T)
        leaf = noise(170, 1).requires_grad_()
        (gradient,) = torch.autograd.grad((matrix @ leaf).expand(-1, 4).sum(), leaf)
        torch.testing.assert_close(gradient, 4 * matrix.to_dense().sum(0)[:, None])

    def test_a_gradient_by_one_input_alone(self) -> None:
        matrix, x = scattered(), noise(170, 3)
        _, by_values, by_x = value_and_gradients(lambda v, x: product(matrix.pattern, v, x), matrix.values, x)
        close((by_values,), value_and_gradients(lambda v: product(matrix.pattern, v, x), matrix.values)[1:])
        close((by_x,), value_and_gradients(lambda x: product(matrix.pattern, matrix.values, x), x)[1:])


class TestGradcheck:
    MASK = torch.tensor([[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=torch.bool)

    def test_product(self) -> None:
        matrix = matrix_at(self.MASK)
        inputs = matrix.values.clone().requires_grad_(), noise(4, 2).requires_grad_()
        assert torch.autograd.gradcheck(lambda v, x: product(matrix.pattern, v, x), inputs)

    def test_edge_dot(self) -> None:
        inputs = noise(3, 2).requires_grad_(), noise(4, 2, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(lambda a, b: edge_dot(matrix_at(self.MASK).pattern, a, b), inputs)

    def test_second_derivatives_are_refused(self) -> None:
        matrix, x = three_nodes(), noise(3, 1).requires_grad_()
        (first,) = torch.autograd.grad((matrix @ x).square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            first.sum().backward()


class TestErrors:
    @pytest.mark.parametrize("count", [3, 5])
    def test_values_that_are_not_one_an_entry_in_the_product(self, count: int) -> None:
        with pytest.raises(ShapeError, match="values"):
            product(three_nodes().pattern, torch.ones(count), torch.ones(3, 1))

    @pytest.mark.parametrize("x", [torch.ones(3).double(), torch.ones(2, 1).double(), torch.ones(3, 1)])
    def test_columns_of_another_shape_or_type(self, x: Tensor) -> None:
        with pytest.raises(ShapeError, match="x: expected"):
            three_nodes() @ x

    @each(("a", "b"), [((3, 2), (4, 2)), ((4, 2), (3, 2)), ((3,), (3, 2)), ((3, 2), (3,))])
    def test_features_of_another_shape(self, a: tuple[int, ...], b: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match="a, b: expected"):
            edge_dot(three_nodes().pattern, torch.ones(a), torch.ones(b))

    @each(("a", "b"), [(torch.ones(3, 1), torch.ones(3, 4)), (torch.ones(3, 2), torch.ones(3, 2).double())])
    @each("worth", [0, 10**9])
    def test_features_that_differ_in_channels_or_type(
        self, a: Tensor, b: Tensor, worth: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sparse_product, "WORTH_A_BLOCK", worth)
        with pytest.raises(ShapeError, match="a, b: expected"):
            edge_dot(three_nodes().pattern, a, b)
