"""Features of several levels of a backbone on one grid, whose differences within a window are affinities."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.errors import ConfigError, ShapeError
from weakseg.nn.backbones import IMAGENET_MEAN, IMAGENET_STD, Backbone
from weakseg.nn.pairs.affinity import AffinityHead
from weakseg.nn.pairs.branches import concatenated, enlarged, pooled_to
from weakseg.ops.resample import block_means, resample_cells
from weakseg.ops.stencil import half_window
from weakseg.settings.affinity import GRID_STRIDE
from weakseg.settings.window_affinity import Colors, WindowConfig


class WindowMaps(NamedTuple):
    """What the network makes of images, on a grid of one cell for eight pixels.

    Attributes:
        taps: ``(B, D, h, w)``: the levels of the backbone, concatenated.
        features: ``(B, sum of widths, h, w)``, signed: those that ``feature_distance`` compares.
    """

    taps: Tensor
    features: Tensor


class WindowAffinityNet(nn.Module):
    """A trained backbone and a head on its last levels; the statistics of batch norms stay as they were.

    Raises:
        ConfigError: If the backbone has fewer levels than the configuration has widths.

    Reference:
        [zhang2021a2gnn], equations 6 to 8; the head is that of [ahn2018affinitynet], its levels are those before
        stages 5 and 6 of ResNet-38 and the last. Differs from the paper: any backbone, coarser levels are enlarged.
    """

    def __init__(self, backbone: Backbone, config: WindowConfig) -> None:
        super().__init__()
        used = len(config.widths)
        shapes = backbone.level_shapes()[-used:]
        if len(shapes) < used:
            raise ConfigError(f"window affinity: the backbone has {len(shapes)} levels, {used} are needed")
        self.backbone, self.config = backbone, config
        self.offsets = half_window(config.radius_cells, config.window)
        self.strides = [stride for _, stride in shapes]
        self.head = AffinityHead([channels for channels, _ in shapes], config.widths)

    def forward(self, images: Tensor) -> Tensor:
        """Return the ``(B, sum of widths, H / 8, W / 8)`` features of ``(B, 3, H, W)`` images on the scale 0..255.

        Raises:
            ShapeError: If the images are not whole cells.
        """
        return self._features(self._levels(images), _grid(images))

    @torch.no_grad()
    def maps(self, images: Tensor) -> WindowMaps:
        """Return levels and features of images, in one pass, without derivatives; arguments and errors as above."""
        levels, size = self._levels(images), _grid(images)
        taps = torch.cat([self._placed(level, number, size) for number, level in enumerate(levels)], dim=1)
        return WindowMaps(taps, self._features(levels, size))

    def _levels(self, images: Tensor) -> list[Tensor]:
        """Return the last levels, none finer than the grid."""
        levels = self.backbone.levels(images)[-len(self.strides) :]
        return [pooled_to(x, stride, GRID_STRIDE) for x, stride in zip(levels, self.strides, strict=True)]

    def _features(self, levels: list[Tensor], size: tuple[int, int]) -> Tensor:
        features: Tensor = self.head(levels, lambda maps, number: self._placed(maps, number, size))
        return features

    def _placed(self, maps: Tensor, number: int, size: tuple[int, int]) -> Tensor:
        """Return maps of one level on the grid."""
        stride = max(self.strides[number], GRID_STRIDE)
        if self.config.align == "edges":
            return concatenated([enlarged(maps, stride, GRID_STRIDE)], size)
        image_size = (GRID_STRIDE * size[0], GRID_STRIDE * size[1])
        return resample_cells(maps, size, image_size, self.backbone.cells(stride))


def node_colors(images: Tensor, colors: Colors = "point") -> Tensor:
    """Return ``(B, 3, h, w)`` colours of the cells, normalised by mean and deviation of ImageNet.

    Args:
        images: ``(B, 3, H, W)`` on the scale 0..255, whole cells of eight pixels.
        colors: ``point``: bilinear without antialiasing, the mean of the four pixels in the middle of a cell;
            ``mean``: that of all its pixels.

    Reference:
        [zhang2021a2gnn], colours of equation 13; ``point`` is its code.
    """
    size = _grid(images)
    if colors == "mean":
        cells = torch.stack([block_means(image, GRID_STRIDE) for image in images])
    else:
        cells = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
    mean, std = (cells.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (cells / 255.0 - mean) / std


def _grid(images: Tensor) -> tuple[int, int]:
    if images.shape[2] % GRID_STRIDE or images.shape[3] % GRID_STRIDE:
        size = tuple(images.shape[2:])
        raise ShapeError(f"images: expected whole cells of {GRID_STRIDE} pixels, got {size}; pad them first")
    return images.shape[2] // GRID_STRIDE, images.shape[3] // GRID_STRIDE
