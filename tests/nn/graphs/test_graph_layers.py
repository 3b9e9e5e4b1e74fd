from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import dense_reference as dense
from cases import assert_exact, each
from tiled_graphs import DOUBLE, affinity_of, matrix_of, noise, ring, uniform
from weakseg.errors import ConfigError
from weakseg.nn.graphs.graph_layers import Graphs, Output, build_network, initial_weights, normalized_map
from weakseg.nn.graphs.per_image import ImageDropout
from weakseg.ops.tile_attention import mix
from weakseg.ops.tiles import build_tiles, grid_places
from weakseg.settings.graph_network import NetworkConfig, NetworkKind

KINDS: tuple[NetworkKind, ...] = ("a2gnn", "agnn", "gcn", "gat", "mlp")


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
                assert_exact(one, other)
            assert not here[1][:, labels:].any()
            slopes = [noise(*values.shape, seed=5) for values in expected]
            sums = [sum((v * s).sum() for v, s in zip(o, slopes, strict=True)) for o in (here, expected)]
            one, other = (torch.autograd.grad(s, weights, retain_graph=True, allow_unused=True) for s in sums)
            for name, (a, b) in enumerate(zip(one, other, strict=True)):
                assert (a is None) == (b is None) or not settings.cosine or settings.kind == "mlp", name
                if a is not None and b is not None:
                    assert_exact(a, b)
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
        assert_exact(found[1], found[0][order])

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
        assert_exact(found[1][:20], found[0])
        assert bool(torch.isfinite(found[1]).all())

    def test_self_loops_alone(self) -> None:
        # graph-baselines.md, oracle 3: the convolution is a two-layer perceptron, attention is the identity.
        mask, features = torch.eye(7, dtype=torch.bool), uniform(7, 5)
        graphs = graphs_of([mask], [features])
        for kind in ("a2gnn", "agnn"):
            config = NetworkConfig(kind, hidden=8)  # type: ignore[arg-type]
            weights = weights_for(config, 5, [3])
            expected = run(NetworkConfig("mlp", hidden=8), graphs, [weights[0], weights[1][:, :0], weights[2]])
            assert_exact(run(config, graphs, weights), expected)
        config = NetworkConfig("gcn", hidden=8)
        w0, b0, w1, b1 = (w[0] for w in weights_for(config, 5, [3]))
        found = run(config, graphs, [w[None] for w in (w0, b0, w1, b1)])[1]
        assert_exact(found, torch.relu(features @ w0 + b0) @ w1 + b1)
        config = NetworkConfig("gat", hidden=8, heads=2)
        w0, _, _, b0, w1, _, _, b1 = weights = weights_for(config, 5, [3])
        expected_gat = torch.nn.functional.elu(features @ w0[0] + b0[0]) @ w1[0] + b1[0]
        assert_exact(run(config, graphs, weights)[1], expected_gat)

    def test_a2gnn_without_edges_is_agnn(self) -> None:
        # a2gnn.md, oracle 2; graph-baselines.md, oracle 6: bit for bit.
        config, _, _, graphs = scene("a2gnn", beta=0.0)
        weights = weights_for(config, 6, [4, 2])
        for one, other in zip(run(config, graphs, weights), run(scene("agnn")[0], graphs, weights), strict=True):
            assert one.equal(other)

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
        assert_exact(self.matrix(self.PATH, ones), symmetric)
        assert_exact(self.matrix(self.PATH, ones, normalization="rows"), rows)

    @pytest.mark.parametrize("adjacency", ["soft", "binary"])
    def test_spectrum(self, adjacency: str) -> None:
        # graph-baselines.md, oracle 2
        mask = ring(40)
        affinity = affinity_of(mask)
        sums = (affinity if adjacency == "soft" else mask.double()).sum(1)
        symmetric = self.matrix(mask, affinity, adjacency=adjacency)
        assert_exact(symmetric @ sums.sqrt(), sums.sqrt())
        assert float(torch.linalg.eigvalsh(symmetric).max()) == pytest.approx(1)
        rows = self.matrix(mask, affinity, adjacency=adjacency, normalization="rows")
        assert_exact(rows.sum(1), torch.ones(40, dtype=DOUBLE))

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
        assert_exact(both, one)
        assert not one.allclose(run(config, alone, [w[1:] for w in weights])[1])


@each(
    "change",
    [{"kind": "gcnn"}, {"hidden": 0}, {"dropout": 1.0}, {"propagations": -1}, {"beta": -1.0}, {"heads": 3},
     {"normalization": "columns"}, {"adjacency": "hard"}],
)  # fmt: skip
def test_impossible_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="network"):
        NetworkConfig(**change)
