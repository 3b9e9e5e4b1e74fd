"""GraphNet's problem of an image: superpixels as nodes, edges between those that touch, seeds by majority."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, LabelMap, PixelGraph
from weakseg.checks import check_rank, check_same_size
from weakseg.data.sample import WeakSample
from weakseg.graph.pixel_graph import normalize_nodes
from weakseg.graph.region_graph import majority_labels, region_affinity, select_edges
from weakseg.graph.superpixel import region_adjacency, region_pooling, slic_regions
from weakseg.methods.a2gnn.config import A2gnnConfig, RegionConfig
from weakseg.methods.a2gnn.problem import A2gnnProblem, ProblemSeeds, foreign_labels, known_labels, label_indices
from weakseg.ops.pattern import Pattern
from weakseg.ops.readout import GridReadout, RegionReadout
from weakseg.ops.resample import Cells, resample_cells
from weakseg.ops.sparse import SparseMatrix
from weakseg.settings.graph import Norm


@dataclass(frozen=True, eq=False)
class RegionSource:
    """What superpixels are cut from, and what describes them.

    Attributes:
        image: ``(H, W, 3)`` uint8.
        features: ``(D, h, w)`` float on any grid that covers the image exactly.
        norm: What the mean features of a superpixel are divided by: their sum (``l1``, as published, for features that
            are not negative) or length (``l2``); ``None``: nothing.
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
        [pu2018graphnet], as described in [zhang2021a2gnn].
    """
    check_rank("features", source.features, 3, "(D, h, w)")
    check_same_size("seeds", seeds.labels.shape, "image", source.image.shape[:2])
    regions = regions or RegionConfig()
    dtype, grid = source.features.dtype, (source.features.shape[1], source.features.shape[2])
    areas = slic_regions(torch.from_numpy(np.array(source.image)), regions.num_regions, compactness=regions.compactness)
    features = region_pooling(areas, grid, dtype=dtype) @ source.features.flatten(1).T
    if source.norm:
        features = normalize_nodes(features, source.norm)
    alike = region_affinity(features, region_adjacency(areas))
    label_ids = known_labels(sample, config, num_classes)
    return A2gnnProblem(
        sample.id,
        features,
        select_edges(alike, regions.edges, least=regions.least_affinity),
        RegionReadout(areas),
        label_ids,
        region_seeds(areas, seeds, label_ids, counted=regions.counted, dtype=dtype),
        sample.drawn.boxes,
        remarks=foreign_labels(seeds, label_ids),
    )


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
