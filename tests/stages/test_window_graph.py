from typing import Any

import numpy as np
import pytest
import torch

import dense_reference as dense
from weakseg.artifacts import Activations
from weakseg.errors import ConfigError, ShapeError
from weakseg.graph.pixel_graph import normalize_nodes
from weakseg.nn.backbones import build_backbone
from weakseg.nn.pairs.window_affinity import WindowAffinityNet
from weakseg.ops.stencil import half_square
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.graph import FreeGraphConfig, WindowGraphConfig
from weakseg.settings.walk import GraphWalkConfig
from weakseg.settings.window_affinity import WindowConfig
from weakseg.stages.build_graph import free_graph, window_graph
from weakseg.stages.walk import start_scores, walk_on_graph
from weakseg.stages.window_affinity import find_window_maps

SIZES = [(40, 48), (21, 30), (9, 5), (1, 1)]


@pytest.fixture(scope="module")
def net() -> WindowAffinityNet:
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig("resnet10t", 8, "none"))
    return WindowAffinityNet(backbone, WindowConfig(2, (8, 8, 8), "edges")).eval()


def noise(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


class TestWindowGraph:
    @pytest.mark.parametrize("size", SIZES)
    def test_equals_the_dense_version(self, net: WindowAffinityNet, size: tuple[int, int]) -> None:
        # a2gnn.md, 2.4
        graph = window_graph(net, noise(*size), WindowGraphConfig(norm="l1"))
        taps, features = find_window_maps(net, noise(*size))
        rows, columns = graph.size
        assert graph.size == (-(-size[0] // 8), -(-size[1] // 8))
        affinity = dense.feature_affinity(features[0], half_square(2))
        expected = dense.stencil_matrix(affinity, half_square(2), torch.ones(graph.size))
        full = graph.affinity.to_dense()
        torch.testing.assert_close(full, expected, rtol=1e-4, atol=1e-6)
        near = {(y * columns + x, v * columns + u) for (y, x), (v, u) in dense.window_pairs(graph.size, 2)}
        assert {tuple(edge) for edge in full.nonzero().tolist()} == near and len(near) == graph.affinity.values.numel()
        assert full.equal(full.T) and full.diagonal().equal(torch.ones(rows * columns))
        nodes = taps[0].flatten(1).T
        torch.testing.assert_close(graph.features, nodes / nodes.sum(1, keepdim=True))

    @pytest.mark.parametrize(
        ("features", "norm", "order"), [("taps", "l1", 1), ("taps", "l2", 2), ("affinity", "l2", 2), ("both", "l2", 2)]
    )
    def test_nodes_are_normalised(self, net: WindowAffinityNet, features: Any, norm: Any, order: int) -> None:
        graph = window_graph(net, noise(24, 32), WindowGraphConfig(features, norm))
        torch.testing.assert_close(graph.features.norm(order, 1), torch.ones(12))
        widths = {"affinity": 24, "taps": 128 + 256 + 512, "both": 128 + 256 + 512 + 24}
        assert graph.features.shape[1] == widths[features]
        if features == "both":  # each kind of feature has an equal say in the distance of nodes
            torch.testing.assert_close(graph.features[:, -24:].norm(2, 1), torch.full((12,), 0.5**0.5))

    def test_signed_taps_have_no_sum(self) -> None:
        # EfficientNet's levels are not activated.
        model = WindowAffinityNet(build_backbone(BackboneConfig()), WindowConfig(2, (4, 4, 4))).eval()
        assert window_graph(model, noise(24, 32), WindowGraphConfig()).features.shape == (12, 40 + 112 + 320)
        with pytest.raises(ShapeError, match="norm 'l1'; use 'l2' for signed ones"):
            window_graph(model, noise(24, 32), WindowGraphConfig(norm="l1"))

    @pytest.mark.parametrize("change", [{"features": "colors"}, {"norm": "l3"}, {"features": "affinity", "norm": "l1"}])
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="graph"):
            WindowGraphConfig(**change)


def test_rows_of_zeros_stay() -> None:
    for norm in ("l1", "l2"):
        found = normalize_nodes(torch.tensor([[0.0, 0], [3, 1]]), norm)  # type: ignore[arg-type]
        assert found[0].tolist() == [0, 0] and float(found[1].norm(1 if norm == "l1" else 2)) == pytest.approx(1)


def test_a_free_graph_of_the_same_grid() -> None:
    # The graph without training serves the same methods: eight pixels a node.
    graph = free_graph(noise(41, 50), FreeGraphConfig(stride=8))
    assert graph.size == (6, 7) and graph.features.shape == (42, 40 + 112 + 320 + 5)


class TestPlainFeatures:
    def test_edges_are_distances_of_the_taps(self, net: WindowAffinityNet) -> None:
        # a2gnn.md, section 5: pixel nodes and feature distance, equation 8 on the features themselves
        image = noise(24, 32)
        taps = find_window_maps(net, image).taps[0].flatten(1).T
        graph = window_graph(net, image, WindowGraphConfig(edges="taps"))
        expected = torch.exp(-(taps[:, None] - taps).abs().mean(2))
        near = dense.square_mask((3, 4), 2)
        torch.testing.assert_close(graph.affinity.to_dense(), torch.where(near, expected, 0))
        learned = window_graph(net, image, WindowGraphConfig())
        torch.testing.assert_close(graph.features, learned.features)
        assert not graph.affinity.values.allclose(learned.affinity.values)

    def test_features_that_are_not_normalised(self, net: WindowAffinityNet) -> None:
        image = noise(24, 32)
        raw = window_graph(net, image, WindowGraphConfig(), normalized=False)
        torch.testing.assert_close(raw.features, find_window_maps(net, image).taps[0].flatten(1).T)
        divided = window_graph(net, image, WindowGraphConfig())
        torch.testing.assert_close(normalize_nodes(raw.features, "l2"), divided.features)

    def test_a_disc(self) -> None:
        net = WindowAffinityNet(build_backbone(BackboneConfig("resnet10t", 8, "none")), WindowConfig(5, window="disc"))
        graph = window_graph(net.eval(), noise(96, 96), WindowGraphConfig())
        assert int((graph.affinity.to_dense()[6 * 12 + 6] > 0).sum()) == 81  # 121 in a square


class TestWalkOnGraph:
    @pytest.mark.parametrize("size", [(40, 48), (21, 30), (8, 8)])
    def test_equals_the_dense_version(self, net: WindowAffinityNet, size: tuple[int, int]) -> None:
        # a2gnn.md, 2.10: T = E^8 / column sums, R = S T^64.
        graph = window_graph(net, noise(*size), WindowGraphConfig())
        maps = torch.rand(2, -(-size[0] // 4), -(-size[1] // 4), generator=torch.Generator().manual_seed(0))
        activations = Activations(maps, (3, 9), size)
        start = start_scores(activations, 6).flatten(1).double()
        weights = graph.affinity.to_dense().double() ** 8
        power = torch.linalg.matrix_power(weights / weights.sum(0), 64)
        found = walk_on_graph(activations, graph, GraphWalkConfig())
        assert found.label_ids == (0, 3, 9) and found.image_size == size and found.stride == 8
        torch.testing.assert_close(found.values.flatten(1).double(), start @ power, rtol=1e-4, atol=1e-5)

    def test_without_classes_all_is_background(self, net: WindowAffinityNet) -> None:
        graph = window_graph(net, noise(24, 32), WindowGraphConfig())
        found = walk_on_graph(Activations(torch.zeros(0, 6, 8), (), (24, 32)), graph, GraphWalkConfig())
        assert found.label_ids == (0,)
        torch.testing.assert_close(found.values, torch.ones(1, 3, 4))

    def test_another_grid_is_refused(self, net: WindowAffinityNet) -> None:
        graph = window_graph(net, noise(24, 32), WindowGraphConfig())
        with pytest.raises(ShapeError, match=r"graph is \(3, 4\) but photograph in cells is \(4, 4\)"):
            walk_on_graph(Activations(torch.zeros(1, 8, 8), (1,), (32, 32)), graph, GraphWalkConfig())
