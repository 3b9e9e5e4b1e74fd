import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.boundary import boundary_affinity
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.ops.matrix_power import power_coefficients
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, block_diagonal, matrix_from_edges
from weakseg.ops.stencil import half_disc, half_square, stencil_matrix
from weakseg.ops.walk import Convention, affinity_power, build_walk, suppress_boundaries, walk, walk_scores

FIVE = half_disc(5)
CONVENTIONS: tuple[Convention, ...] = ("average", "mass")


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_graph(nodes: int, density: float = 0.4, seed: int = 0) -> SparseMatrix:
    """Return symmetric affinities in [0, 1], here and there without diagonal; some nodes have no edge."""
    weights = torch.triu(uniform(nodes, nodes, seed=seed) * (uniform(nodes, nodes, seed=seed + 1) < density))
    return from_dense(weights + torch.triu(weights, 1).T)


def from_dense(affinity: Tensor) -> SparseMatrix:
    edges = affinity.nonzero().T
    return matrix_from_edges(edges, affinity[edges[0], edges[1]], (len(affinity), len(affinity)))


graphs = st.builds(random_graph, st.integers(1, 12), st.sampled_from([0.0, 0.2, 0.6]), st.integers(0, 99))


def reference(affinity: SparseMatrix, steps: int, convention: Convention = "average") -> Tensor:
    power = dense.walk_matrix(affinity.to_dense(), steps)
    return power if convention == "average" else power.T


def walk_of(affinity: SparseMatrix, steps: int, convention: Convention = "average", error: float = 0.0) -> Tensor:
    """Return the walk as a matrix."""
    return walk(affinity, torch.eye(affinity.shape[0], dtype=torch.float64), steps, convention=convention, error=error)


def irnet_graph(boundary: Tensor, *, beta: float = 10, radius: float = 5) -> SparseMatrix:
    offsets = half_disc(radius)
    return stencil_matrix(affinity_power(boundary_affinity(boundary, offsets), beta), offsets, diagonal=1.0)


def node_norm(values: Tensor, sums: Tensor, convention: Convention) -> Tensor:
    """Return for each column the norm in which the error is bounded."""
    weight = sums if convention == "average" else 1 / sums
    return (weight[:, None] * values.square()).sum(0).sqrt()


class TestByHand:
    def test_three_cells(self) -> None:
        # irnet.md, oracle 3
        graph = irnet_graph(torch.tensor([[0.0, 0.1, 0.0]], dtype=torch.float64))
        assert float(graph.to_dense()[0, 1]) == pytest.approx(0.348678, abs=5e-7)
        transition = walk_of(graph, 1)
        diagonal, others = transition.diag(), transition[~torch.eye(3, dtype=torch.bool)]
        torch.testing.assert_close(diagonal, torch.full((3,), 0.589151).double(), rtol=0, atol=5e-7)
        torch.testing.assert_close(others, torch.full((6,), 0.205424).double(), rtol=0, atol=5e-7)
        start = torch.tensor([[1.0], [0], [0]], dtype=torch.float64)
        for steps, expected in ((1, (0.589151, 0.205424)), (2, (0.431498, 0.284251)), (99, (1 / 3, 1 / 3))):
            found = walk(graph, start, steps)[:, 0].tolist()
            assert found == pytest.approx([expected[0], expected[1], expected[1]], abs=5e-7)
        second = (float(diagonal.sum()) - 1) / 2  # twice an eigenvalue, beside 1
        assert second == pytest.approx(0.383727, abs=5e-7)

    def test_five_cells(self) -> None:
        # irnet.md, oracle 4
        boundary = torch.tensor([[0, 0, 0.5, 0, 0]], dtype=torch.float64)
        offsets = ((0, 1), (0, 2))
        affinity = boundary_affinity(boundary, offsets)
        start = suppress_boundaries(torch.tensor([[[1.0, 0, 0, 0, 0]]], dtype=torch.float64), boundary)
        for beta, steps, expected in (
            (1, 1, (0.4, 0.333333, 0.166667, 0, 0)),
            (1, 4, (0.243007, 0.221488, 0.178568, 0.135648, 0.114148)),
            (10, 256, (0.426011, 0.425821, 0.149878, 0.036468, 0.036278)),
        ):
            found = walk_scores(start, affinity, offsets, beta=beta, steps=steps)
            assert found.flatten().tolist() == pytest.approx(expected, abs=1e-6)
        sums = stencil_matrix(affinity_power(affinity, 10), offsets, diagonal=1.0).row_sums()
        share = (0.222090, 0.222198, 0.111424, 0.222198, 0.222090)
        assert (sums / sums.sum()).tolist() == pytest.approx(share, abs=5e-7)

    @pytest.mark.parametrize("error", [0.0, 1e-9])
    def test_two_nodes(self, error: float) -> None:
        # a2gnn.md, oracle 18
        affinity = affinity_power(torch.tensor([[[0.5, 0.0]]], dtype=torch.float64), 8)
        graph = stencil_matrix(affinity, half_square(1)[:1], diagonal=1.0)
        expected = torch.tensor([[0.8033, 0.1967], [0.1967, 0.8033]], dtype=torch.float64)
        torch.testing.assert_close(walk_of(graph, 64, error=error), expected, rtol=0, atol=5e-5)
        squared = dense.walk_matrix(graph.to_dense(), 1)
        for _ in range(6):
            squared = squared @ squared
        torch.testing.assert_close(walk_of(graph, 64, error=error), squared)
        torch.testing.assert_close(walk_of(graph, 64, "mass").sum(0), torch.ones(2, dtype=torch.float64))
        constant = torch.full((2, 1), 7.0, dtype=torch.float64)
        torch.testing.assert_close(walk(graph, constant, 64, error=error), constant)


class TestLaws:
    @settings(max_examples=25)
    @given(graphs, st.integers(0, 9), st.sampled_from(CONVENTIONS))
    def test_equals_the_dense_version(self, graph: SparseMatrix, steps: int, convention: Convention) -> None:
        values = normal(graph.shape[0], 2).requires_grad_()
        weights = graph.values.clone().requires_grad_()
        moving = SparseMatrix(graph.pattern, weights)
        pull = normal(graph.shape[0], 2, seed=1)
        found = walk(moving, values, steps, convention=convention)
        expected = reference(moving, steps, convention) @ values + 0 * weights.sum()
        torch.testing.assert_close(found, expected)
        by_values, by_weights = torch.autograd.grad((found * pull).sum() + 0 * weights.sum(), (values, weights))
        their_values, their_weights = torch.autograd.grad((expected * pull).sum(), (values, weights))
        torch.testing.assert_close(by_values, their_values)
        ours, theirs = (SparseMatrix(graph.pattern, g).to_dense() for g in (by_weights, their_weights))
        torch.testing.assert_close(ours + ours.T, theirs + theirs.T)  # an affinity moves with its mirror
        fixed = walk(graph, values, steps, convention=convention)
        torch.testing.assert_close(fixed, found)
        torch.testing.assert_close(torch.autograd.grad((fixed * pull).sum(), values)[0], their_values)

    @settings(max_examples=15)
    @given(graphs, st.integers(0, 40), st.sampled_from([0.0, 0.05]))
    def test_conventions(self, graph: SparseMatrix, steps: int, error: float) -> None:
        # psa.md, oracle 4: constants stay and no value leaves the range; sums stay; one is the other's adjoint.
        average, mass = (walk_of(graph, steps, convention, error) for convention in CONVENTIONS)
        torch.testing.assert_close(mass, average.T)
        rows = average.sum(1)
        assert float((1 - rows).max()) <= error + 1e-12
        assert float(rows.max()) <= 1 + 1e-12
        if not error:
            assert float(average.min()) >= 0
            values = normal(graph.shape[0], 3)
            torch.testing.assert_close(walk(graph, values, steps, convention="mass").sum(0), values.sum(0))
            walked = walk(graph, values, steps)
            assert bool((walked <= values.amax(0) + 1e-12).all())
            assert bool((walked >= values.amin(0) - 1e-12).all())

    def test_no_step_is_the_identity(self) -> None:
        # psa.md, oracle 6
        values = normal(9, 3)
        for convention, error in itertools.product(CONVENTIONS, (0.0, 0.1)):
            found = walk(random_graph(9), values, 0, convention=convention, error=error)
            torch.testing.assert_close(found, values, rtol=0, atol=0)

    @pytest.mark.parametrize("error", [0.0, 1e-6])
    def test_many_steps_reach_the_mean_by_row_sums(self, error: float) -> None:
        # irnet.md, section 6, psa.md, oracle 4, and wsgcn.md, oracle 2: rows of R^t are s / sum(s).
        graph = irnet_graph(torch.zeros(4, 6, dtype=torch.float64))
        sums = graph.row_sums()
        expected = (sums / sums.sum()).expand(24, 24)
        torch.testing.assert_close(walk_of(graph, 4096, error=error), expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("error", [0.0, 1e-3])
    def test_linear(self, error: float) -> None:
        graph, first, second = random_graph(12), normal(12, 2), normal(12, 2, seed=1)
        together = walk(graph, 2 * first - 3 * second, 30, error=error)
        torch.testing.assert_close(
            together, 2 * walk(graph, first, 30, error=error) - 3 * walk(graph, second, 30, error=error)
        )

    @pytest.mark.parametrize("convention", CONVENTIONS)
    def test_permuted_nodes(self, convention: Convention) -> None:
        graph, values, order = random_graph(11, 0.3), normal(11, 2), torch.randperm(11)
        permuted = from_dense(graph.to_dense()[order][:, order])
        found = walk(permuted, values[order], 20, convention=convention)
        torch.testing.assert_close(found, walk(graph, values, 20, convention=convention)[order])

    def test_several_graphs_at_once(self) -> None:
        parts, values = [random_graph(n, seed=n) for n in (3, 1, 8)], [normal(n, 2, seed=n) for n in (3, 1, 8)]
        for error in (0.0, 1e-3):
            together = walk(block_diagonal(parts), torch.cat(values), 50, error=error)
            alone = torch.cat([walk(part, x, 50, error=error) for part, x in zip(parts, values, strict=True)])
            torch.testing.assert_close(together, alone)

    @each("convention", CONVENTIONS)
    @each("error", [0.0, 1e-2])
    def test_a_node_without_edges_keeps_its_value(self, convention: Convention, error: float) -> None:
        affinity = torch.tensor([[1.0, 0.5, 0], [0.5, 1, 0], [0, 0, 0]], dtype=torch.float64)
        stored = SparseMatrix(random_dense_pattern(3), affinity.flatten())  # zeros are entries, too
        for graph in (from_dense(affinity), stored):
            values = normal(3, 2).requires_grad_()
            walked = walk(graph, values, 100, convention=convention, error=error)
            torch.testing.assert_close(walked[2], values[2], rtol=0, atol=0)
            (gradient,) = torch.autograd.grad(walked[2].sum(), values)
            assert gradient.tolist() == [[0, 0], [0, 0], [1, 1]]

    def test_no_affinity_at_all(self) -> None:
        nothing = matrix_from_edges(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64), (4, 4))
        values = normal(4, 2)
        for convention, error in itertools.product(CONVENTIONS, (0.0, 0.1)):
            torch.testing.assert_close(
                walk(nothing, values, 64, convention=convention, error=error), values, rtol=0, atol=0
            )

    def test_smallest_affinities_do_not_overflow(self) -> None:
        graph = from_dense(torch.tensor([[0.0, 1e-40], [1e-40, 0.0]]))
        values = torch.tensor([[1.0], [3.0]])
        for convention in CONVENTIONS:
            torch.testing.assert_close(walk(graph, values, 3, convention=convention), values.flip(0))

    def test_single_precision_does_not_drift(self) -> None:
        graph = irnet_graph(uniform(20, 20).float())
        ones = torch.ones(400, 1)
        torch.testing.assert_close(walk(graph, ones, 256), ones, rtol=0, atol=256 * 1e-6)

    def test_inputs_are_left_alone(self) -> None:
        graph, values = random_graph(7), normal(7, 2)
        copies = graph.values.clone(), values.clone()
        for error in (0.0, 1e-2):
            walk(graph, values, 64, error=error)
        torch.testing.assert_close((graph.values, values), copies, rtol=0, atol=0)

    def test_only_the_way_back_through_a_moving_graph_keeps_steps(self) -> None:
        graph, values = random_graph(30), normal(30, 2).requires_grad_()
        moving = SparseMatrix(graph.pattern, graph.values.clone().requires_grad_())
        kept = []
        for affinity in (graph, moving):
            shapes: list[tuple[int, ...]] = []
            with torch.autograd.graph.saved_tensors_hooks(
                lambda t, s=shapes: s.append(tuple(t.shape)) or t, lambda t: t
            ):
                walk(affinity, values, 50)
            kept.append(shapes.count((30, 2)))
        assert kept[0] <= 1
        assert kept[1] >= 50


def random_dense_pattern(nodes: int) -> Pattern:
    """Return the pattern with all entries."""
    every = torch.ones(nodes, nodes).nonzero().T
    return matrix_from_edges(every, torch.ones(nodes * nodes), (nodes, nodes)).pattern


class TestExpansion:
    @settings(max_examples=15)
    @given(graphs, st.integers(20, 300), st.sampled_from([0.3, 1e-2, 1e-5]), st.sampled_from(CONVENTIONS))
    def test_bound(self, graph: SparseMatrix, steps: int, error: float, convention: Convention) -> None:
        values, sums = normal(graph.shape[0], 4), graph.row_sums()
        linked = sums > 0
        off = (
            walk(graph, values, steps, convention=convention, error=error)
            - reference(graph, steps, convention) @ values
        )
        size = node_norm(values[linked], sums[linked], convention)
        assert bool((node_norm(off[linked], sums[linked], convention) <= error * size + 1e-10).all())
        assert float(off[~linked].abs().sum()) == 0

    def test_bound_is_reached_by_constants(self) -> None:
        ones = torch.ones(25, 1, dtype=torch.float64)
        walked = walk(irnet_graph(uniform(5, 5)), ones, 256, error=1e-2)
        dropped = 1 - float(power_coefficients(256, 1e-2).sum())
        torch.testing.assert_close(walked, (1 - dropped) * ones)
        assert dropped > 5e-3

    def test_few_steps_are_taken_one_by_one(self) -> None:
        graph, values = random_graph(9), normal(9, 2)
        torch.testing.assert_close(walk(graph, values, 3, error=1e-9), walk(graph, values, 3), rtol=0, atol=0)

    @each("convention", CONVENTIONS)
    @each(("steps", "error"), [(3, 0.0), (12, 0.1), (13, 0.1)])
    def test_gradients_by_finite_differences(self, convention: Convention, steps: int, error: float) -> None:
        graph = random_graph(5, 0.9)
        upper = torch.triu(graph.to_dense())
        row, column = upper.nonzero().T
        both = torch.cat([torch.stack([row, column]), torch.stack([column, row])[:, row != column]], dim=1)

        def walked(weights: Tensor, values: Tensor) -> Tensor:
            mirrored = torch.cat([weights, weights[row != column]])
            return walk(matrix_from_edges(both, mirrored, (5, 5)), values, steps, convention=convention, error=error)

        weights, values = upper[row, column].requires_grad_(), normal(5, 2).requires_grad_()
        assert torch.autograd.gradcheck(walked, (weights, values))
        assert torch.autograd.gradcheck(lambda x: walked(weights.detach(), x), (values,))

    @each(("steps", "error"), [(-1, 0.0), (4, -1e-3), (4, 1.0), (4, math.nan)])
    def test_senseless_settings_are_refused(self, steps: int, error: float) -> None:
        with pytest.raises(ShapeError, match="steps, error"):
            walk(random_graph(3), normal(3, 1), steps, error=error)


class TestBuiltWalk:
    @settings(max_examples=15)
    @given(graphs, st.sampled_from([0, 1, 9, 256]), st.sampled_from([0.0, 1e-3]), st.sampled_from(CONVENTIONS))
    def test_it_is_the_walk_with_its_gradient(
        self, graph: SparseMatrix, steps: int, error: float, convention: Convention
    ) -> None:
        built, values = build_walk(graph, steps, convention=convention, error=error), normal(graph.shape[0], 3)
        expected = walk(graph, values, steps, convention=convention, error=error)
        one = values.clone().requires_grad_()
        torch.testing.assert_close(built.apply(one), expected, rtol=0, atol=0)
        (slope,) = torch.autograd.grad((built.apply(one) * normal(graph.shape[0], 3, seed=1)).sum(), one)
        dense_walk = walk_of(graph, steps, convention, error)
        torch.testing.assert_close(slope, dense_walk.T @ normal(graph.shape[0], 3, seed=1))

    def test_affinities_are_fixed(self) -> None:
        graph = random_graph(6)
        moving = SparseMatrix(graph.pattern, graph.values.clone().requires_grad_())
        assert not build_walk(moving, 5).apply(normal(6, 2)).requires_grad
        torch.testing.assert_close(build_walk(moving, 5).apply(normal(6, 2)), walk(graph, normal(6, 2), 5))

    def test_it_refuses_what_the_walk_refuses(self) -> None:
        with pytest.raises(ShapeError, match="affinity"):
            build_walk(from_dense(torch.tensor([[1.0, 0.3], [0.0, 1.0]])), 2)
        with pytest.raises(ShapeError, match="convention"):
            build_walk(random_graph(3), 2, convention="row")  # type: ignore[arg-type]


class TestGrid:
    def test_free_grid_and_walls_everywhere(self) -> None:
        # irnet.md, oracle 2 and wsgcn.md, oracle 2
        free = irnet_graph(torch.zeros(11, 13, dtype=torch.float64)).row_sums().reshape(11, 13)
        assert [float(free[cell]) for cell in ((5, 6), (0, 0), (0, 6))] == [69, 22, 39]
        walls = torch.ones(5, 6, dtype=torch.float64)
        assert walk_of(irnet_graph(walls), 256).equal(torch.eye(30, dtype=torch.float64))
        cams = uniform(2, 5, 6)
        start = suppress_boundaries(cams, walls)
        assert float(walk_scores(start, boundary_affinity(walls, FIVE), FIVE, beta=10, steps=256).abs().max()) == 0

    @pytest.mark.parametrize("error", [0.0, 1e-3])
    def test_walls_hold(self, error: float) -> None:
        # irnet.md, oracle 7 and wsgcn.md, oracle 2: a closed ring of B = 1, joined at corners only; nothing gets out.
        boundary = 0.3 * uniform(12, 13)
        ring = [(2, 5), (3, 4), (4, 3), (5, 2), (6, 3), (7, 4), (8, 5), (7, 6), (6, 7), (5, 8), (4, 7), (3, 6)]
        for cell in ring:
            boundary[cell] = 1
        inside = torch.zeros(12, 13, dtype=torch.bool)
        for row in range(3, 8):
            reach = 2 - abs(row - 5)
            inside[row, 5 - reach : 6 + reach] = True
        start = torch.where(inside, uniform(12, 13), 0)[None]
        walked = walk_scores(
            suppress_boundaries(start, boundary),
            boundary_affinity(boundary, FIVE),
            FIVE,
            beta=10,
            steps=256,
            error=error,
        )
        assert float(walked[0][~inside].abs().max()) == 0
        assert float(walked[0][inside].min()) > 0

    @pytest.mark.parametrize("error", [0.0, 1e-3])
    def test_mirrored_and_turned_images(self, error: float) -> None:
        # irnet.md, oracle 5
        boundary, cams = uniform(7, 9), uniform(2, 7, 9, seed=1)

        def of(boundary: Tensor, cams: Tensor) -> Tensor:
            start = suppress_boundaries(cams, boundary)
            return walk_scores(start, boundary_affinity(boundary, FIVE), FIVE, beta=10, steps=64, error=error)

        expected = of(boundary, cams)
        torch.testing.assert_close(of(boundary.flip(-1), cams.flip(-1)).flip(-1), expected)
        torch.testing.assert_close(of(boundary.T, cams.mT).mT, expected)
        torch.testing.assert_close(of(boundary, 3 * cams), 3 * expected)

    def test_mirrored_features(self) -> None:
        # psa.md, oracle 12
        features, scores = normal(4, 6, 7), uniform(3, 6, 7)

        def of(features: Tensor, scores: Tensor) -> Tensor:
            return walk_scores(scores, feature_affinity(features, FIVE), FIVE, beta=8, steps=64)

        torch.testing.assert_close(of(features.flip(-1), scores.flip(-1)).flip(-1), of(features, scores))

    @each("size", [(12, 12), (1, 1), (1, 7), (2, 2), (4, 3)])
    def test_equals_the_dense_version(self, size: tuple[int, int]) -> None:
        # irnet.md, oracle 6, and grids smaller than the window
        boundary, cams = uniform(*size), uniform(3, *size, seed=1)
        affinity = boundary_affinity(boundary, FIVE)
        graph = dense.stencil_matrix(affinity**10, FIVE, torch.ones(size, dtype=torch.float64))
        expected = dense.walk_matrix(graph, 256) @ (cams * (1 - boundary)).flatten(1).T
        found = walk_scores(suppress_boundaries(cams, boundary), affinity, FIVE, beta=10, steps=256)
        torch.testing.assert_close(found, expected.T.reshape(3, *size))
        single = walk_scores(suppress_boundaries(cams, boundary).float(), affinity.float(), FIVE, beta=10, steps=256)
        torch.testing.assert_close(single.double(), found, rtol=0, atol=5e-5)

    def test_gradient_through_the_whole_walk(self) -> None:
        order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
        boundary, cams = ((order + 1) / 7).double().reshape(2, 3).requires_grad_(), uniform(2, 2, 3).requires_grad_()

        def walked(boundary: Tensor, cams: Tensor) -> Tensor:
            affinity = boundary_affinity(boundary, FIVE)
            return walk_scores(suppress_boundaries(cams, boundary), affinity, FIVE, beta=2, steps=4)

        assert torch.autograd.gradcheck(walked, (boundary, cams))

    @pytest.mark.parametrize("error", [0.0, 1e-3])
    def test_halves_with_other_features(self, error: float) -> None:
        # psa.md, oracle 5: mean distance 5, beta = 8: e^-40 between the halves.
        features = torch.zeros(4, 6, 8)
        features[..., 4:] = 5
        scores = torch.zeros(1, 6, 8)
        scores[..., :4] = uniform(6, 4).float()
        walked = walk_scores(scores, feature_affinity(features, FIVE), FIVE, beta=8, steps=256, error=error)
        assert float(walked[..., 4:].abs().max()) < 1e-13
        assert float(walked[..., :4].min()) > 0.1

    def test_endless_beta_joins_equal_features_only(self) -> None:
        # psa.md, oracle 6
        features = torch.tensor([[[1.0, 2.0, 1.0, 1.1]]], dtype=torch.float64)
        graph = stencil_matrix(affinity_power(feature_affinity(features, FIVE), 1e5), FIVE, diagonal=1.0)
        expected = torch.eye(4, dtype=torch.float64)
        expected[0, 2] = expected[2, 0] = 1
        torch.testing.assert_close(graph.to_dense(), expected, rtol=0, atol=0)

    def test_detailed_balance(self) -> None:
        # wsgcn.md, oracle 3 and section 2.2: G = A S^-1 to the 256, M symmetric.
        graph = irnet_graph(0.6 * uniform(5, 5))
        sums = graph.row_sums()
        mass = walk_of(graph, 256, "mass")
        symmetric = torch.linalg.matrix_power(graph.to_dense() / (sums[:, None] * sums).sqrt(), 256)
        torch.testing.assert_close(mass, symmetric * (sums[:, None] / sums).sqrt(), rtol=0, atol=1e-6)
        larger = torch.maximum(mass, mass.T)
        spread = torch.exp((sums.log()[:, None] - sums.log()).abs() / 2)
        torch.testing.assert_close(larger, symmetric * spread, rtol=0, atol=1e-6)
        ratio = torch.maximum(torch.ones(()).double(), sums[:, None] / sums)
        torch.testing.assert_close(larger, walk_of(graph, 256) * ratio, rtol=0, atol=1e-6)
        assert float(larger.sum(1).min()) >= 1 - 1e-12

    def test_nothing_activated_stays_nothing(self) -> None:
        boundary = uniform(4, 5)
        walked = walk_scores(torch.zeros(2, 4, 5).double(), boundary_affinity(boundary, FIVE), FIVE, beta=10, steps=256)
        assert float(walked.abs().max()) == 0


class TestRefusals:
    @each("beta", [0.0, -1.0, math.inf, math.nan])
    def test_beta(self, beta: float) -> None:
        with pytest.raises(ShapeError, match="beta"):
            affinity_power(torch.ones(2), beta)
        with pytest.raises(ShapeError, match="beta"):
            walk_scores(torch.ones(1, 2, 2), torch.ones(len(FIVE), 2, 2), FIVE, beta=beta, steps=1)

    def test_power_of_zero_is_zero(self) -> None:
        found = affinity_power(torch.tensor([0.0, 0.5, 1.0]), 2)
        torch.testing.assert_close(found, torch.tensor([0.0, 0.25, 1.0]), rtol=0, atol=0)

    @pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
    def test_affinities(self, bad: float) -> None:
        values = torch.full((2, 1, 2), 0.5)
        values[0, 0, 1] = bad
        with pytest.raises(ShapeError, match="affinity"):
            affinity_power(values, 2)
        with pytest.raises(ShapeError, match="affinity"):
            walk_scores(torch.ones(1, 1, 2), values, ((0, 1), (1, 0)), beta=2, steps=1)

    def test_affinities_above_one_on_a_grid(self) -> None:
        with pytest.raises(ShapeError, match="affinity"):
            walk_scores(torch.ones(1, 1, 2), torch.full((1, 1, 2), 1.01), ((0, 1),), beta=2, steps=1)

    @pytest.mark.parametrize(
        "affinity", [[[1.0, -0.5], [-0.5, 1.0]], [[0.5, 0.5], [0.2, 0.8]], [[1.0, 0.3], [0.0, 1.0]]]
    )
    def test_matrices_that_are_no_affinities(self, affinity: list[list[float]]) -> None:
        with pytest.raises(ShapeError, match="affinity"):
            walk(from_dense(torch.tensor(affinity)), torch.ones(2, 1), 2)

    def test_matrices_that_are_not_square(self) -> None:
        wide = matrix_from_edges(torch.tensor([[0], [1]]), torch.ones(1), (1, 2))
        with pytest.raises(ShapeError, match="affinity"):
            walk(wide, torch.ones(2, 1), 2)

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_values_that_are_not_finite(self, bad: float) -> None:
        with pytest.raises(ShapeError, match="values"):
            walk(random_graph(3), torch.full((3, 1), bad, dtype=torch.float64), 2)
        with pytest.raises(ShapeError, match="scores"):
            walk_scores(torch.full((1, 2, 2), bad), torch.ones(34, 2, 2), FIVE, beta=2, steps=1)

    @pytest.mark.parametrize("values", [torch.ones(3), torch.ones(2, 1).double(), torch.ones(3, 1)])
    def test_values_that_do_not_fit(self, values: Tensor) -> None:
        with pytest.raises(ShapeError):
            walk(random_graph(3), values, 2)

    def test_unknown_convention(self) -> None:
        with pytest.raises(ShapeError, match="convention"):
            walk(random_graph(3), normal(3, 1), 2, convention="row")  # type: ignore[arg-type]

    def test_maps_of_other_sizes(self) -> None:
        with pytest.raises(ShapeError, match="scores"):
            walk_scores(torch.ones(1, 2, 3), torch.ones(34, 2, 2), FIVE, beta=2, steps=1)
        with pytest.raises(ShapeError, match="activations"):
            suppress_boundaries(torch.ones(1, 2, 3), torch.ones(2, 2))

    @pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
    def test_boundaries(self, bad: float) -> None:
        with pytest.raises(ShapeError, match="boundary"):
            suppress_boundaries(torch.ones(1, 2, 2), torch.full((2, 2), bad))
