"""From a photograph to its pixel graph: by learned boundaries, by learned affinities, or with no training."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import Activations, PixelGraph
from weakseg.feature_maps import FeatureMaps
from weakseg.graph.boundary import boundary_affinity
from weakseg.graph.feature_affinity import color_position_weights, feature_affinity
from weakseg.graph.pixel_graph import build_pixel_graph, normalize_nodes
from weakseg.nn.pairs.affinity import AffinityNet
from weakseg.nn.pairs.boundary import BoundaryNet
from weakseg.nn.pairs.window_affinity import WindowAffinityNet
from weakseg.ops.cam import grid_size
from weakseg.ops.resample import block_means, image_tensor, resample_cells, resize_image, resize_maps, scaled_size
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import affinity_power
from weakseg.settings.graph import FreeGraphConfig, GraphConfig, WindowGraphConfig
from weakseg.stages.affinity import find_features
from weakseg.stages.boundary import find_boundary
from weakseg.stages.features import feature_backbone, feature_maps
from weakseg.stages.window_affinity import find_window_maps

FAR = 1e12  # a position denominator at which distance does not count


def boundary_graph(model: BoundaryNet, side: int, image: NDArray[np.uint8], config: GraphConfig) -> PixelGraph:
    """Return the graph whose affinity is ``(1 - strongest boundary between)^beta``, one node for 4 x 4 pixels.

    Features are those before the last layer of the boundary branch.

    Reference:
        [pan2021wsgcn], section 3.1, with the inputs of [ahn2019irnet].
    """
    maps = find_boundary(model, image, side=side, align_mirror=config.align_mirror)
    features = maps.features[0]
    if config.weighted:
        features = features * model.feature_weights().cpu()[:, None, None]
    offsets = half_disc(config.radius_cells)
    affinity = boundary_affinity(torch.sigmoid(maps.logits[0, 0]), offsets)
    return build_pixel_graph(features, affinity_power(affinity, config.beta), offsets)


def affinity_graph(model: AffinityNet, image: NDArray[np.uint8], config: GraphConfig) -> PixelGraph:
    """Return the graph whose affinity is ``exp(-beta mean |F_i - F_j|)``, one node for 8 x 8 pixels.

    Reference:
        [pan2021wsgcn], section 3.1, with the inputs of [ahn2018affinitynet].
    """
    features = find_features(model, image)
    offsets = half_disc(config.radius_cells)
    return build_pixel_graph(features, affinity_power(feature_affinity(features, offsets), config.beta), offsets)


def window_graph(
    model: WindowAffinityNet, image: NDArray[np.uint8], config: WindowGraphConfig, *, normalized: bool = True
) -> PixelGraph:
    """Return the graph whose affinity is ``exp(-mean |F_i - F_j|)`` within the window, one node for 8 x 8 pixels.

    Args:
        model: In evaluation mode.
        image: ``(H, W, 3)`` uint8.
        config: Which features are those of the nodes, and which F is.
        normalized: Whether features of nodes are divided by their norm.

    Reference:
        [zhang2021a2gnn], equations 14 and 15, without the threshold on edges, which they never fall below; F the taps
        is its plain feature distance.
    """
    taps, features = find_window_maps(model, image)
    compared = features[0] if config.edges == "affinity" else taps[0]
    graph = build_pixel_graph(features[0], feature_affinity(compared, model.offsets), model.offsets)
    found = {"taps": taps[0].flatten(1).T, "affinity": graph.features}
    chosen = [part for name, part in found.items() if config.features in (name, "both")]
    if normalized:
        chosen = [normalize_nodes(part, config.norm) for part in chosen]
    return PixelGraph(torch.cat(chosen, 1) / len(chosen) ** 0.5, graph.size, graph.affinity)


@torch.no_grad()
def free_graph(image: NDArray[np.uint8], config: FreeGraphConfig, *, maps: FeatureMaps | None = None) -> PixelGraph:
    """Return a graph that needs no training: ``a_ij = exp(-w mean |F_i - F_j| - ||I_i - I_j||^2 / (2 sigma^2))``.

    F are levels of a network of ``config.stride`` and coarser, each channel standardised over the image; I is the
    photograph on the grid. Node features are F, colour and position. Not from a paper.

    Args:
        image: ``(H, W, 3)`` uint8.
        config: Kernels, and the network with its levels.
        maps: From ``feature_maps`` of the same image and settings, where they are there already; else the processor
            makes them, with the precision that runs keep them in.
    """
    if maps is None:
        maps = feature_maps(feature_backbone(config.features), image, config)
        maps = maps.in_half() if config.features.outside else maps
    image = resize_image(image, scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=config.max_side))
    size = grid_size((image.shape[0], image.shape[1]), config.stride)
    placed = (
        resample_cells(level, size, maps.image_size, cells)
        for level, cells in zip(maps.levels, maps.cells, strict=True)
    )
    features = torch.cat([standardized(level) for level in placed])
    colors = block_means(image_tensor(image), config.stride)
    offsets = half_disc(config.radius_cells)
    alike = feature_affinity(features * config.feature_weight, offsets)
    near = color_position_weights(colors, offsets, color_denominator=2 * config.sigma_rgb**2, position_denominator=FAR)
    rows, columns = (torch.linspace(-1, 1, length) for length in size)
    position = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return build_pixel_graph(torch.cat([features, standardized(colors), position]), alike * near, offsets)


def standardized(maps: Tensor) -> Tensor:
    """Return ``(C, h, w)`` maps with mean 0 and deviation 1 each; constant ones become 0."""
    centred = maps - maps.mean((1, 2), keepdim=True)
    return centred / (centred.square().mean((1, 2), keepdim=True).sqrt() + 1e-5)


def activations_on(activations: Activations, stride: int) -> Activations:
    """Return activations on a grid of ``stride`` pixels a cell: at full size, then the mean over each cell's pixels."""
    if activations.stride == stride:
        return activations
    values = block_means(resize_maps(activations.values, activations.image_size), stride)
    return Activations(values.clamp(0, 1), activations.class_ids, activations.image_size, stride)
