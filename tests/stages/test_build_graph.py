import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import dense_reference as dense
from tiny_transformers import dinov2
from weakseg.artifacts import Activations, PixelGraph
from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.backbones.plain_vit import PlainVit
from weakseg.nn.pairs.affinity import AffinityNet
from weakseg.nn.pairs.boundary import BoundaryNet
from weakseg.ops.resample import Cells, block_means, image_tensor, resample_cells
from weakseg.ops.stencil import half_disc
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.graph import FreeGraphConfig, GraphConfig
from weakseg.stages.affinity import find_features
from weakseg.stages.boundary import find_boundary
from weakseg.stages.build_graph import activations_on, affinity_graph, boundary_graph, free_graph, standardized
from weakseg.stages.features import feature_maps

BACKBONE = BackboneConfig("resnet10t", 16, "none")
SIDE = 48
SIZES = [(40, 48), (21, 30), (9, 5), (1, 1)]


@pytest.fixture(scope="module", autouse=True)
def small_work_on_one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def graph_of(backbone: Backbone, image: NDArray[np.uint8], config: FreeGraphConfig) -> PixelGraph:
    return free_graph(image, config, maps=feature_maps(backbone, image, config))


@pytest.fixture(scope="module")
def boundary_net() -> BoundaryNet:
    torch.manual_seed(0)
    return BoundaryNet(build_backbone(BACKBONE)).eval()


@pytest.fixture(scope="module")
def affinity_net() -> AffinityNet:
    torch.manual_seed(0)
    return AffinityNet(build_backbone(BACKBONE)).eval()


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def assert_affinity(graph: PixelGraph, affinity: Tensor, config: GraphConfig) -> None:
    """Compare with the dense matrix of ``(P, h, w)`` affinities; each node is linked to itself by 1."""
    offsets = half_disc(config.radius_cells)
    expected = dense.stencil_matrix(affinity**config.beta, offsets, torch.ones(graph.size))
    torch.testing.assert_close(graph.affinity.to_dense(), expected, rtol=1e-4, atol=1e-6)


class TestBoundaryGraph:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("align", [False, True])
    def test_equals_the_dense_version(self, boundary_net: BoundaryNet, size: tuple[int, int], align: bool) -> None:
        # wsgcn.md, 2.2, 1 and 2
        config = GraphConfig(radius_cells=3, align_mirror=align)
        graph = boundary_graph(boundary_net, SIDE, noise(*size), config)
        assert graph.size == (-(-size[0] // 4), -(-size[1] // 4))
        logits = find_boundary(boundary_net, noise(*size), side=SIDE, align_mirror=align).logits[0, 0]
        assert_affinity(graph, dense.boundary_affinity(torch.sigmoid(logits), half_disc(3)), config)

    def test_weighted_features_sum_to_the_logit(self, boundary_net: BoundaryNet) -> None:
        # wsgcn.md, 2.1
        image = noise(21, 30)
        maps = find_boundary(boundary_net, image, side=SIDE)
        graph = boundary_graph(boundary_net, SIDE, image, GraphConfig())
        bias = boundary_net.head.last.bias
        assert bias is not None
        torch.testing.assert_close(graph.features.sum(1) + bias.detach(), maps.logits.flatten(), rtol=0, atol=1e-5)
        plain = boundary_graph(boundary_net, SIDE, image, GraphConfig(weighted=False)).features
        assert plain.equal(maps.features[0].flatten(1).T) and float(plain.min()) >= 0
        torch.testing.assert_close(plain * boundary_net.feature_weights(), graph.features)


class TestAffinityGraph:
    @pytest.mark.parametrize("size", SIZES)
    def test_equals_the_dense_version(self, affinity_net: AffinityNet, size: tuple[int, int]) -> None:
        config = GraphConfig(beta=8)
        graph = affinity_graph(affinity_net, noise(*size), config)
        features = find_features(affinity_net, noise(*size))
        assert graph.size == (-(-size[0] // 8), -(-size[1] // 8))
        assert graph.features.equal(features.flatten(1).T) and graph.features.shape[1] == 448
        assert_affinity(graph, dense.feature_affinity(features, half_disc(5)), config)


@pytest.mark.parametrize("change", [{"radius_cells": 1.0}, {"beta": 0.0}, {"beta": float("nan")}])
def test_impossible_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="graph"):
        GraphConfig(**change)


class TestActivationsOn:
    def test_the_same_grid_changes_nothing(self) -> None:
        found = Activations(torch.rand(2, 6, 8), (1, 2), (24, 30))
        assert activations_on(found, 4) is found

    @pytest.mark.parametrize(
        ("image_size", "stride"),
        [((24, 30), 8), ((64, 57), 8), ((8, 8), 8), ((41, 50), 8), ((41, 41), 8), ((9, 30), 8), ((9, 30), 3)],
    )
    def test_means_of_the_pixels_of_a_cell(self, image_size: tuple[int, int], stride: int) -> None:
        size = -(-image_size[0] // stride), -(-image_size[1] // stride)
        generator = torch.Generator().manual_seed(0)
        maps = torch.rand(2, -(-image_size[0] // 4), -(-image_size[1] // 4), generator=generator)
        found = activations_on(Activations(maps, (3, 9), image_size), stride)
        assert (found.class_ids, found.image_size, found.stride) == ((3, 9), image_size, stride)
        assert found.values.shape == (2, *size)
        full = [dense.bilinear(plane.double().numpy(), image_size) for plane in maps]
        for number, row, column in np.ndindex(2, *size):
            cell = full[number][stride * row :, stride * column :][:stride, :stride]
            assert float(found.values[number, row, column]) == pytest.approx(cell.mean(), abs=1e-6)

    def test_without_classes(self) -> None:
        found = activations_on(Activations(torch.zeros(0, 6, 8), (), (24, 30)), 8)
        assert found.values.shape == (0, 3, 4)
        assert block_means(torch.zeros(0, 17, 9), 8).shape == (0, 3, 2)

    def test_a_finer_grid(self) -> None:
        values = torch.rand(1, 2, 3, generator=torch.Generator().manual_seed(0))
        found = activations_on(Activations(values, (1,), (9, 21), 8), 4)
        assert found.stride == 4 and found.values.shape == (1, 3, 6)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    return build_backbone(BACKBONE).eval()


class TestFreeGraph:
    @pytest.mark.parametrize("size", [*SIZES, (41, 50), (33, 7)])
    @pytest.mark.parametrize("levels", [1, 3, 9])
    def test_shapes_and_values(self, backbone: Backbone, size: tuple[int, int], levels: int) -> None:
        graph = graph_of(backbone, noise(*size), FreeGraphConfig(radius_cells=3, levels=levels))
        nodes = math.prod(graph.size)
        assert graph.size == (-(-size[0] // 4), -(-size[1] // 4))
        channels = [count for count, stride in backbone.level_shapes() if stride >= 4][:levels]
        assert graph.features.shape == (nodes, sum(channels) + 5)
        full = graph.affinity.to_dense()
        assert full.equal(full.T) and full.diagonal().equal(torch.ones(nodes))
        assert float(full.min()) >= 0 and float(full.max()) <= 1
        if nodes > 1:
            values = graph.features[:, :-2]
            assert float(values.mean(0).abs().max()) < 0.01  # rounding of constant channels
            spread = values.std(0, correction=0)
            assert float(spread.max()) < 1.001 and float(spread[-3:].min()) > 0.999  # channels may be constant

    def test_levels_of_patches_of_14_pixels(self) -> None:
        torch.manual_seed(0)
        backbone, image = PlainVit(dinov2()).eval(), noise(40, 60)
        graph = graph_of(backbone, image, FreeGraphConfig(radius_cells=2, levels=3, stride=8))
        assert graph.size == (5, 8) and graph.features.shape == (40, 3 * 24 + 5)
        with torch.no_grad():
            level = backbone.levels(image_tensor(image)[None])[2][0]  # the last three of four
        placed = resample_cells(level, (5, 8), (40, 60), Cells(6.5, 14))
        torch.testing.assert_close(graph.features[:, 24:48].T.reshape(24, 5, 8), standardized(placed))

    def test_affinity_is_the_product_of_both_kernels(self, backbone: Backbone) -> None:
        config = FreeGraphConfig(radius_cells=3, feature_weight=2, sigma_rgb=40)
        graph = graph_of(backbone, noise(24, 32), config)
        features = graph.features[:, :-5].T.reshape(-1, 6, 8)
        colors = block_means(torch.from_numpy(noise(24, 32)).permute(2, 0, 1).float(), 4)
        offsets = half_disc(3)
        alike = dense.feature_affinity(2 * features, offsets)
        near = dense.color_position_weights(colors, offsets, 2 * 40**2, 1e12)
        expected = dense.stencil_matrix(alike * near, offsets, torch.ones(6, 8))
        torch.testing.assert_close(graph.affinity.to_dense(), expected, rtol=1e-4, atol=1e-6)
        rows, columns = graph.features[:, -2:].T.reshape(2, 6, 8)
        torch.testing.assert_close(rows[:, 0], torch.linspace(-1, 1, 6))
        torch.testing.assert_close(columns[3], torch.linspace(-1, 1, 8))

    @pytest.mark.parametrize("feature_weight", [0.0, 4.0])
    def test_an_edge_parts_two_halves(self, backbone: Backbone, feature_weight: float) -> None:
        image = np.full((64, 64, 3), 60, np.uint8)
        image[:, 32:] = 120
        graph = graph_of(backbone, image, FreeGraphConfig(feature_weight=feature_weight))
        full = graph.affinity.to_dense()
        across, inside = full[8 * 16 + 7, 8 * 16 + 8], full[8 * 16 + 3, 8 * 16 + 4]
        assert float(across) < 0.1 and float(across) < float(inside)
        assert feature_weight or float(inside) == 1

    def test_large_images_are_reduced(self, backbone: Backbone) -> None:
        assert graph_of(backbone, noise(100, 200), FreeGraphConfig(max_side=64)).size == (8, 16)

    @pytest.mark.parametrize(
        "change",
        [{"radius_cells": 1.0}, {"feature_weight": -1.0}, {"sigma_rgb": 0.0}, {"levels": 0}, {"max_side": 31},
         {"feature_weight": float("nan")}],
    )  # fmt: skip
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="graph"):
            FreeGraphConfig(**change)

    def test_standardized(self) -> None:
        maps = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(0))
        maps[1] = 0.3
        found = standardized(maps)
        assert float(found[1].abs().max()) < 0.02  # rounding of the mean
        assert standardized(torch.full((1, 4, 4), 2.0)).equal(torch.zeros(1, 4, 4))
        torch.testing.assert_close(found.mean((1, 2)), torch.zeros(3), rtol=0, atol=1e-2)
        torch.testing.assert_close(found[::2].std((1, 2), correction=0), torch.ones(2), rtol=0, atol=1e-3)
