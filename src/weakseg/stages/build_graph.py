"""From a photograph to its pixel graph: by learned boundaries, by learned affinities, or with no training."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import Activations, PixelGraph
from weakseg.errors import ConfigError
from weakseg.graph.boundary import boundary_affinity
from weakseg.graph.feature_affinity import color_position_weights, feature_affinity
from weakseg.graph.pixel_graph import Norm, build_pixel_graph, normalize_nodes
from weakseg.nn.affinity import AffinityNet
from weakseg.nn.backbones import Backbone
from weakseg.nn.boundary import BoundaryNet
from weakseg.nn.window_affinity import WindowAffinityNet
from weakseg.ops.cam import grid_size
from weakseg.ops.resample import block_means, image_tensor, resample_cells, resize_image, resize_maps, scaled_size
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import affinity_power
from weakseg.stages.affinity import find_features
from weakseg.stages.boundary import find_boundary
from weakseg.stages.window_affinity import find_window_maps

FAR = 1e12  # a position denominator at which distance does not count


NodeFeatures = Literal["taps", "affinity", "both"]


@dataclass(frozen=True)
class GraphConfig:
    """How a pixel graph is built.

    Attributes:
        radius_cells: Cells nearer than this are neighbours.
        beta: Sharpening exponent of the affinity.
        weighted: Boundary features are multiplied by their weight in the boundary logit.
        align_mirror: See ``weakseg.stages.boundary.find_boundary``.
    """

    radius_cells: float = 5.0
    beta: float = 10.0
    weighted: bool = True
    align_mirror: bool = False

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        if not (self.radius_cells > 1 and self.beta > 0):
            raise ConfigError(f"graph: need radius_cells > 1 and beta > 0, got {self}")


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


@dataclass(frozen=True)
class WindowGraphConfig:
    """How a pixel graph is built of a window affinity network; its window is that of the network.

    Attributes:
        features: Node features: the ``taps`` of the backbone, as published, the ``affinity`` features, which learned
            what labels have in common, or ``both``, each normalised for itself.
        norm: ``l1``, as published, for taps that are not negative (ResNet); ``l2`` for all.
    """

    features: NodeFeatures = "taps"
    norm: Norm = "l2"

    def __post_init__(self) -> None:
        """Refuse what does not exist, and sums of signed features."""
        if self.features not in get_args(NodeFeatures) or self.norm not in get_args(Norm):
            raise ConfigError(f"graph: features of {get_args(NodeFeatures)}, norm of {get_args(Norm)}; got {self}")
        if self.features != "taps" and self.norm == "l1":
            raise ConfigError("graph: affinity features are signed; use norm 'l2'")


def window_graph(model: WindowAffinityNet, image: NDArray[np.uint8], config: WindowGraphConfig) -> PixelGraph:
    """Return the graph whose affinity is ``exp(-mean |F_i - F_j|)`` within a square window, one node for 8 x 8 pixels.

    Reference:
        [zhang2021a2gnn], equations 14 and 15, without the threshold on edges, which they never fall below.
    """
    taps, features = find_window_maps(model, image)
    offsets = model.config.offsets
    graph = build_pixel_graph(features[0], feature_affinity(features[0], offsets), offsets)
    found = {"taps": taps[0].flatten(1).T, "affinity": graph.features}
    chosen = [normalize_nodes(part, config.norm) for name, part in found.items() if config.features in (name, "both")]
    return PixelGraph(torch.cat(chosen, 1) / len(chosen) ** 0.5, graph.size, graph.affinity)


@dataclass(frozen=True)
class FreeGraphConfig:
    """How a pixel graph is built with no training: from colours and the levels of an ImageNet backbone.

    Attributes:
        radius_cells: Cells nearer than this are neighbours.
        feature_weight: How fast affinity falls with the mean absolute difference of standardised features.
        sigma_rgb: Standard deviation of the colour kernel, on the scale 0..255.
        levels: How many of the backbone's levels count, from ``stride`` on.
        max_side: Larger images are reduced to this long side first; bounds time and memory.
        stride: Pixels a cell.
    """

    radius_cells: float = 5.0
    feature_weight: float = 16.0
    sigma_rgb: float = 20.0
    levels: int = 3
    max_side: int = 512
    stride: int = 4

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        if not (self.radius_cells > 1 and self.feature_weight >= 0 and self.sigma_rgb > 0):
            raise ConfigError(f"graph: need radius_cells > 1, feature_weight >= 0 and sigma_rgb > 0, got {self}")
        if self.levels < 1 or self.max_side < 32 or self.stride < 1:
            raise ConfigError(f"graph: need levels, stride >= 1 and max_side >= 32, got {self}")


@torch.no_grad()
def free_graph(backbone: Backbone, image: NDArray[np.uint8], config: FreeGraphConfig) -> PixelGraph:
    """Return a graph that needs no training: ``a_ij = exp(-w mean |F_i - F_j| - ||I_i - I_j||^2 / (2 sigma^2))``.

    F are the backbone's levels of ``config.stride`` and coarser, each channel standardised over the image; I is the
    photograph on the grid. Node features are F, colour and position. Not from a paper.

    Args:
        backbone: In evaluation mode.
        image: ``(H, W, 3)`` uint8.
        config: Kernels and levels.
    """
    image = resize_image(image, scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=config.max_side))
    pixels = image_tensor(image)
    shapes = [stride for _, stride in backbone.level_shapes()]
    size = grid_size((image.shape[0], image.shape[1]), config.stride)
    found = zip(shapes, backbone.levels(pixels[None].to(backbone.mean.device)), strict=True)
    coarse = [
        resample_cells(level[0].cpu(), size, (image.shape[0], image.shape[1]), backbone.cells(stride))
        for stride, level in found
        if stride >= config.stride
    ][: config.levels]
    features = torch.cat([standardized(level) for level in coarse])
    colors = block_means(pixels, config.stride)
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
