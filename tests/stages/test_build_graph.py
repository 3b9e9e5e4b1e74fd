from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import dense_reference as dense
from weakseg.artifacts import Activations, PixelGraph
from weakseg.errors import ConfigError
from weakseg.nn.affinity import AffinityNet
from weakseg.nn.backbones import BackboneConfig, build_backbone
from weakseg.nn.boundary import BoundaryNet
from weakseg.ops.resample import block_means
from weakseg.ops.stencil import half_disc
from weakseg.stages.affinity import find_features
from weakseg.stages.boundary import find_boundary
from weakseg.stages.build_graph import GraphConfig, activations_on, affinity_graph, boundary_graph

BACKBONE = BackboneConfig("resnet10t", 16, "none")
SIDE = 48
SIZES = [(40, 48), (21, 30), (9, 5), (1, 1)]


@pytest.fixture(scope="module", autouse=True)
def small_work_on_one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
        assert activations_on(found, (6, 8)) is found

    @pytest.mark.parametrize(("image_size", "size"), [((24, 30), (3, 4)), ((64, 57), (8, 8)), ((8, 8), (1, 1))])
    def test_means_of_the_pixels_of_a_cell(self, image_size: tuple[int, int], size: tuple[int, int]) -> None:
        generator = torch.Generator().manual_seed(0)
        maps = torch.rand(2, -(-image_size[0] // 4), -(-image_size[1] // 4), generator=generator)
        found = activations_on(Activations(maps, (3, 9), image_size), size)
        assert (found.class_ids, found.image_size, found.stride) == ((3, 9), image_size, 8)
        full = [dense.bilinear(plane.double().numpy(), image_size) for plane in maps]
        for number, row, column in np.ndindex(2, *size):
            cell = full[number][8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            assert float(found.values[number, row, column]) == pytest.approx(cell.mean(), abs=1e-6)

    def test_without_classes(self) -> None:
        found = activations_on(Activations(torch.zeros(0, 6, 8), (), (24, 30)), (3, 4))
        assert found.values.shape == (0, 3, 4)
        assert block_means(torch.zeros(0, 17, 9), 8).shape == (0, 3, 2)

    def test_a_grid_of_no_stride_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"\(24, 30\) has no grid of \(3, 3\)"):
            activations_on(Activations(torch.rand(1, 6, 8), (1,), (24, 30)), (3, 3))
