from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cases import assert_exact
from weakseg.artifacts import LabelMap, PixelGraph
from weakseg.data.annotations import Box, Drawn
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, ShapeError
from weakseg.graph.region_graph import region_distance
from weakseg.graph.superpixel import region_adjacency, region_pooling
from weakseg.methods.a2gnn.config import GRAPHNET, PRESETS, A2gnnConfig, KernelConfig, RegionConfig
from weakseg.methods.a2gnn.graphnet import (
    RegionSource,
    build_graphnet_problem,
    region_kernel,
    region_seeds,
    region_source,
)
from weakseg.methods.a2gnn.problem import A2gnnProblem, ProblemSeeds, crf_kernel
from weakseg.methods.a2gnn.train import A2gnnSolution, train_a2gnn
from weakseg.ops.readout import GridReadout, RegionReadout
from weakseg.ops.sparse import matrix_from_edges
from weakseg.settings.graph import Norm
from weakseg.settings.graph_network import NetworkConfig, NetworkKind

DOUBLE = torch.float64
GRAPH_KINDS: tuple[NetworkKind, ...] = ("a2gnn", "agnn", "gcn", "gat")
KINDS: tuple[NetworkKind, ...] = (*GRAPH_KINDS, "mlp")
CHECKERBOARD = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def sample_of(boxes: tuple[Box, ...] = (), present: tuple[int, ...] = (1, 2)) -> WeakSample:
    return WeakSample("a", Path("a.png"), Tags(frozenset(present)), Drawn(boxes))


def test_pooling_keeps_constants_and_reading_undoes_it() -> None:
    """graph-baselines.md, oracle 10."""
    pooled = region_pooling(CHECKERBOARD, (2, 2)) @ torch.full((4, 2), 0.3)
    torch.testing.assert_close(pooled, torch.full((4, 2), 0.3))
    assert RegionReadout(CHECKERBOARD).maps(torch.arange(4.0)[:, None])[0].equal(CHECKERBOARD.float())


def test_the_majority_of_a_superpixel_is_its_seed() -> None:
    labels = LabelMap(np.array([[3, 3, 9, 0], [3, 0, 255, 0], [7, 7, 3, 0], [7, 7, 3, 0]], np.uint8))
    for counted, weights in ((False, [1, 1, 1]), (True, [3, 2, 4])):
        found = region_seeds(CHECKERBOARD, labels, (0, 3, 7), counted=counted, dtype=DOUBLE)
        assert found.labels.tolist() == [1, 0, 2] and found.weights.tolist() == weights
        assert found.rows.to_dense().argmax(1).tolist() == [0, 1, 2] and found.pixels is None


def components(kind: NetworkKind, seed: int = 0) -> tuple[A2gnnSolution, Tensor]:
    """Return the solution for two rings of 20 nodes without an edge between them, one seed in each, and the rings."""
    index = torch.arange(20)
    apart = (index[:, None] - index).abs()
    ring = (apart <= 2) | (apart >= 18)
    mask = torch.block_diag(ring.long(), ring.long()).bool()
    which = torch.arange(40) // 20
    features = torch.nn.functional.one_hot(which, 2).double() + 0.3 * uniform(40, 2, seed=seed)
    edges = mask.nonzero().T
    affinity = matrix_from_edges(edges, torch.ones(edges.shape[1], dtype=DOUBLE), (40, 40))
    readout = RegionReadout(torch.arange(40).reshape(5, 8))
    rows = readout.at(torch.tensor([0, 3]), torch.tensor([4, 4]), DOUBLE)  # nodes 4 and 28
    seeds = ProblemSeeds(torch.tensor([0, 1]), rows, torch.ones(2, dtype=DOUBLE))
    config = replace(PRESETS["tags"], network=NetworkConfig(kind, hidden=32))
    return train_a2gnn([A2gnnProblem("a", features, affinity, readout, (0, 4), seeds)], config)[0], which


@pytest.mark.parametrize("kind", GRAPH_KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_component_takes_the_label_of_its_seed(kind: NetworkKind, seed: int) -> None:
    # graph-baselines.md, oracle 12
    found, which = components(kind, seed)
    assert found.scores.label_ids == (0, 4) and found.scores.stride is None
    assert found.scores.values.argmax(0).flatten().equal(which)


def flat_image() -> tuple[NDArray[np.uint8], Tensor, LabelMap]:
    """Return an image of a bright square on dark ground, features of its brightness, and a few seeds."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[12:36, 16:48] = 220
    bright = torch.from_numpy(image[..., 0] > 0).double()
    features = torch.stack([bright, 1 - bright, 0.2 + 0 * bright])
    labels = np.full((48, 64), 255, np.uint8)
    labels[2:6, :], labels[20:28, 24:40] = 0, 2
    return image, features, LabelMap(labels)


class TestGraphNet:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("edges", ["threshold", "helper"])
    def test_superpixels_are_painted_whole(self, kind: NetworkKind, edges: Any) -> None:
        # graph-baselines.md, 2.5: node type and layer are chosen independently.
        image, features, seeds = flat_image()
        config = replace(GRAPHNET, network=replace(GRAPHNET.network, kind=kind, hidden=32))
        regions = RegionConfig(num_regions=80, edges=edges, least_affinity=0.9)
        one = build_graphnet_problem(
            sample_of(), RegionSource(image, features), seeds, config, regions=regions, num_classes=3
        )
        (found,) = train_a2gnn([one], config)
        values = found.scores.values
        assert values.shape == (3, 48, 64) and found.scores.label_ids == (0, 1, 2)
        assert isinstance(one.readout, RegionReadout)
        areas = one.readout.regions
        for region in range(one.readout.num_nodes):
            inside = values[:, areas == region]
            assert inside.equal(inside[:, :1].expand_as(inside))
        if edges == "threshold":  # binary edges across the square's sides, as the helper rule has, mix labels
            right = torch.from_numpy((image[..., 0] > 0) * 2) == values.argmax(0)
            assert float(right.double().mean()) > 0.95
        assert any("classes [1]" in line for line in found.warnings)

    @pytest.mark.parametrize("norm", ["l1", "l2", None])
    def test_features_are_divided_by_sum_or_length(self, norm: Norm | None) -> None:
        image, features, seeds = flat_image()
        source = RegionSource(image, features, norm)
        one = build_graphnet_problem(sample_of(), source, seeds, GRAPHNET, num_classes=3)
        sizes = {"l1": one.features.sum(1), "l2": one.features.square().sum(1)}
        ones = torch.ones(len(one.features), dtype=DOUBLE)
        assert {name for name, size in sizes.items() if torch.allclose(size, ones)} == {norm} - {None}

    @pytest.mark.parametrize("size", [(48, 64), (45, 61), (5, 3)])
    def test_features_of_cells_stay_where_they_lie(self, size: tuple[int, int]) -> None:
        # A cell's centre is pixel 8 i + 3.5: a ramp over cells is one over pixels up to the last centre in the image.
        rows, columns = (-(-side // 8) for side in size)
        ramp = 8 * torch.arange(columns, dtype=DOUBLE).repeat(rows, 1) + 3.5
        nodes = torch.stack([ramp.flatten(), torch.ones(rows * columns, dtype=DOUBLE)], 1)
        affinity = matrix_from_edges(torch.zeros(2, 0, dtype=torch.int64), nodes[:0, 0], (len(nodes),) * 2)
        image = np.zeros((*size, 3), np.uint8)
        source = region_source(image, PixelGraph(nodes, (rows, columns), affinity), None)
        assert source.features.shape == (2, rows, columns) and source.image is image
        centres = (torch.arange(columns, dtype=DOUBLE) + 0.5) * size[1] / columns - 0.5
        assert torch.allclose(source.features[0, 0], centres.clamp(3.5, 8 * columns - 4.5))
        assert source.features[1].eq(1).all()

    def test_boxes_pick_pixels_of_superpixels(self) -> None:
        # graph-baselines.md, section 4: rows and columns select pixels, hence superpixels, more than once.
        image, features, seeds = flat_image()
        labels = np.where(seeds.labels == 0, 0, 255).astype(np.uint8)
        sample = sample_of((Box(2, 12, 16, 36, 48),), (2,))
        config = A2gnnConfig(NetworkConfig(hidden=32), first_steps=25, second_steps=25)
        one = build_graphnet_problem(
            sample, RegionSource(image, features), LabelMap(labels), config, regions=RegionConfig(60), num_classes=3
        )
        (found,) = train_a2gnn([one], config)
        right = torch.from_numpy(image[..., 0] > 0).long() == found.scores.values.argmax(0)
        assert found.losses["points"] > 0 and float(right.double().mean()) > 0.9
        outside = found.scores.values[1].clone()
        outside[torch.isin(one.readout.regions, one.readout.regions[12:36, 16:48])] = 0  # type: ignore[attr-defined]
        assert float(outside.max()) == 2**-24

    def test_the_kernel_is_that_of_cells_where_regions_are_cells(self) -> None:
        # a2gnn.md, 2.6, with nodes that are superpixels: centres in cells, mean colours
        colors = 0.1 * uniform(3, 24, 40)
        rows, columns = torch.arange(24)[:, None] // 8, torch.arange(40) // 8
        for radius in (1, 2, 5):
            config = KernelConfig(radius_cells=radius)
            found = region_kernel(5 * rows + columns, colors, config).to_dense()
            assert_exact(found, crf_kernel(colors, GridReadout((24, 40)), config).to_dense())
            assert found.equal(found.T) and not found.diagonal().any()

    def test_soft_edges_are_distances_of_mean_features(self) -> None:
        regions = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 4, 4]])
        features = 3 * uniform(5, 4)
        found = region_distance(features, region_adjacency(regions)).to_dense()
        apart = torch.exp(-(features[:, None] - features).abs().mean(2))
        touch = torch.ones(5, 5, dtype=torch.bool)
        touch[0, 4] = touch[4, 0] = touch[1, 4] = touch[4, 1] = False
        assert_exact(found, torch.where(touch, apart, 0))

    def test_all_losses_on_superpixels(self) -> None:
        # a2gnn.md, section 5: superpixel nodes, feature distance; seeds are pixels, and so are the points of boxes
        image, features, seeds = flat_image()
        boxes = (Box(2, 12, 16, 36, 48),)
        config = A2gnnConfig(
            NetworkConfig(hidden=16), first_steps=20, second_steps=20, consistency="published", overruled="all"
        )
        regions = RegionConfig(num_regions=80, edges="distance", seeds="pixels")
        one = build_graphnet_problem(
            sample_of(boxes), RegionSource(image, features), seeds, config, regions=regions, num_classes=3
        )
        assert one.kernel is not None and one.kernel.shape == (one.readout.num_nodes,) * 2
        assert one.seeds.pixels is not None and len(one.seeds.labels) == (seeds.labels != 255).sum()
        (found,) = train_a2gnn([one], config)
        assert all(found.losses[name] > 0 for name in ("seeds", "points", "crf"))
        expected = torch.from_numpy((image[..., 0] > 0) * 2)
        assert float((found.scores.values.argmax(0) == expected).double().mean()) > 0.95

    def test_one_superpixel(self) -> None:
        # graph-baselines.md, section 8
        image, features, _ = flat_image()
        labels = LabelMap(np.full((48, 64), 2, np.uint8))
        regions = RegionConfig(num_regions=1)
        one = build_graphnet_problem(
            sample_of(), RegionSource(0 * image, features), labels, GRAPHNET, regions=regions, num_classes=3
        )
        (found,) = train_a2gnn([one], GRAPHNET)
        assert one.readout.num_nodes == 1 and bool((found.scores.values.argmax(0) == 2).all())

    def test_sizes_must_agree(self) -> None:
        image, features, seeds = flat_image()
        with pytest.raises(ShapeError, match="seeds"):
            build_graphnet_problem(sample_of(), RegionSource(image[1:], features), seeds, GRAPHNET, num_classes=3)

    @pytest.mark.parametrize(
        "change",
        [
            {"num_regions": 0},
            {"compactness": 0.0},
            {"edges": "all"},
            {"least_affinity": 2.0},
            {"seeds": "all"},
            {"seeds": "pixels", "counted": True},
        ],
    )
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="regions"):
            RegionConfig(**change)
