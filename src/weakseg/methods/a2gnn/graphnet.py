"""Problems of images whose nodes are superpixels: GraphNet's, and A2GNN's with all its losses."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, LabelMap, PixelGraph
from weakseg.checks import check_rank, check_same_size
from weakseg.data.sample import WeakSample
from weakseg.graph.pixel_graph import normalize_nodes
from weakseg.graph.region_graph import majority_labels, region_affinity, region_distance, select_edges
from weakseg.graph.superpixel import region_adjacency, region_pooling, slic_regions
from weakseg.methods.a2gnn.config import A2gnnConfig, KernelConfig, RegionConfig
from weakseg.methods.a2gnn.problem import (
    A2gnnProblem,
    ProblemSeeds,
    foreign_labels,
    known_labels,
    label_indices,
    normalized_colors,
    pixel_seeds,
)
from weakseg.ops.pattern import Pattern
from weakseg.ops.readout import GridReadout, RegionReadout
from weakseg.ops.resample import Cells, resample_cells
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges
from weakseg.settings.affinity import GRID_STRIDE
from weakseg.settings.graph import Norm


@dataclass(frozen=True, eq=False)
class RegionSource:
    """What superpixels are cut from, and what describes them.

    Attributes:
        image: ``(H, W, 3)`` uint8.
        features: ``(D, h, w)`` float on any grid that covers the image exactly.
        norm: What the mean features of a superpixel are divided by, after their distances are taken: their sum
            (``l1``, as published, for features that are not negative) or length (``l2``); ``None``: nothing.
    """

    image: NDArray[np.uint8]
    features: Tensor
    norm: Norm | None = "l1"


def region_source(image: NDArray[np.uint8], graph: PixelGraph, norm: Norm | None) -> RegionSource:
    """Return the features of cells of 8 x 8 pixels, resampled to a grid that does not reach over the border."""
    size = (image.shape[0], image.shape[1])
    grid = GridReadout(size)
    check_same_size("graph", graph.size, "image in cells", grid.size)
    cells = Cells((grid.stride - 1) / 2, grid.stride)
    return RegionSource(image, resample_cells(grid.maps(graph.features), grid.size, size, cells), norm)


def build_graphnet_problem(
    sample: WeakSample,
    source: RegionSource,
    seeds: LabelMap,
    config: A2gnnConfig,
    *,
    regions: RegionConfig | None = None,
    num_classes: int,
) -> A2gnnProblem:
    """Return what the network of an image's superpixels is trained on; ``config.GRAPHNET`` is its published training.

    Args:
        sample: For its id, tags and boxes.
        source: Image and features.
        seeds: ``(H, W)`` partial labels.
        config: Which labels the network knows.
        regions: Superpixels, edges and labels.
        num_classes: K of the data set.

    Reference:
        [pu2018graphnet], as described in [zhang2021a2gnn]; with edges of ``distance``, seeds of ``pixels`` and all
        losses it is the latter on superpixels.
    """
    check_rank("features", source.features, 3, "(D, h, w)")
    check_same_size("seeds", seeds.labels.shape, "image", source.image.shape[:2])
    regions = regions or RegionConfig()
    dtype, grid = source.features.dtype, (source.features.shape[1], source.features.shape[2])
    areas = slic_regions(torch.from_numpy(np.array(source.image)), regions.num_regions, compactness=regions.compactness)
    means = region_pooling(areas, grid, dtype=dtype) @ source.features.flatten(1).T
    features = normalize_nodes(means, source.norm) if source.norm else means
    label_ids, readout = known_labels(sample, config, num_classes), RegionReadout(areas)
    if regions.seeds == "pixels":
        found = pixel_seeds(seeds, label_ids, readout, dtype)
    else:
        found = region_seeds(areas, seeds, label_ids, counted=regions.counted, dtype=dtype)
    colors = normalized_colors(source.image, dtype) if config.crf_weight else None
    return A2gnnProblem(
        sample.id,
        features,
        _edges(areas, means, features, regions),
        readout,
        label_ids,
        found,
        sample.drawn.boxes,
        None if colors is None else region_kernel(areas, colors, config.kernel),
        remarks=foreign_labels(seeds, label_ids),
    )


def region_kernel(regions: Tensor, colors: Tensor, config: KernelConfig) -> SparseMatrix:
    """Return the kernel of the CRF loss between superpixels: ``crf_kernel`` at their centres, of their mean colours.

    Args:
        regions: ``(H, W)`` integer in {0..R-1}, each at least once.
        colors: ``(3, H, W)`` normalised colours.
        config: Window and deviations, in cells of 8 pixels; the window holds centres.

    Returns:
        ``(R, R)`` symmetric, zero diagonal.
    """
    places = torch.meshgrid(*(torch.arange(side, dtype=colors.dtype) for side in regions.shape), indexing="ij")
    maps = torch.cat([torch.stack(places) / GRID_STRIDE, colors])
    found, count = regions.long().flatten(), int(regions.max()) + 1
    sums = maps.new_zeros(count, len(maps)).index_add(0, found, maps.flatten(1).T)
    centres, means = torch.split(sums / torch.bincount(found)[:, None], [2, 3], 1)
    apart, unlike = ((part[:, None] - part).square() for part in (centres, means))
    kernel = torch.exp(-apart.sum(2) / (2 * config.sigma_cells**2) - unlike.sum(2) / (2 * config.sigma_rgb**2))
    near = (apart <= config.radius_cells**2).all(2) & ~torch.eye(count, dtype=torch.bool)
    return matrix_from_edges(near.nonzero().T, kernel[near], (count, count))


def _edges(areas: Tensor, means: Tensor, features: Tensor, regions: RegionConfig) -> SparseMatrix:
    """Return soft edges of the mean features, or ones where the normalised features are alike."""
    adjacency = region_adjacency(areas)
    if regions.edges == "distance":
        return region_distance(means, adjacency)
    return select_edges(region_affinity(features, adjacency), regions.edges, least=regions.least_affinity)


def region_seeds(
    regions: Tensor, labels: LabelMap, label_ids: tuple[int, ...], *, counted: bool = False, dtype: torch.dtype
) -> ProblemSeeds:
    """Return the seeds of superpixels: the label of the most labelled pixels; none where there is a tie."""
    indices = torch.from_numpy(label_indices(labels.labels, label_ids).astype(np.uint8))
    found, counts = majority_labels(regions, indices)
    nodes = (found != UNDECIDED).nonzero()[:, 0]
    starts = torch.arange(len(nodes) + 1, dtype=torch.int32)
    rows = SparseMatrix(Pattern(starts, nodes.int(), len(found)), torch.ones(len(nodes), dtype=dtype))
    weights = counts[nodes].to(dtype) if counted else torch.ones(len(nodes), dtype=dtype)
    return ProblemSeeds(found[nodes].long(), rows, weights)
