"""Background and activations walk on the affinities of a graph of cells of eight pixels."""

import torch
from torch import Tensor

from weakseg.artifacts import Activations, PixelGraph, Scores
from weakseg.checks import check_same_size
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.ops.labels import background_score
from weakseg.ops.resample import block_means, resize_maps
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import walk_maps, walk_scores
from weakseg.settings.affinity import GRID_STRIDE
from weakseg.settings.walk import GraphWalkConfig, WalkConfig


def walk_activations(activations: Activations, features: Tensor, config: WalkConfig) -> Scores:
    """Return scores of the background and of the classes after the walk.

    Args:
        activations: ``(K, h, w)``; without any class all is background.
        features: ``(C, rows, columns)`` of the affinity network, on the grid of the result.
        config: Walk and background.

    Returns:
        ``(K + 1, rows, columns)``: ``(1 - max M)^power`` and M, averaged over the cells of the grid, after the walk.

    Reference:
        [ahn2018affinitynet], section 3.3 and its code; blocks at the border are averaged over the pixels that exist.
    """
    size = (features.shape[1], features.shape[2])
    if not activations.class_ids:
        return Scores(torch.ones(1, *size), (0,), activations.image_size)
    start = start_scores(activations, config.background_power)
    offsets = half_disc(config.radius_cells)
    affinity = feature_affinity(features, offsets)
    if config.border == "official":
        affinity = without_border(affinity, config.radius_cells)
    walked = walk_scores(start, affinity, offsets, beta=config.beta, steps=config.steps, error=config.error)
    return Scores(walked.clamp(0, 1), (0, *activations.class_ids), activations.image_size)


def walk_on_graph(activations: Activations, graph: PixelGraph, config: GraphWalkConfig) -> Scores:
    """Return scores of the background and of the classes after a walk on a graph with one node for 8 x 8 pixels.

    Args:
        activations: ``(K, h, w)``; without any class all is background.
        graph: Its affinity holds the walker's rest on the diagonal.
        config: Exponents, and steps, each of which is one sparse product.

    Returns:
        ``(K + 1, rows, columns)`` on the grid of the graph, whose last cells reach over the border; the labels of a
        cell do not sum to one.

    Raises:
        ShapeError: If the graph has another grid than the photograph.

    Reference:
        [zhang2021a2gnn], random walk of its code, whose map of image tags is fused with this; blocks at the border are
        averaged over the pixels that exist.
    """
    start = start_scores(activations, config.background_power)
    check_same_size("graph", graph.size, "photograph in cells", (start.shape[1], start.shape[2]))
    walked = walk_maps(start, graph.affinity, beta=config.beta, steps=config.steps)
    return Scores(walked.clamp(0, 1), (0, *activations.class_ids), activations.image_size, GRID_STRIDE)


def start_scores(activations: Activations, background_power: float) -> Tensor:
    """Return ``(K + 1, ceil(H / 8), ceil(W / 8))``: ``(1 - max M)^power`` and M, means over the cells' pixels."""
    maps = resize_maps(activations.values, activations.image_size)
    return block_means(torch.cat([background_score(maps, "power", background_power), maps]), GRID_STRIDE)


def without_border(affinity: Tensor, radius_cells: float) -> Tensor:
    """Return ``(P, h, w)`` affinities without the pairs whose first cell is near the left, right or lower border.

    Reference:
        Code of [ahn2018affinitynet]: cells of the last ``r - 1`` rows and the outer ``r - 1`` columns start no pair.
    """
    margin = -int(-radius_cells // 1) - 1
    height, width = affinity.shape[1:]
    kept = torch.zeros_like(affinity)
    rows, columns = slice(0, max(0, height - margin)), slice(margin, max(margin, width - margin))
    kept[:, rows, columns] = affinity[:, rows, columns]
    return kept
