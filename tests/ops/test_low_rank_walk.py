import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.boundary import boundary_affinity
from weakseg.ops.low_rank_walk import LowRankWalk, low_rank_walk
from weakseg.ops.sparse import SparseMatrix, block_diagonal, matrix_from_edges
from weakseg.ops.stencil import half_disc, stencil_matrix
from weakseg.ops.walk import Convention, affinity_power, walk

CONVENTIONS: tuple[Convention, ...] = ("average", "mass")


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid_graph(boundary: Tensor) -> SparseMatrix:
    offsets = half_disc(3)
    return stencil_matrix(affinity_power(boundary_affinity(boundary, offsets), 10), offsets, diagonal=1.0)


def smooth_graph(height: int = 8, width: int = 9, seed: int = 0) -> SparseMatrix:
    """Return a grid without walls."""
    return grid_graph(0.2 * uniform(height, width, seed=seed))


def walled_graph() -> SparseMatrix:
    """Return three rooms behind walls of B = 0.9, whose 27 cells keep nearly all to themselves."""
    boundary = 0.1 * uniform(9, 14)
    boundary[:, [4, 9]] = 0.9
    boundary[4, :] = torch.maximum(boundary[4, :], (torch.arange(14) < 5) * 0.9)
    return grid_graph(boundary)


def factors(graph: SparseMatrix, steps: int, rank: int, *, seed: int = 0, oversampling: int = 8) -> LowRankWalk:
    generator = torch.Generator().manual_seed(seed)
    return low_rank_walk(graph, steps, rank, generator=generator, oversampling=oversampling)


def symmetric_power(graph: SparseMatrix, steps: int) -> Tensor:
    """Return ``M^t``, the identity for nodes without edges."""
    sums = graph.row_sums()
    root = torch.where(sums > 0, sums, 1).sqrt()
    return root[:, None] * dense.walk_matrix(graph.to_dense(), steps) / root


def left_over(graph: SparseMatrix, steps: int, approximation: LowRankWalk) -> Tensor:
    return symmetric_power(graph, steps) - approximation.factor @ approximation.factor.T - approximation.kept.diag()


def spectral_norm(matrix: Tensor) -> float:
    return float(torch.linalg.eigvalsh(matrix).abs().max())


class TestWalk:
    @pytest.mark.parametrize("convention", CONVENTIONS)
    def test_full_rank_is_the_walk(self, convention: Convention) -> None:
        graph, values = smooth_graph(4, 5), normal(20, 3)
        found = factors(graph, 16, 20).apply(values, convention=convention)
        torch.testing.assert_close(found, walk(graph, values, 16, convention=convention), rtol=0, atol=1e-5)

    @each(("make", "steps"), [(smooth_graph, 8), (walled_graph, 64)])
    @each("convention", CONVENTIONS)
    def test_off_by_no_more_than_the_bound(
        self, make: Callable[[], SparseMatrix], steps: int, convention: Convention
    ) -> None:
        graph = make()
        values, sums = normal(graph.shape[0], 3), graph.row_sums()
        approximation = factors(graph, steps, 3)
        off = approximation.apply(values, convention=convention) - walk(graph, values, steps, convention=convention)
        weight = (sums if convention == "average" else 1 / sums)[:, None]
        size, limit = (weight * off.square()).sum(0).sqrt(), (weight * values.square()).sum(0).sqrt()
        assert bool((size <= approximation.error * limit).all())
        assert float((size / limit).max()) > 1e-5  # it is an approximation

    def test_walls_cost_no_rank(self) -> None:
        # 27 cells of the walls keep 0.9 of their values and more; three rooms take the columns.
        graph = walled_graph()
        eigenvalues = torch.linalg.eigvalsh(symmetric_power(graph, 256))
        assert int((eigenvalues > 0.9).sum()) > 25
        approximation = factors(graph, 256, 12)
        assert int((approximation.kept > 0.5).sum()) > 20
        assert spectral_norm(left_over(graph, 256, approximation)) < 0.02

    @pytest.mark.parametrize("rank", [40, 105, 126])
    def test_columns_beyond_the_rooms_do_no_harm(self, rank: int) -> None:
        graph = walled_graph()
        few, many = (spectral_norm(left_over(graph, 256, factors(graph, 256, r))) for r in (20, rank))
        assert many < 1.05 * few

    def test_best_rank_of_a_free_grid(self) -> None:
        # Without walls: the error is near the first eigenvalue that has no column, the smallest that any rank leaves.
        graph = smooth_graph()
        best = torch.linalg.eigvalsh(symmetric_power(graph, 32)).flip(0)[6]
        approximation = factors(graph, 32, 6)
        left = spectral_norm(left_over(graph, 32, approximation))
        assert float(best) * (1 - 1e-6) <= left < 1.5 * float(best)
        lengths = approximation.factor.square().sum(0)
        torch.testing.assert_close(lengths, lengths.sort(descending=True).values)
        products = approximation.factor.T @ approximation.factor
        torch.testing.assert_close(products, lengths.diag(), rtol=0, atol=1e-12)

    @settings(max_examples=10)
    @given(st.integers(1, 12), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 14), st.integers(0, 99))
    def test_bound_on_random_graphs(self, nodes: int, density: float, rank: int, seed: int) -> None:
        weights = torch.triu(uniform(nodes, nodes, seed=seed) * (uniform(nodes, nodes, seed=seed + 1) < density))
        affinity = weights + torch.triu(weights, 1).T
        edges = affinity.nonzero().T
        graph = matrix_from_edges(edges, affinity[edges[0], edges[1]], (nodes, nodes))
        approximation = factors(graph, 8, rank, seed=seed, oversampling=seed % 3)
        left = left_over(graph, 8, approximation)
        assert spectral_norm(left) <= approximation.error
        assert approximation.error <= 40 * math.sqrt(nodes) * spectral_norm(left) + 1e-5  # says something
        assert float(torch.linalg.eigvalsh(left + approximation.kept.diag()).min()) > -1e-5  # what F leaves is >= 0

    def test_nodes_without_edges_keep_their_values(self) -> None:
        affinity = torch.tensor([[1.0, 0.5, 0], [0.5, 1, 0], [0, 0, 0]], dtype=torch.float64)
        edges = affinity.nonzero().T
        graph = matrix_from_edges(edges, affinity[edges[0], edges[1]], (3, 3))
        values = normal(3, 2)
        for convention in CONVENTIONS:
            found = factors(graph, 64, 3).apply(values, convention=convention)
            torch.testing.assert_close(found[2], values[2], rtol=0, atol=0)
            torch.testing.assert_close(found, walk(graph, values, 64, convention=convention), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("size", [(1, 1), (5, 6)])
    def test_walls_everywhere(self, size: tuple[int, int]) -> None:
        graph, values = grid_graph(torch.ones(size, dtype=torch.float64)), normal(size[0] * size[1], 2)
        approximation = factors(graph, 256, 4)
        torch.testing.assert_close(approximation.apply(values), values, rtol=0, atol=1e-6)
        assert approximation.error < 1e-4

    def test_several_graphs_at_once(self) -> None:
        parts = [smooth_graph(3, 4), smooth_graph(2, 5, seed=1), walled_graph()]
        values = [normal(part.shape[0], 2) for part in parts]
        together = factors(block_diagonal(parts), 256, 40)
        expected = torch.cat([walk(part, x, 256) for part, x in zip(parts, values, strict=True)])
        sums = together.sums[:, None]
        off = (sums * (together.apply(torch.cat(values)) - expected).square()).sum().sqrt()
        assert float(off) < 0.02 * float((sums * torch.cat(values).square()).sum().sqrt())

    def test_gradient_in_the_values(self) -> None:
        approximation, values = factors(smooth_graph(3, 3), 8, 3), normal(9, 2).requires_grad_()
        for convention in CONVENTIONS:
            assert torch.autograd.gradcheck(lambda x, c=convention: approximation.apply(x, convention=c), (values,))

    def test_same_noise_same_factors(self) -> None:
        graph = smooth_graph(4, 4)
        first, again, other = (factors(graph, 8, 3, seed=seed, oversampling=0) for seed in (0, 0, 1))
        torch.testing.assert_close(first.factor, again.factor, rtol=0, atol=0)
        assert first.error == again.error
        assert not torch.equal(first.factor, other.factor)

    def test_the_graph_takes_no_gradient(self) -> None:
        graph = smooth_graph(3, 3)
        moving = SparseMatrix(graph.pattern, graph.values.clone().requires_grad_())
        assert not factors(moving, 4, 2).apply(normal(9, 1)).requires_grad

    def test_single_precision(self) -> None:
        graph = walled_graph()
        found = factors(SparseMatrix(graph.pattern, graph.values.float()), 256, 20)
        exact = LowRankWalk(found.factor.double(), found.kept.double(), found.sums.double(), found.error)
        assert spectral_norm(left_over(graph, 256, exact)) < min(0.02, found.error)


class TestRefusals:
    @each(("steps", "rank", "oversampling"), [(0, 1, 0), (3, 1, 0), (-2, 1, 0), (2, 0, 0), (2, 1, -1)])
    def test_settings(self, steps: int, rank: int, oversampling: int) -> None:
        with pytest.raises(ShapeError, match="steps, rank"):
            factors(smooth_graph(2, 2), steps, rank, oversampling=oversampling)

    def test_matrices_that_are_no_affinities(self) -> None:
        edges = torch.tensor([[0, 1], [1, 0]])
        for weights in (torch.tensor([1.0, -1.0]), torch.tensor([1.0, 0.5])):
            with pytest.raises(ShapeError, match="affinity"):
                factors(matrix_from_edges(edges, weights, (2, 2)), 2, 1)

    @pytest.mark.parametrize("bad", [normal(3, 2), normal(4), torch.full((4, 1), math.nan, dtype=torch.float64)])
    def test_values(self, bad: Tensor) -> None:
        with pytest.raises(ShapeError, match="values"):
            factors(smooth_graph(2, 2), 2, 1).apply(bad)

    def test_convention(self) -> None:
        with pytest.raises(ShapeError, match="convention"):
            factors(smooth_graph(2, 2), 2, 1).apply(normal(4, 1), convention="row")  # type: ignore[arg-type]

    @pytest.mark.parametrize(("factor", "kept", "sums"), [((3, 2), 3, 2), ((3, 2), 2, 3), ((3,), 3, 3)])
    def test_factors_that_do_not_fit(self, factor: tuple[int, ...], kept: int, sums: int) -> None:
        with pytest.raises(ShapeError, match="factor"):
            LowRankWalk(torch.ones(factor), torch.ones(kept), torch.ones(sums), 0.0)
