"""Branches of a multi-level head: the maps of a backbone's stages, brought to one grid."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.ops.resample import Cells, resample_cells


class Branch(nn.Module):
    """1x1 convolution without bias, group norm, resizing to the grid, ReLU; in this order.

    Reference:
        [ahn2019irnet], heads; the order is that of its code.
    """

    def __init__(self, channels: int, width: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 1, bias=False)
        self.norm = nn.GroupNorm(groups, width)

    def forward(self, features: Tensor, stride: int = 1, grid_stride: int = 1) -> Tensor:
        """Return ``(B, width, h', w')`` of ``(B, C, h, w)``, ``enlarged`` where the stride is coarser than the grid."""
        return F.relu(enlarged(self.norm(self.conv(features)), stride, grid_stride))


def enlarged(maps: Tensor, stride: int, grid_stride: int) -> Tensor:
    """Return ``(B, C, h, w)`` maps of a stride on a grid of ``grid_stride``, ``ceil(h stride / grid_stride)`` rows.

    Bilinear; the upper left edges fall together. Maps that are not coarser are returned as they are.
    """
    if stride <= grid_stride:
        return maps
    if stride % grid_stride == 0:
        return F.interpolate(maps, scale_factor=stride // grid_stride, mode="bilinear", align_corners=False)
    rows, columns = (-(-cells * stride // grid_stride) for cells in maps.shape[2:])
    image_size = (rows * grid_stride, columns * grid_stride)
    return resample_cells(maps, (rows, columns), image_size, Cells((stride - 1) / 2, stride))


def pooled_to(features: Tensor, stride: int, grid_stride: int) -> Tensor:
    """Return features that are finer than the grid, max-pooled (3x3, stride 2) to it, as ResNet's own first pooling."""
    while stride < grid_stride:
        features, stride = F.max_pool2d(features, 3, 2, 1), 2 * stride
    return features


def concatenated(maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Return maps, each cut to its upper left ``size``, as one."""
    return torch.cat([found[..., : size[0], : size[1]] for found in maps], dim=1)
