from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import assert_exact, each
from tiled_graphs import DOUBLE, affinity_of, matrix_of, noise, ring, uniform, window
from weakseg.ops.neighborhood import edge_cosine, neighborhood_attention
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.tile_attention import additive_attention, cosine_attention, mix
from weakseg.ops.tiles import build_tiles, grid_places


def attend(pattern: Pattern, values: Tensor, edges: Tensor, w: float, places: Tensor | None = None) -> Tensor:
    """Return what cosine attention makes of the nodes of one graph; ``edges`` holds one score an edge."""
    tiles = build_tiles([pattern], [places])
    at = tiles.scatter(values)[0]
    return cosine_attention(tiles, at, torch.tensor([w], dtype=values.dtype), tiles.spread(edges))[tiles.places]


def probabilities(pattern: Pattern, features: Tensor, edges: Tensor, w: float) -> Tensor:
    """Return the ``(N, N)`` matrix P of an attention step, solved for from P H; H has independent rows."""
    return attend(pattern, features, edges, w) @ torch.linalg.pinv(features)


class TestCosineAttention:
    PAIR = matrix_of(torch.ones(2, 2), torch.ones(2, 2, dtype=torch.bool)).pattern

    @each(
        ("features", "edge", "w", "beta", "row"),
        [
            (((1, 0), (0, 1)), 0.5, 1, 0, (0.7311, 0.2689)),  # a2gnn.md, oracle 3; graph-baselines.md, oracle 5
            (((1, 0), (0, 1)), 0.5, 2, 0, (0.8808, 0.1192)),
            (((1, 0), (0, 1)), 0.5, 1, 10, (0.99998, 0.00002)),  # the gate closes the edge
            (((3, 4), (4, 3)), 0.9, 1, 10, (0.7389, 0.2611)),  # oracle 4
        ],
    )
    def test_two_nodes(self, features: Any, edge: float, w: float, beta: float, row: tuple[float, float]) -> None:
        values = torch.tensor(features, dtype=DOUBLE)
        found = attend(self.PAIR, values, beta * torch.tensor([1, edge, edge, 1], dtype=DOUBLE), w)
        expected = torch.tensor([row, row[::-1]], dtype=DOUBLE) @ values
        assert_exact(found, expected, rtol=0, atol=4e-4)

    @each("graph", ["grid", "ring"])
    @each("beta", [0, 10])
    def test_equals_the_dense_version(self, graph: str, beta: float) -> None:
        # a2gnn.md, oracles 1 and 8: values and gradients, in values and w.
        size = (9, 11)
        mask = dense.square_mask(size, 2) if graph == "grid" else ring()
        affinity = affinity_of(mask)
        matrix = matrix_of(affinity, mask)
        values = noise(len(mask), 5).relu().requires_grad_()  # some of them zero
        w = torch.tensor([0.7], dtype=DOUBLE, requires_grad=True)
        expected = dense.cosine_attention(values, mask, affinity, w, beta)
        slope = noise(*expected.shape, seed=1)
        wanted = torch.autograd.grad((expected * slope).sum(), [values, w])
        tiles = build_tiles([matrix.pattern], [grid_places(size) if graph == "grid" else None])
        found = cosine_attention(tiles, tiles.scatter(values)[0], w, tiles.spread(beta * matrix.values))[tiles.places]
        assert_exact(found, expected)
        assert_exact(torch.autograd.grad((found * slope).sum(), [values, w]), wanted)

    def test_equals_the_edge_list(self) -> None:
        pattern, places = window((9, 20), 4)
        values, edges = noise(180, 7), 10 * uniform(pattern.num_entries)
        cosines = edge_cosine(pattern, values)
        expected = neighborhood_attention(pattern, 0.4 * cosines + (cosines > 0) * edges, values)
        assert_exact(attend(pattern, values, edges, 0.4, places), expected)

    def test_rows_sum_to_one(self) -> None:
        # a2gnn.md, oracle 1
        pattern, _ = window((5, 6))
        mask = dense.square_mask((5, 6), 2)
        probs = probabilities(pattern, noise(30, 34), 10 * uniform(pattern.num_entries), 0.8)
        assert float(probs.min()) > -1e-12 and float(probs[~mask].abs().max()) < 1e-12
        assert_exact(probs.sum(1), torch.ones(30, dtype=DOUBLE))

    def test_without_edges_and_cosines_it_is_the_mean(self) -> None:
        # a2gnn.md, oracle 2
        pattern, places = window((5, 6))
        mask = dense.square_mask((5, 6), 2).double()
        values = noise(30, 4)
        found = attend(pattern, values, torch.zeros(pattern.num_entries, dtype=DOUBLE), 0, places)
        assert_exact(found, mask @ values / mask.sum(1, keepdim=True))

    def test_without_cosines_features_do_not_weigh(self) -> None:
        # a2gnn.md, oracle 2: w = 0, all cosines positive.
        pattern, _ = window((4, 4))
        edges = 10 * uniform(pattern.num_entries)
        one, other = (probabilities(pattern, uniform(16, 20, seed=seed) + 0.1, edges, 0) for seed in (0, 1))
        assert_exact(one, other)

    def test_equal_features_stay(self) -> None:
        # a2gnn.md, oracle 5
        pattern, places = window((4, 7))
        values = uniform(1, 3).expand(28, 3).contiguous()
        assert_exact(attend(pattern, values, 10 * uniform(pattern.num_entries), 0.5, places), values)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 7), st.integers(1, 7), st.floats(-2, 2), st.floats(0, 10), st.integers(0, 99))
    def test_laws(self, height: int, width: int, w: float, beta: float, seed: int) -> None:
        # a2gnn.md, oracles 5 and 6: within the neighbours' range; scale and order of nodes do not matter.
        pattern, places = window((height, width), 1)
        values, edges = noise(height * width, 3, seed=seed), beta * uniform(pattern.num_entries, seed=seed)
        found = attend(pattern, values, edges, w, places)
        mask = dense.square_mask((height, width), 1)[..., None]
        assert bool((found <= torch.where(mask, values, -torch.inf).amax(1) + 1e-12).all())
        assert bool((found >= torch.where(mask, values, torch.inf).amin(1) - 1e-12).all())
        assert_exact(attend(pattern, 7 * values, edges, w, places), 7 * found)
        order = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
        full = SparseMatrix(pattern, edges).to_dense()[order][:, order]
        moved = matrix_of(full, mask[order][:, order, 0])
        assert_exact(attend(moved.pattern, values[order], moved.values, w), found[order])

    def test_zero_features_are_finite(self) -> None:
        # a2gnn.md, section 8: a node without features attends to all neighbours alike.
        pattern, places = window((3, 3), 1)
        values = noise(9, 4)
        values[4] = 0
        leaf = values.requires_grad_()
        found = attend(pattern, leaf, 10 * uniform(pattern.num_entries), 0.5, places)
        assert_exact(found[4], values.mean(0))
        found.square().sum().backward()
        assert bool(torch.isfinite(leaf.grad).all())  # type: ignore[arg-type]

    def test_many_equal_features_keep_their_gradient_finite(self) -> None:
        pattern, places = window((3, 3), 1)
        leaf = torch.zeros(9, 4, dtype=DOUBLE, requires_grad=True)
        attend(pattern, leaf, uniform(pattern.num_entries), 0.5, places).sum().backward()
        assert bool(torch.isfinite(leaf.grad).all())  # type: ignore[arg-type]

    def test_large_weights_attend_to_the_nearest(self) -> None:
        # graph-baselines.md, oracle 5
        pattern, _ = window((4, 5), 1)
        features = noise(20, 25)
        probs = probabilities(pattern, features, torch.zeros(pattern.num_entries, dtype=DOUBLE), 2000)
        assert_exact(probs, torch.eye(20, dtype=DOUBLE), rtol=0, atol=1e-3)


class TestOtherPropagations:
    def test_mix(self) -> None:
        mask = ring()
        matrix = matrix_of(uniform(*mask.shape), mask)  # not symmetric
        tiles = build_tiles([matrix.pattern])
        values = noise(len(mask), 3).requires_grad_()
        found = mix(tiles, tiles.spread(matrix.values), tiles.scatter(values)[0])[tiles.places]
        assert_exact(found, matrix.to_dense() @ values)
        slope = noise(*found.shape, seed=1)
        (by_values,) = torch.autograd.grad((found * slope).sum(), values)
        assert_exact(by_values, matrix.to_dense().T @ slope)

    @pytest.mark.parametrize("dropout", [False, True])
    def test_additive_attention(self, dropout: bool) -> None:
        mask = dense.square_mask((5, 5), 1)
        pattern, places = window((5, 5), 1)
        tiles = build_tiles([pattern], [places])
        values, source, target = noise(25, 2, 3), noise(2, 3, seed=1), noise(2, 3, seed=2)
        leaves = [x.requires_grad_() for x in (values, source, target)]
        kept = 2 * (uniform(2, *tiles.outside.shape) > 0.5).double() if dropout else None

        def by_tiles() -> Tensor:
            at = tiles.scatter(values.flatten(1))[0].reshape(-1, 2, 3)
            sums = ((at * vector).sum(2) for vector in (source, target))
            return additive_attention(tiles, at, *sums, None, kept)[tiles.places]

        def densely() -> Tensor:
            if kept is None:
                return torch.stack(
                    [dense.additive_attention(values[:, h], mask, source[h], target[h]) for h in (0, 1)], 1
                )
            heads = []
            for h in (0, 1):
                scores = (values[:, h] @ source[h])[:, None] + values[:, h] @ target[h]
                probs = dense.masked_softmax(torch.nn.functional.leaky_relu(scores, 0.2), mask)
                factor = torch.zeros(25, 25, dtype=DOUBLE)
                factor[pattern.rows, pattern.columns.long()] = kept[h].flatten()[tiles.cells]
                heads.append((probs * factor) @ values[:, h])
            return torch.stack(heads, 1)

        found, expected = by_tiles(), densely()
        assert_exact(found, expected)
        slope = noise(*found.shape, seed=3)
        wanted = torch.autograd.grad((expected * slope).sum(), leaves)
        assert_exact(torch.autograd.grad((found * slope).sum(), leaves), wanted)

    @pytest.mark.parametrize(
        ("vectors", "row"), [(((1.0, 0.0), (0.0, 1.0)), (0.2689, 0.7311)), (((0, 0), (0, 0)), (0.5, 0.5))]
    )
    def test_two_nodes(self, vectors: Any, row: tuple[float, float]) -> None:
        # graph-baselines.md, oracle 4: e = [[1, 2], [0, 1]] for g = ((1, 0), (0, 1)): s = (1, 0), t = (0, 1).
        tiles = build_tiles([TestCosineAttention.PAIR])
        at = tiles.scatter(torch.eye(2, dtype=DOUBLE))[0]
        sums = [at @ torch.tensor(vector, dtype=DOUBLE)[:, None] for vector in vectors]
        found = additive_attention(tiles, at[:, None], *sums)[:2, 0]
        assert_exact(found, torch.tensor([row, row], dtype=DOUBLE), rtol=0, atol=5e-5)

    def test_edges_as_a_bias(self) -> None:
        tiles = build_tiles([TestCosineAttention.PAIR])
        at = tiles.scatter(torch.eye(2, dtype=DOUBLE))[0]
        edges = tiles.spread(torch.tensor([1, 0.25, 0.25, 1], dtype=DOUBLE).log())
        found = additive_attention(tiles, at[:, None], 0 * at[:, :1], 0 * at[:, :1], edges)[:2, 0]
        assert_exact(found, torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=DOUBLE))
