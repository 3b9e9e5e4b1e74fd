import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ConfigError, ShapeError
from weakseg.nn.graph_layers import (
    Graphs,
    NetworkConfig,
    NetworkKind,
    Output,
    build_network,
    initial_weights,
    normalized_map,
)
from weakseg.nn.per_image import ImageDropout
from weakseg.ops.neighborhood import edge_cosine, neighborhood_attention
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges
from weakseg.ops.stencil import half_square, stencil_pattern
from weakseg.ops.tile_attention import additive_attention, cosine_attention, mix
from weakseg.ops.tiles import ROWS, Tiles, build_tiles, grid_places

KINDS: tuple[NetworkKind, ...] = ("a2gnn", "agnn", "gcn", "gat", "mlp")
DOUBLE = torch.float64


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def matrix_of(dense_matrix: Tensor, mask: Tensor) -> SparseMatrix:
    edges = mask.nonzero().T
    return matrix_from_edges(edges, dense_matrix[edges[0], edges[1]], (len(mask), len(mask)))


def window(size: tuple[int, int], radius: int = 2) -> tuple[Pattern, Tensor]:
    """Return the window's pattern of a grid, and where its nodes lie."""
    return stencil_pattern(size, half_square(radius), "cpu")[0], grid_places(size)


def affinity_of(mask: Tensor, seed: int = 0) -> Tensor:
    """Return a symmetric ``(N, N)`` affinity in the mask, with ones on its diagonal."""
    half = uniform(*mask.shape, seed=seed).triu(1)
    return torch.where(mask, half + half.T + torch.eye(len(mask)), 0)


def ring(nodes: int = 150) -> Tensor:
    """Return the mask of a graph without a grid: a ring with chords."""
    index = torch.arange(nodes)
    apart = (index[:, None] - index).abs()
    return (apart <= 1) | (apart == nodes - 1) | ((index[:, None] * index) % 29 == 1)


def graphs_of(masks: Sequence[Tensor], features: Sequence[Tensor], seed: int = 0, **more: Any) -> Graphs:
    """Return graphs of random affinities; ``more``: places."""
    matrices = [matrix_of(affinity_of(mask, seed + i), mask) for i, mask in enumerate(masks)]
    tiles = build_tiles([matrix.pattern for matrix in matrices], **more)
    return Graphs(tiles.scatter(torch.cat(list(features))), tiles, torch.cat([m.values for m in matrices]))


def run(config: NetworkConfig, graphs: Graphs, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return hidden units and logits of the nodes."""
    out = build_network(config)(weights, graphs, None)
    return out.hidden[graphs.tiles.places], out.logits[graphs.tiles.places]


def weights_for(config: NetworkConfig, channels: int, labels: Sequence[int], seed: int = 0) -> list[Tensor]:
    generators = [torch.Generator().manual_seed(seed + index) for index in range(len(labels))]
    return [w.double() for w in initial_weights(build_network(config), channels, labels, generators)]


def attend(pattern: Pattern, values: Tensor, edges: Tensor, w: float, places: Tensor | None = None) -> Tensor:
    """Return what cosine attention makes of the nodes of one graph; ``edges`` holds one score an edge."""
    tiles = build_tiles([pattern], [places])
    at = tiles.scatter(values)[0]
    return cosine_attention(tiles, at, torch.tensor([w], dtype=values.dtype), tiles.spread(edges))[tiles.places]


def probabilities(pattern: Pattern, features: Tensor, edges: Tensor, w: float) -> Tensor:
    """Return the ``(N, N)`` matrix P of an attention step, solved for from P H; H has independent rows."""
    return attend(pattern, features, edges, w) @ torch.linalg.pinv(features)


class TestTiles:
    @each("size", [(1, 1), (8, 8), (9, 17), (1, 70), (47, 63), (3, 200)])
    def test_places_of_a_grid(self, size: tuple[int, int]) -> None:
        places = grid_places(size)
        assert len(places.unique()) == math.prod(size) == len(places)
        reach = build_tiles([stencil_pattern(size, half_square(4), "cpu")[0]], [places])
        assert int(places.max()) < reach.num_places <= ROWS * math.ceil(size[0] / 4) * math.ceil(size[1] / 8)
        assert reach.columns.shape[1] <= max(256, 9 * 72)  # the window of a tile

    @pytest.mark.parametrize("size", [(1, 1), (3, 4), (9, 17)])
    def test_maps_hold_every_edge_once(self, size: tuple[int, int]) -> None:
        pattern, places = window(size)
        tiles = build_tiles([pattern], [places])
        values = uniform(pattern.num_entries)
        spread = tiles.spread(values)
        assert int((~tiles.outside).sum()) == pattern.num_entries
        assert spread.flatten()[tiles.cells].equal(values) and not spread[tiles.outside].any()
        full = torch.zeros(tiles.num_places, tiles.num_places, dtype=DOUBLE)
        rows = torch.arange(tiles.num_places).reshape(-1, ROWS, 1).expand(spread.shape)
        columns = tiles.columns.long()[:, None].expand(spread.shape)
        inside = ~tiles.outside
        full[rows[inside], columns[inside]] = spread[inside]
        expected = SparseMatrix(pattern, values).to_dense()
        assert full[places][:, places].equal(expected)
        assert tiles.mirrored(spread).flatten()[tiles.cells].equal(SparseMatrix(pattern, values).transpose().values)

    def test_nodes_come_back(self) -> None:
        tiles = build_tiles([window((3, 4))[0], window((9, 9))[0]], [None, grid_places((9, 9))])
        values = noise(12 + 81, 3)
        spread = tiles.scatter(values)
        assert spread.shape == (2, tiles.num_places, 3) and tiles.gather(spread).equal(values)
        assert tiles.spans == (32, 192) and int((spread != 0).any(2).sum()) == 93

    def test_empty_places_stay_empty(self) -> None:
        tiles = build_tiles([window((3, 4))[0], window((9, 9))[0]], [None, grid_places((9, 9))])
        assert len(tiles.empty) == 2 * tiles.num_places - 93
        assert not tiles.barrier[~tiles.outside].any() and float(tiles.barrier[tiles.outside].max()) < -1e37
        values = tiles.scatter(uniform(93, 3)).flatten(0, 1).requires_grad_()
        edges = tiles.spread(uniform(len(tiles.cells)))
        out = cosine_attention(tiles, values, torch.ones(2, dtype=DOUBLE), edges)
        (grad,) = torch.autograd.grad(out.sum(), values)
        assert not out[tiles.empty].any() and not grad[tiles.empty].any()

    def test_an_image_has_its_own_columns_first(self) -> None:
        small, large = window((3, 4)), window((9, 17), 4)
        alone = build_tiles([small[0]], [small[1]])
        both = build_tiles([small[0], large[0]], [small[1], large[1]])
        assert both.widths == (*alone.widths, both.widths[1])
        assert both.columns[:1, : alone.widths[0]].equal(alone.columns)

    @pytest.mark.parametrize(
        ("mask", "message"),
        [([[1, 1], [0, 1]], "symmetric"), ([[1, 1], [1, 0]], "add_self_loops"), ([[1, 1, 0], [1, 1, 1]], "symmetric")],
    )
    def test_other_patterns_are_refused(self, mask: list[list[int]], message: str) -> None:
        found = torch.tensor(mask).bool()
        edges = found.nonzero().T
        pattern = matrix_from_edges(edges, torch.ones(edges.shape[1]), (found.shape[0], found.shape[1])).pattern
        with pytest.raises(ShapeError, match=message):
            build_tiles([pattern])

    def test_duplicate_edges_are_one(self) -> None:
        # graph-baselines.md, oracle 8: summed where the matrix is made, so that no layer sees two.
        edges = torch.tensor([[0, 0, 1, 1, 0], [0, 1, 0, 1, 1]])
        matrix = matrix_from_edges(edges, torch.tensor([1.0, 0.25, 0.5, 1.0, 0.25]), (2, 2))
        assert matrix.pattern.num_entries == 4 and matrix.to_dense().tolist() == [[1, 0.5], [0.5, 1]]


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
        torch.testing.assert_close(found, expected, rtol=0, atol=4e-4)

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
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad((found * slope).sum(), [values, w]), wanted)

    def test_equals_the_edge_list(self) -> None:
        pattern, places = window((9, 20), 4)
        values, edges = noise(180, 7), 10 * uniform(pattern.num_entries)
        cosines = edge_cosine(pattern, values)
        expected = neighborhood_attention(pattern, 0.4 * cosines + (cosines > 0) * edges, values)
        torch.testing.assert_close(attend(pattern, values, edges, 0.4, places), expected)

    def test_rows_sum_to_one(self) -> None:
        # a2gnn.md, oracle 1
        pattern, _ = window((5, 6))
        mask = dense.square_mask((5, 6), 2)
        probs = probabilities(pattern, noise(30, 34), 10 * uniform(pattern.num_entries), 0.8)
        assert float(probs.min()) > -1e-12 and float(probs[~mask].abs().max()) < 1e-12
        torch.testing.assert_close(probs.sum(1), torch.ones(30, dtype=DOUBLE))

    def test_without_edges_and_cosines_it_is_the_mean(self) -> None:
        # a2gnn.md, oracle 2
        pattern, places = window((5, 6))
        mask = dense.square_mask((5, 6), 2).double()
        values = noise(30, 4)
        found = attend(pattern, values, torch.zeros(pattern.num_entries, dtype=DOUBLE), 0, places)
        torch.testing.assert_close(found, mask @ values / mask.sum(1, keepdim=True))

    def test_without_cosines_features_do_not_weigh(self) -> None:
        # a2gnn.md, oracle 2: w = 0, all cosines positive.
        pattern, _ = window((4, 4))
        edges = 10 * uniform(pattern.num_entries)
        one, other = (probabilities(pattern, uniform(16, 20, seed=seed) + 0.1, edges, 0) for seed in (0, 1))
        torch.testing.assert_close(one, other)

    def test_equal_features_stay(self) -> None:
        # a2gnn.md, oracle 5
        pattern, places = window((4, 7))
        values = uniform(1, 3).expand(28, 3).contiguous()
        torch.testing.assert_close(attend(pattern, values, 10 * uniform(pattern.num_entries), 0.5, places), values)

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
        torch.testing.assert_close(attend(pattern, 7 * values, edges, w, places), 7 * found)
        order = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
        full = SparseMatrix(pattern, edges).to_dense()[order][:, order]
        moved = matrix_of(full, mask[order][:, order, 0])
        torch.testing.assert_close(attend(moved.pattern, values[order], moved.values, w), found[order])

    def test_zero_features_are_finite(self) -> None:
        # a2gnn.md, section 8: a node without features attends to all neighbours alike.
        pattern, places = window((3, 3), 1)
        values = noise(9, 4)
        values[4] = 0
        leaf = values.requires_grad_()
        found = attend(pattern, leaf, 10 * uniform(pattern.num_entries), 0.5, places)
        torch.testing.assert_close(found[4], values.mean(0))
        found.square().sum().backward()
        assert bool(torch.isfinite(leaf.grad).all())  # type: ignore[arg-type]

    def test_many_equal_features_keep_their_gradient_finite(self) -> None:
        pattern, places = window((3, 3), 1)
        leaf = torch.zeros(9, 4, dtype=DOUBLE, requires_grad=True)
        attend(pattern, leaf, uniform(pattern.num_entries), 0.5, places).sum().backward()
        assert bool(torch.isfinite(leaf.grad).all())  # type: ignore[arg-type]


class TestOtherPropagations:
    def test_mix(self) -> None:
        mask = ring()
        matrix = matrix_of(uniform(*mask.shape), mask)  # not symmetric
        tiles = build_tiles([matrix.pattern])
        values = noise(len(mask), 3).requires_grad_()
        found = mix(tiles, tiles.spread(matrix.values), tiles.scatter(values)[0])[tiles.places]
        torch.testing.assert_close(found, matrix.to_dense() @ values)
        slope = noise(*found.shape, seed=1)
        (by_values,) = torch.autograd.grad((found * slope).sum(), values)
        torch.testing.assert_close(by_values, matrix.to_dense().T @ slope)

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
        torch.testing.assert_close(found, expected)
        slope = noise(*found.shape, seed=3)
        wanted = torch.autograd.grad((expected * slope).sum(), leaves)
        torch.testing.assert_close(torch.autograd.grad((found * slope).sum(), leaves), wanted)

    @pytest.mark.parametrize(
        ("vectors", "row"), [(((1.0, 0.0), (0.0, 1.0)), (0.2689, 0.7311)), (((0, 0), (0, 0)), (0.5, 0.5))]
    )
    def test_two_nodes(self, vectors: Any, row: tuple[float, float]) -> None:
        # graph-baselines.md, oracle 4: e = [[1, 2], [0, 1]] for g = ((1, 0), (0, 1)): s = (1, 0), t = (0, 1).
        tiles = build_tiles([TestCosineAttention.PAIR])
        at = tiles.scatter(torch.eye(2, dtype=DOUBLE))[0]
        sums = [at @ torch.tensor(vector, dtype=DOUBLE)[:, None] for vector in vectors]
        found = additive_attention(tiles, at[:, None], *sums)[:2, 0]
        torch.testing.assert_close(found, torch.tensor([row, row], dtype=DOUBLE), rtol=0, atol=5e-5)

    def test_edges_as_a_bias(self) -> None:
        tiles = build_tiles([TestCosineAttention.PAIR])
        at = tiles.scatter(torch.eye(2, dtype=DOUBLE))[0]
        edges = tiles.spread(torch.tensor([1, 0.25, 0.25, 1], dtype=DOUBLE).log())
        found = additive_attention(tiles, at[:, None], 0 * at[:, :1], 0 * at[:, :1], edges)[:2, 0]
        torch.testing.assert_close(found, torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=DOUBLE))


def scene(kind: NetworkKind, **change: Any) -> tuple[NetworkConfig, list[Tensor], list[Tensor], Graphs]:
    """Return config, masks, features and graphs of a grid of 4 x 5 cells and of 3 nodes."""
    config = NetworkConfig(kind, **{"hidden": 8, "heads": 2, **change})
    masks = [dense.square_mask((4, 5), 1), torch.ones(3, 3, dtype=torch.bool)]
    features = [uniform(20, 6), uniform(3, 6, seed=1)]
    return config, masks, features, graphs_of(masks, features, places=[grid_places((4, 5)), None])


class TestNetworks:
    @each(
        "config",
        [
            {"kind": "a2gnn"}, {"kind": "a2gnn", "cosine": False}, {"kind": "agnn"}, {"kind": "gat"}, {"kind": "mlp"},
            {"kind": "gcn"}, {"kind": "gcn", "normalization": "rows"}, {"kind": "gcn", "adjacency": "binary"},
        ],
    )  # fmt: skip
    def test_equal_the_dense_version(self, config: dict[str, Any]) -> None:
        # values, and gradients by every weight, of two images with networks of their own
        settings, masks, features, graphs = scene(**config)
        weights = [w.requires_grad_() for w in weights_for(settings, 6, [4, 2])]
        found = run(settings, graphs, weights)
        start = 0
        for index, (mask, own, labels) in enumerate(zip(masks, features, (4, 2), strict=True)):
            affinity = affinity_of(mask, index)
            affinity = mask.double() if settings.adjacency == "binary" else affinity
            parts = [w[index] for w in weights]
            if not settings.cosine:
                parts[1] = 0 * parts[1]
            expected = dense.a2gnn_outputs(
                settings.kind, parts, own, affinity, mask, heads=2, normalization=settings.normalization
            )
            here = [values[start : start + len(own)] for values in found]
            for one, other in zip(here, expected, strict=True):
                torch.testing.assert_close(one, other)
            assert not here[1][:, labels:].any()
            slopes = [noise(*values.shape, seed=5) for values in expected]
            sums = [sum((v * s).sum() for v, s in zip(o, slopes, strict=True)) for o in (here, expected)]
            one, other = (torch.autograd.grad(s, weights, retain_graph=True, allow_unused=True) for s in sums)
            for name, (a, b) in enumerate(zip(one, other, strict=True)):
                assert (a is None) == (b is None) or not settings.cosine or settings.kind == "mlp", name
                if a is not None and b is not None:
                    torch.testing.assert_close(a, b)
            start += len(own)

    @each("kind", KINDS)
    def test_gradient_by_finite_differences(self, kind: NetworkKind) -> None:
        # a2gnn.md, oracle 8; graph-baselines.md, oracle 9
        config, _, _, graphs = scene(kind, propagations=2)
        weights = [w.requires_grad_() for w in weights_for(config, 6, [3, 3], seed=4)]
        network, slope = build_network(config), noise(graphs.tiles.num_places * 2, 3)

        def value() -> Tensor:
            return (network(weights, graphs, None).logits * slope)[graphs.tiles.places].sum()

        for weight, by_weight in zip(weights, torch.autograd.grad(value(), weights, allow_unused=True), strict=True):
            if by_weight is None:
                assert kind == "mlp"
                continue
            for index in range(0, weight.numel(), max(1, weight.numel() // 5)):
                sides = []
                for step in (1e-5, -1e-5):
                    with torch.no_grad():
                        kept = float(weight.view(-1)[index])
                        weight.view(-1)[index] = kept + step
                        sides.append(float(value()))
                        weight.view(-1)[index] = kept
                assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(
                    float(by_weight.flatten()[index]), rel=1e-4, abs=1e-6
                )

    @each("kind", KINDS)
    def test_order_of_nodes(self, kind: NetworkKind) -> None:
        # graph-baselines.md, oracle 7
        config = NetworkConfig(kind, hidden=8, heads=2)
        mask, features = ring(90), uniform(90, 5)
        order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
        affinity, weights = affinity_of(mask), weights_for(config, 5, [3])
        found = []
        for index in (torch.arange(90), order):
            matrix = matrix_of(affinity[index][:, index], mask[index][:, index])
            tiles = build_tiles([matrix.pattern])
            found.append(run(config, Graphs(tiles.scatter(features[index]), tiles, matrix.values), weights)[1])
        torch.testing.assert_close(found[1], found[0][order])

    @each("kind", KINDS)
    def test_an_isolated_node_changes_nothing(self, kind: NetworkKind) -> None:
        # graph-baselines.md, oracle 7
        config = NetworkConfig(kind, hidden=8, heads=2)
        mask, weights = ring(20), weights_for(config, 5, [3])
        more = torch.block_diag(mask.long(), torch.ones(1, 1)).bool()
        features = uniform(21, 5)
        matrix = matrix_of(affinity_of(mask), mask)
        both = matrix_of(torch.block_diag(affinity_of(mask), torch.ones(1, 1, dtype=DOUBLE)), more)
        found = []
        for own, own_features in ((matrix, features[:20]), (both, features)):
            tiles = build_tiles([own.pattern])
            found.append(run(config, Graphs(tiles.scatter(own_features), tiles, own.values), weights)[1])
        torch.testing.assert_close(found[1][:20], found[0])
        assert bool(torch.isfinite(found[1]).all())

    def test_self_loops_alone(self) -> None:
        # graph-baselines.md, oracle 3: the convolution is a two-layer perceptron, attention is the identity.
        mask, features = torch.eye(7, dtype=torch.bool), uniform(7, 5)
        graphs = graphs_of([mask], [features])
        for kind in ("a2gnn", "agnn"):
            config = NetworkConfig(kind, hidden=8)  # type: ignore[arg-type]
            weights = weights_for(config, 5, [3])
            expected = run(NetworkConfig("mlp", hidden=8), graphs, [weights[0], weights[1][:, :0], weights[2]])
            torch.testing.assert_close(run(config, graphs, weights), expected)
        config = NetworkConfig("gcn", hidden=8)
        w0, b0, w1, b1 = (w[0] for w in weights_for(config, 5, [3]))
        found = run(config, graphs, [w[None] for w in (w0, b0, w1, b1)])[1]
        torch.testing.assert_close(found, torch.relu(features @ w0 + b0) @ w1 + b1)
        config = NetworkConfig("gat", hidden=8, heads=2)
        w0, _, _, b0, w1, _, _, b1 = weights = weights_for(config, 5, [3])
        expected_gat = torch.nn.functional.elu(features @ w0[0] + b0[0]) @ w1[0] + b1[0]
        torch.testing.assert_close(run(config, graphs, weights)[1], expected_gat)

    def test_a2gnn_without_edges_is_agnn(self) -> None:
        # a2gnn.md, oracle 2; graph-baselines.md, oracle 6: bit for bit.
        config, _, _, graphs = scene("a2gnn", beta=0.0)
        weights = weights_for(config, 6, [4, 2])
        for one, other in zip(run(config, graphs, weights), run(scene("agnn")[0], graphs, weights), strict=True):
            assert one.equal(other)

    def test_large_weights_attend_to_the_nearest(self) -> None:
        # graph-baselines.md, oracle 5
        pattern, _ = window((4, 5), 1)
        features = noise(20, 25)
        probs = probabilities(pattern, features, torch.zeros(pattern.num_entries, dtype=DOUBLE), 2000)
        torch.testing.assert_close(probs, torch.eye(20, dtype=DOUBLE), rtol=0, atol=1e-3)

    def test_cosines_are_never_negative(self) -> None:
        # a2gnn.md, oracle 7: behind a ReLU; so the published check cannot fire.
        config, _, _, graphs = scene("a2gnn")
        hidden, _ = run(config, graphs, weights_for(config, 6, [4, 2]))
        assert float(hidden.min()) >= 0 and float(dense.safe_cosines(hidden).min()) >= 0

    def test_three_propagations_keep_regions_apart(self) -> None:
        # graph-baselines.md, section 8: over-smoothing.
        mask = dense.square_mask((6, 12), 2)
        right = (torch.arange(12) > 5).expand(6, 12).flatten()
        affinity = torch.where(mask, torch.where(right[:, None] == right, 1.0, 0.1).double(), 0)
        features = torch.stack([~right, right], 1).double() + 0.2 * uniform(72, 2)
        matrix = matrix_of(affinity, mask)
        tiles = build_tiles([matrix.pattern])
        config = NetworkConfig("a2gnn", hidden=16)
        hidden, _ = run(config, Graphs(tiles.scatter(features), tiles, matrix.values), weights_for(config, 2, [2]))
        within = (
            torch.cat([hidden[right] - hidden[right].mean(0), hidden[~right] - hidden[~right].mean(0)]).square().mean()
        )
        between = (hidden[right].mean(0) - hidden[~right].mean(0)).square().mean()
        assert float(between) > 20 * float(within)


class TestConvolutionMatrix:
    PATH = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=torch.bool)

    def matrix(self, mask: Tensor, affinity: Tensor, **config: Any) -> Tensor:
        """Return the matrix that the networks multiply with, by passing the identity through it."""
        matrix = matrix_of(affinity, mask)
        tiles = build_tiles([matrix.pattern])
        graphs = Graphs(tiles.scatter(torch.ones(len(mask), 1, dtype=DOUBLE)), tiles, matrix.values)
        chosen = {"normalization": "symmetric", "adjacency": "soft", **config}
        eye = tiles.scatter(torch.eye(len(mask), dtype=DOUBLE))[0]
        return mix(tiles, normalized_map(graphs, **chosen), eye)[tiles.places]

    def test_path(self) -> None:
        # graph-baselines.md, oracle 1
        ones = self.PATH.double()
        symmetric = torch.tensor([[0.5, 6**-0.5, 0], [6**-0.5, 1 / 3, 6**-0.5], [0, 6**-0.5, 0.5]], dtype=DOUBLE)
        rows = torch.tensor([[0.5, 0.5, 0], [1 / 3] * 3, [0, 0.5, 0.5]], dtype=DOUBLE)
        torch.testing.assert_close(self.matrix(self.PATH, ones), symmetric)
        torch.testing.assert_close(self.matrix(self.PATH, ones, normalization="rows"), rows)

    @pytest.mark.parametrize("adjacency", ["soft", "binary"])
    def test_spectrum(self, adjacency: str) -> None:
        # graph-baselines.md, oracle 2
        mask = ring(40)
        affinity = affinity_of(mask)
        sums = (affinity if adjacency == "soft" else mask.double()).sum(1)
        symmetric = self.matrix(mask, affinity, adjacency=adjacency)
        torch.testing.assert_close(symmetric @ sums.sqrt(), sums.sqrt())
        assert float(torch.linalg.eigvalsh(symmetric).max()) == pytest.approx(1)
        rows = self.matrix(mask, affinity, adjacency=adjacency, normalization="rows")
        torch.testing.assert_close(rows.sum(1), torch.ones(40, dtype=DOUBLE))

    def test_zero_rows_stay_zero(self) -> None:
        found = self.matrix(torch.eye(2, dtype=torch.bool), torch.diag(torch.tensor([0.0, 2.0], dtype=DOUBLE)))
        assert found.tolist() == [[0, 0], [0, 1]]


class TestInitialWeights:
    @each("kind", KINDS)
    def test_drawn_by_each_image(self, kind: NetworkKind) -> None:
        config = NetworkConfig(kind)
        network = build_network(config)

        def draw(seeds: Sequence[int], labels: Sequence[int]) -> list[Tensor]:
            return initial_weights(network, 40, labels, [torch.Generator().manual_seed(seed) for seed in seeds])

        both, alone = draw([0, 1], [2, 5]), draw([0], [2])
        assert not both[0][0].equal(both[0][1])
        for one, other in zip(both, alone, strict=True):
            assert one[0, ..., : other.shape[-1]].equal(other[0]) and not one[0, ..., other.shape[-1] :].any()

    def test_bounds(self) -> None:
        # a2gnn.md, 2.5: Xavier; w in (0, 1). graph-baselines.md, 2.1: biases, here 0.
        weights = initial_weights(build_network(NetworkConfig()), 448, [21], [torch.Generator().manual_seed(0)])
        for weight, (inputs, outputs) in ((weights[0], (448, 256)), (weights[2], (256, 21))):
            assert weight.shape == (1, inputs, outputs)
            assert 0.98 < float(weight.abs().max()) / (6 / (inputs + outputs)) ** 0.5 <= 1
        assert weights[1].shape == (1, 3) and 0 <= float(weights[1].min()) <= float(weights[1].max()) <= 1
        w0, b0, w1, b1 = initial_weights(build_network(NetworkConfig("gcn")), 9, [3], [torch.Generator()])
        assert (w0.shape, b0.shape, w1.shape, b1.shape) == ((1, 9, 256), (1, 1, 256), (1, 256, 3), (1, 1, 3))
        assert not b0.any() and not b1.any()


class TestDropoutOfNetworks:
    @each("kind", KINDS)
    def test_an_image_draws_as_if_alone(self, kind: NetworkKind) -> None:
        config, masks, features, graphs = scene(kind)
        alone = graphs_of(masks[1:], features[1:], seed=1)
        weights = weights_for(config, 6, [3, 3])

        def through(graphs: Graphs, weights: Sequence[Tensor], seeds: Sequence[int]) -> Output:
            generators = [torch.Generator().manual_seed(seed) for seed in seeds]
            return build_network(config)(weights, graphs, ImageDropout(generators, 0.5, graphs.tiles.spans))

        both = through(graphs, weights, [0, 1]).logits[graphs.tiles.places][20:]
        one = through(alone, [w[1:] for w in weights], [1]).logits[alone.tiles.places]
        torch.testing.assert_close(both, one)
        assert not one.allclose(run(config, alone, [w[1:] for w in weights])[1])


@each(
    "change",
    [{"kind": "gcnn"}, {"hidden": 0}, {"dropout": 1.0}, {"propagations": -1}, {"beta": -1.0}, {"heads": 3},
     {"normalization": "columns"}, {"adjacency": "hard"}],
)  # fmt: skip
def test_impossible_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="network"):
        NetworkConfig(**change)


@pytest.mark.parametrize("pick", [lambda t: t.columns.shape, lambda t: t.outside.shape])
def test_memory_grows_with_the_nodes(pick: Callable[[Tiles], tuple[int, ...]]) -> None:
    sizes = [math.prod(pick(build_tiles([window((h, 64), 4)[0]], [grid_places((h, 64))]))) for h in (32, 64)]
    assert sizes[1] <= 2.1 * sizes[0]
