from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.ops.normalize import (
    add_self_loops,
    edges_of,
    laplacian,
    normalize_columns,
    normalize_rows,
    normalize_symmetric,
    symmetrize,
)
from weakseg.ops.sparse import SparseMatrix, block_diagonal, matrix_from_edges
from weakseg.ops.stencil import half_disc, stencil_matrix

Step = Callable[[SparseMatrix], SparseMatrix]
DenseStep = Callable[[Tensor], Tensor]


def noise(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Return numbers between 0.1 and 1, as affinities are."""
    return 0.1 + 0.9 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def sparse(rows: Tensor | list[list[float]]) -> SparseMatrix:
    """Return a dense matrix as a sparse one, without its zeros."""
    matrix = torch.as_tensor(rows, dtype=None if isinstance(rows, Tensor) else torch.float64)
    edges = matrix.nonzero().T
    return matrix_from_edges(edges, matrix[edges[0], edges[1]], (matrix.shape[0], matrix.shape[1]))


def undirected(matrix: Tensor) -> Tensor:
    return matrix.triu() + matrix.triu(1).T


def dense_symmetric(matrix: Tensor) -> Tensor:
    scale = dense.degree_power(matrix, -0.5)
    return scale[:, None] * matrix * scale


# Each operator beside its formula, and whether it wants as many rows as columns.
STEPS: dict[str, tuple[Step, DenseStep, bool]] = {
    "rows": (normalize_rows, lambda a: dense.degree_power(a, -1)[:, None] * a, False),
    "columns": (normalize_columns, lambda a: a * dense.degree_power(a.T, -1), False),
    "symmetric": (lambda a: normalize_symmetric(symmetrize(a)), lambda a: dense_symmetric((a + a.T) / 2), True),
    "loops": (add_self_loops, lambda a: a + torch.eye(len(a), dtype=a.dtype), True),
    "mean": (symmetrize, lambda a: (a + a.T) / 2, True),
    "max": (lambda a: symmetrize(a, "max"), lambda a: torch.maximum(a, a.T), True),
    "laplacian": (laplacian, lambda a: torch.diag(a.sum(1)) - a, True),
}
every_step = each("name", STEPS)
square_steps = each("name", [name for name, (_, _, square) in STEPS.items() if square])


def grid() -> SparseMatrix:
    return stencil_matrix(noise(34, 9, 11), half_disc(5))


def scattered() -> SparseMatrix:
    """Return an undirected graph of 120 nodes, some without edges."""
    return sparse(undirected(noise(120, 120) * (noise(120, 120, seed=1) > 0.99)))


def directed() -> SparseMatrix:
    return sparse(noise(90, 90) * (noise(90, 90, seed=1) > 0.95))


every_graph = each("build", [grid, scattered, directed])
undirected_graph = each("build", [grid, scattered])


def equal(found: SparseMatrix, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found.to_dense(), torch.tensor(expected, dtype=torch.float64))


class TestThreeNodes:
    PATH = sparse([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    DIRECTED = sparse([[0, 2, 6], [4, 0, 0], [0, 0, 0]])

    def test_rows(self) -> None:
        equal(normalize_rows(self.DIRECTED), [[0, 0.25, 0.75], [1, 0, 0], [0, 0, 0]])

    def test_columns(self) -> None:
        equal(normalize_columns(self.DIRECTED), [[0, 1, 1], [1, 0, 0], [0, 0, 0]])
        equal(normalize_columns(self.PATH), [[0, 0.5, 0], [1, 0, 1], [0, 0.5, 0]])

    def test_symmetric(self) -> None:
        # Degrees 1, 2, 1: every edge 1 / sqrt(2).
        root = 0.5**0.5
        equal(normalize_symmetric(self.PATH), [[0, root, 0], [root, 0, root], [0, root, 0]])

    def test_graph_convolution_of_a_path(self) -> None:
        # graph-baselines.md, 7.1: unit edges and self-loops, degrees 2, 3, 2; 1 / sqrt(6) = .4082.
        path, root = add_self_loops(self.PATH), 6**-0.5
        equal(normalize_symmetric(path), [[0.5, root, 0], [root, 1 / 3, root], [0, root, 0.5]])
        equal(normalize_rows(path), [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0.5, 0.5]])

    def test_self_loops(self) -> None:
        equal(add_self_loops(self.DIRECTED), [[1, 2, 6], [4, 1, 0], [0, 0, 1]])
        equal(add_self_loops(add_self_loops(self.DIRECTED), 0.5), [[1.5, 2, 6], [4, 1.5, 0], [0, 0, 1.5]])

    def test_symmetrize(self) -> None:
        equal(symmetrize(self.DIRECTED), [[0, 3, 3], [3, 0, 0], [3, 0, 0]])
        equal(symmetrize(self.DIRECTED, "max"), [[0, 4, 6], [4, 0, 0], [6, 0, 0]])

    def test_the_diagonal_counts_once_when_symmetrized(self) -> None:
        loops = sparse([[5, 2], [0, 3]])
        equal(symmetrize(loops), [[5, 1], [1, 3]])
        equal(symmetrize(loops, "max"), [[5, 2], [2, 3]])

    def test_laplacian(self) -> None:
        equal(laplacian(self.PATH), [[1, -1, 0], [-1, 2, -1], [0, -1, 1]])
        equal(laplacian(self.DIRECTED), [[8, -2, -6], [-4, 4, 0], [0, 0, 0]])

    def test_a_self_loop_is_no_part_of_the_laplacian(self) -> None:
        equal(laplacian(add_self_loops(self.PATH, 3)), laplacian(self.PATH).to_dense().tolist())

    def test_edges(self) -> None:
        found = edges_of(self.DIRECTED)
        assert found.tolist() == [[0, 0, 1], [1, 2, 0]]
        assert found.dtype == torch.int64


class TestOracles:
    def test_adjacency_of_the_walked_graph(self) -> None:
        # wsgcn.md, 7.1.
        larger = symmetrize(sparse([[1, 0.5], [0, 1]]), "max")
        equal(larger, [[1, 0.5], [0.5, 1]])
        equal(normalize_rows(add_self_loops(larger)), [[0.8, 0.2], [0.2, 0.8]])

    @undirected_graph
    def test_largest_eigenvalue_is_one(self, build: Callable[[], SparseMatrix]) -> None:
        # graph-baselines.md, 7.2: with the eigenvector sqrt(d).
        matrix = add_self_loops(build())
        operator, root = normalize_symmetric(matrix), matrix.row_sums().sqrt()[:, None]
        torch.testing.assert_close(operator @ root, root)
        largest = torch.linalg.eigvalsh(operator.to_dense())[-1]
        torch.testing.assert_close(largest, torch.ones((), dtype=torch.float64))

    @every_graph
    def test_rows_map_constants_to_constants(self, build: Callable[[], SparseMatrix]) -> None:
        # graph-baselines.md, 7.2; wsgcn.md, 7.2.
        matrix = normalize_rows(add_self_loops(build()))
        assert matrix.values.min() >= 0
        constant = torch.full((matrix.shape[0], 2), 3.5, dtype=torch.float64)
        torch.testing.assert_close(matrix @ constant, constant)

    @pytest.mark.parametrize("normalize", [normalize_rows, normalize_columns, normalize_symmetric])
    def test_loops_alone_leave_everything_as_it_is(self, normalize: Step) -> None:
        # graph-baselines.md, 7.3, and wsgcn.md, 7.2: without edges a graph convolution works on each node alone.
        nothing = matrix_from_edges(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0).double(), (5, 5))
        equal(normalize(add_self_loops(nothing, 0.3)), torch.eye(5).tolist())

    def test_a_duplicate_edge_does_not_count_twice_with_the_largest(self) -> None:
        # graph-baselines.md, 7.8.
        edges = torch.tensor([[0, 0, 0], [1, 2, 1]])
        weights = torch.ones(3, dtype=torch.float64)
        equal(normalize_rows(matrix_from_edges(edges, weights, (1, 3))), [[0, 2 / 3, 1 / 3]])
        equal(normalize_rows(matrix_from_edges(edges, weights, (1, 3), duplicates="amax")), [[0, 0.5, 0.5]])


class TestLaws:
    @every_graph
    def test_rows_sum_to_one_or_are_empty(self, build: Callable[[], SparseMatrix]) -> None:
        expected = (build().row_sums() > 0).double()
        torch.testing.assert_close(normalize_rows(build()).row_sums(), expected)

    @every_graph
    def test_columns_are_the_rows_of_the_transpose(self, build: Callable[[], SparseMatrix]) -> None:
        found = normalize_columns(build())
        expected = (build().to_dense().sum(0) > 0).double()
        torch.testing.assert_close(found.to_dense().sum(0), expected)
        torch.testing.assert_close(found.to_dense(), normalize_rows(build().transpose()).to_dense().T)

    @pytest.mark.parametrize("normalize", [normalize_rows, normalize_columns])
    def test_normalizing_twice_changes_nothing(self, normalize: Step) -> None:
        once = normalize(directed())
        torch.testing.assert_close(normalize(once).values, once.values)

    @each("normalize", [normalize_rows, normalize_columns, normalize_symmetric])
    @each("factor", [1e-30, 1e30])
    def test_a_common_factor_cancels(self, normalize: Step, factor: float) -> None:
        matrix = scattered()
        scaled = SparseMatrix(matrix.pattern, (factor * matrix.values).float())
        torch.testing.assert_close(normalize(scaled).values, normalize(matrix).values.float())

    @undirected_graph
    def test_symmetric_stays_symmetric(self, build: Callable[[], SparseMatrix]) -> None:
        for step in (normalize_symmetric, laplacian, add_self_loops):
            found = step(build()).to_dense()
            torch.testing.assert_close(found, found.T)

    @pytest.mark.parametrize("how", ["mean", "max"])
    def test_symmetrize_makes_symmetric_and_keeps_symmetric(self, how: str) -> None:
        found = symmetrize(directed(), how)  # type: ignore[arg-type]
        torch.testing.assert_close(found.to_dense(), found.to_dense().T, rtol=0, atol=0)
        again = symmetrize(found, how)  # type: ignore[arg-type]
        torch.testing.assert_close(again.to_dense(), found.to_dense())

    @undirected_graph
    def test_laplacian_is_positive_semi_definite(self, build: Callable[[], SparseMatrix]) -> None:
        found = laplacian(build())
        torch.testing.assert_close(found.row_sums(), torch.zeros(found.shape[0], dtype=torch.float64))
        assert torch.linalg.eigvalsh(found.to_dense()).min() > -1e-12

    @undirected_graph
    def test_laplacian_measures_roughness(self, build: Callable[[], SparseMatrix]) -> None:
        # x^T L x = (1/2) sum_ij a_ij (x_i - x_j)^2.
        matrix = build()
        x = noise(matrix.shape[0], 1)
        rows, columns = edges_of(matrix)
        expected = (matrix.values * (x[rows] - x[columns])[:, 0] ** 2).sum() / 2
        torch.testing.assert_close((x * (laplacian(matrix) @ x)).sum(), expected)

    @every_step
    def test_permutation_equivariance(self, name: str) -> None:
        step, full = STEPS[name][0], directed().to_dense()
        order = torch.randperm(len(full), generator=torch.Generator().manual_seed(0))
        permuted = step(sparse(full[order][:, order])).to_dense()
        torch.testing.assert_close(permuted, step(directed()).to_dense()[order][:, order])

    @every_step
    def test_an_isolated_node_does_not_change_the_others(self, name: str) -> None:
        # graph-baselines.md, 7.7.
        step, full = STEPS[name][0], directed().to_dense()
        more = step(sparse(torch.nn.functional.pad(full, (0, 1, 0, 1)))).to_dense()
        torch.testing.assert_close(more[:-1, :-1], step(directed()).to_dense())
        assert more[-1, :-1].abs().sum() == more[:-1, -1].abs().sum() == 0

    @every_step
    def test_several_graphs_at_once(self, name: str) -> None:
        step = STEPS[name][0]
        graphs = [grid(), sparse([[0.0]]), directed(), sparse([[0, 2], [0.5, 1]]), scattered()]
        found = step(block_diagonal(graphs)).to_dense()
        torch.testing.assert_close(found, torch.block_diag(*[step(graph).to_dense() for graph in graphs]))

    @every_step
    def test_inputs_are_left_alone(self, name: str) -> None:
        matrix = directed()
        STEPS[name][0](matrix)
        torch.testing.assert_close(matrix.values, directed().values, rtol=0, atol=0)


class TestAgainstTheDenseVersion:
    """Value and gradient."""

    @staticmethod
    def check(name: str, mask: Tensor, dtype: torch.dtype) -> None:
        step, dense_step, _ = STEPS[name]
        edges, shape = mask.nonzero().T, (mask.shape[0], mask.shape[1])
        weights = noise(edges.shape[1], dtype=dtype).requires_grad_()
        probe = noise(*shape, dtype=dtype, seed=1)
        found = step(matrix_from_edges(edges, weights, shape)).to_dense()
        expected = dense_step(dense.matrix_from_edges(edges, weights, shape))
        assert found.dtype == dtype
        tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-12}
        torch.testing.assert_close(found, expected, **tolerance)
        if len(weights):
            gradients = [torch.autograd.grad((value * probe).sum(), weights)[0] for value in (found, expected)]
            torch.testing.assert_close(*gradients, **tolerance)

    @settings(max_examples=100)
    @given(name=st.sampled_from(sorted(STEPS)), data=st.data(), dtype=st.sampled_from([torch.float32, torch.float64]))
    def test_random_graphs(self, name: str, data: st.DataObject, dtype: torch.dtype) -> None:
        rows, columns = data.draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
        shape = (rows, rows) if STEPS[name][2] else (rows, columns)
        self.check(name, torch.from_numpy(data.draw(hnp.arrays(np.bool_, shape))), dtype)

    @every_step
    @each("count", [1, 9])
    def test_every_node_with_every_other(self, name: str, count: int) -> None:
        self.check(name, ~torch.eye(count, dtype=torch.bool), torch.float64)

    @every_step
    def test_gradcheck(self, name: str) -> None:
        mask = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]], dtype=torch.bool)
        inputs = (noise(7).requires_grad_(),)
        step, edges = STEPS[name][0], mask.nonzero().T
        assert torch.autograd.gradcheck(lambda w: step(matrix_from_edges(edges, w, (4, 4))).to_dense(), inputs)


class TestSmallAndZeroSums:
    @pytest.mark.parametrize("normalize", [normalize_rows, normalize_columns, normalize_symmetric])
    def test_entries_that_are_zero(self, normalize: Step) -> None:
        weights = torch.tensor([0.0, 2.0], requires_grad=True)
        found = normalize(matrix_from_edges(torch.tensor([[0, 1], [0, 1]]), weights, (2, 2)))
        torch.testing.assert_close(found.values, torch.tensor([0.0, 1.0]))
        found.values.sum().backward()
        assert weights.grad is not None
        assert torch.isfinite(weights.grad).all()
        assert weights.grad[1].abs() < 1e-6  # the one edge of a node has weight 1, whatever its affinity

    @pytest.mark.parametrize("normalize", [normalize_rows, normalize_columns, normalize_symmetric])
    def test_weak_edges_are_edges(self, normalize: Step) -> None:
        # exp(-10)^9 = 8e-40 as a float32 has lost digits, but the one edge of a node still carries all its weight.
        weak = torch.tensor([8e-40, 8e-40])
        found = normalize(matrix_from_edges(torch.tensor([[0, 1], [1, 0]]), weak, (2, 2)))
        torch.testing.assert_close(found.values, torch.ones(2))


class TestErrors:
    @square_steps
    def test_matrices_that_are_not_square(self, name: str) -> None:
        with pytest.raises(ShapeError, match=r"matrix: expected as many rows as columns, got \(2, 3\)"):
            STEPS[name][0](sparse([[0, 1, 2], [3, 0, 0]]))

    @pytest.mark.parametrize("normalize", [normalize_rows, normalize_columns, normalize_symmetric])
    def test_negative_sums(self, normalize: Step) -> None:
        with pytest.raises(ShapeError, match=r"matrix: a row sums to -2; normalisation needs sums >= 0"):
            normalize(sparse([[1, -3], [-3, 5]]))

    def test_symmetrizing_negative_values_by_the_largest(self) -> None:
        with pytest.raises(ShapeError, match="symmetrize: 'max' needs values >= 0"):
            symmetrize(sparse([[1, -3], [0, 5]]), "max")
        equal(symmetrize(sparse([[1, -3], [0, 5]])), [[1, -1.5], [-1.5, 5]])

    def test_a_loop_that_is_not_finite(self) -> None:
        with pytest.raises(ShapeError, match="weights: holds NaN or infinite values"):
            add_self_loops(sparse([[0, 1], [1, 0]]), torch.inf)
