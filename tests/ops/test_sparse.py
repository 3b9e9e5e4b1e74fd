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
from weakseg.errors import ShapeError
from weakseg.ops import sparse_product
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import (
    DENSE_NODES,
    SparseMatrix,
    block_diagonal,
    matrix_from_edges,
)
from weakseg.ops.sparse_product import edge_dot, product
from weakseg.ops.stencil import half_disc, stencil_matrix

# A = [[0, 2, 0], [3, 0, 4], [0, 0, 5]], its edges in no order.
EDGES = torch.tensor([[2, 1, 0, 1], [2, 2, 1, 0]])
WEIGHTS = torch.tensor([5.0, 4.0, 2.0, 3.0], dtype=torch.float64)
FLOATS = st.sampled_from([torch.float32, torch.float64])
MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9)).map(torch.from_numpy)
CHANNELS = st.integers(0, 4)


def noise(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def three_nodes() -> SparseMatrix:
    return matrix_from_edges(EDGES, WEIGHTS, (3, 3))


def matrix_at(mask: Tensor, *, dtype: torch.dtype = torch.float64, seed: int = 1) -> SparseMatrix:
    """Return a matrix with random values where the mask is true."""
    edges = mask.nonzero().T
    return matrix_from_edges(edges, noise(edges.shape[1], dtype=dtype, seed=seed), (mask.shape[0], mask.shape[1]))


def special_masks() -> dict[str, Tensor]:
    """Return the patterns at the edge of what there is; some have three blocks of 64 rows."""
    complete = torch.ones(7, 7, dtype=torch.bool)
    gap = torch.zeros(150, 20, dtype=torch.bool)
    gap[[0, 5, 140, 149], [19, 3, 0, 7]] = True
    return {
        "nothing": torch.zeros(0, 0, dtype=torch.bool),
        "no columns": torch.zeros(3, 0, dtype=torch.bool),
        "no rows": torch.zeros(0, 3, dtype=torch.bool),
        "no entries": torch.zeros(4, 4, dtype=torch.bool),
        "one node": torch.zeros(1, 1, dtype=torch.bool),
        "one node with a loop": torch.ones(1, 1, dtype=torch.bool),
        "complete": complete,
        "every other node": ~torch.eye(7, dtype=torch.bool),  # K = N - 1
        "empty first, middle and last row": complete * torch.tensor([0, 1, 1, 0, 1, 1, 0], dtype=torch.bool)[:, None],
        "wide": noise(3, 200) > 1,
        "tall": noise(200, 3) > 1,
        "an empty block of rows": gap,
    }


def grid() -> SparseMatrix:
    return stencil_matrix(noise(34, 9, 11), half_disc(5), diagonal=1.0)


def star() -> SparseMatrix:
    """Return a hub with 150 leaves, both ways: the rows of its leaves are short, and the hub's reaches everywhere."""
    mask = torch.zeros(151, 151, dtype=torch.bool)
    mask[75], mask[:, 75] = True, True
    return matrix_at(mask)


def scattered() -> SparseMatrix:
    return matrix_at(noise(170, 170) > 2)


def rectangle() -> SparseMatrix:
    return matrix_at(noise(140, 90) > 1.5)


GRAPHS = (grid, star, scattered, rectangle)
every_graph = each("build", GRAPHS)


def value_and_gradients(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the value, and by each input the gradient of a random combination of it."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    value = function(*leaves)
    nothing = sum((0 * leaf.sum() for leaf in leaves), value.new_zeros(()))  # so that each leaf takes part
    total = (value * noise(*value.shape, dtype=value.dtype, seed=9)).sum() + nothing
    return value.detach(), *torch.autograd.grad(total, leaves)


def densely(pattern: Pattern, values: Tensor) -> Tensor:
    """Return the dense matrix of a pattern, from its arrays alone."""
    rows = [row for row, count in enumerate(pattern.row_starts.diff().tolist()) for _ in range(count)]
    edges = torch.tensor([rows, pattern.columns.tolist()], dtype=torch.int64)
    return dense.matrix_from_edges(edges, values, (len(pattern.row_starts) - 1, pattern.num_columns))


def same(found: SparseMatrix, expected: SparseMatrix) -> None:
    assert found.shape == expected.shape
    torch.testing.assert_close(found.pattern.row_starts, expected.pattern.row_starts, rtol=0, atol=0)
    torch.testing.assert_close(found.pattern.columns, expected.pattern.columns, rtol=0, atol=0)
    torch.testing.assert_close(found.values, expected.values)


def close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    tolerance = 1e-5 if found[0].dtype == torch.float32 else 1e-12
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


class TestThreeNodes:
    def test_pattern(self) -> None:
        pattern = three_nodes().pattern
        assert pattern.row_starts.tolist() == [0, 1, 3, 4]
        assert pattern.columns.tolist() == [1, 0, 2, 2]
        assert pattern.rows.tolist() == [0, 1, 1, 2]
        assert (pattern.num_rows, pattern.num_columns, pattern.num_entries) == (3, 3, 4)
        assert pattern.rows.dtype == torch.int64

    def test_values_follow_the_pattern(self) -> None:
        assert three_nodes().values.tolist() == [2, 3, 4, 5]
        assert three_nodes().to_dense().tolist() == [[0, 2, 0], [3, 0, 4], [0, 0, 5]]

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
    def test_columns_increase_within_a_row(self, build: Callable[[], SparseMatrix]) -> None:
        pattern = build().pattern
        for row in range(pattern.num_rows):
            columns = pattern.columns[pattern.row_starts[row] : pattern.row_starts[row + 1]]
            assert (columns.diff() > 0).all()

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

    def test_matrix_from_edges(self) -> None:
        inputs = (noise(4).requires_grad_(),)
        assert torch.autograd.gradcheck(
            lambda w: matrix_from_edges(TestDuplicates.EDGES, w, (2, 3)).transpose().scale(noise(3)).to_dense(), inputs
        )

    def test_second_derivatives_are_refused(self) -> None:
        matrix, x = three_nodes(), noise(3, 1).requires_grad_()
        (first,) = torch.autograd.grad((matrix @ x).square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            first.sum().backward()


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

    @pytest.mark.parametrize("count", [3, 5])
    def test_values_that_are_not_one_an_entry_in_the_product(self, count: int) -> None:
        with pytest.raises(ShapeError, match="values"):
            product(three_nodes().pattern, torch.ones(count), torch.ones(3, 1))

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

    def test_a_dense_form_over_the_limit(self) -> None:
        with pytest.raises(ShapeError, match=r"\(3, 3\) is over the limit of 2 for a dense form"):
            three_nodes().to_dense(max_nodes=2)
        assert three_nodes().to_dense(max_nodes=3).shape == (3, 3)
        nothing = torch.zeros(2, 0, dtype=torch.int64)
        for shape in ((DENSE_NODES + 1, 1), (1, DENSE_NODES + 1)):
            with pytest.raises(ShapeError, match="over the limit of 4096"):
                matrix_from_edges(nothing, torch.zeros(0), shape).to_dense()
        assert matrix_from_edges(nothing, torch.zeros(0), (DENSE_NODES, 1)).to_dense().shape == (DENSE_NODES, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_graph
def test_cuda_agrees_with_the_processor(build: Callable[[], SparseMatrix]) -> None:
    here, there = build(), build().to("cuda")
    x, a = noise(here.shape[1], 3), noise(here.shape[0], 3)
    found = value_and_gradients(lambda v, x: product(there.pattern, v, x), there.values, x.cuda())
    close(
        tuple(part.cpu() for part in found),
        value_and_gradients(lambda v, x: product(here.pattern, v, x), here.values, x),
    )
    found = value_and_gradients(lambda a, x: edge_dot(there.pattern, a, x), a.cuda(), x.cuda())
    close(tuple(part.cpu() for part in found), value_and_gradients(lambda a, x: edge_dot(here.pattern, a, x), a, x))


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
