"""Branches of a multi-level head: the maps of a backbone's stages, brought to one grid."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Branch(nn.Module):
    """1x1 convolution without bias, group norm, resizing to the grid, ReLU; in this order.

    Reference:
        [ahn2019irnet], heads; the order is that of its code.
    """

    def __init__(self, channels: int, width: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 1, bias=False)
        self.norm = nn.GroupNorm(groups, width)

    def forward(self, features: Tensor, factor: int = 1) -> Tensor:
        """Return ``(B, width, factor h, factor w)`` of ``(B, C, h, w)``."""
        mixed = self.norm(self.conv(features))
        if factor > 1:
            mixed = F.interpolate(mixed, scale_factor=factor, mode="bilinear", align_corners=False)
        return F.relu(mixed)


def pooled_to(features: Tensor, stride: int, grid_stride: int) -> Tensor:
    """Return features that are finer than the grid, max-pooled (3x3, stride 2) to it, as ResNet's own first pooling."""
    while stride < grid_stride:
        features, stride = F.max_pool2d(features, 3, 2, 1), 2 * stride
    return features


def concatenated(maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Return maps, each cut to its upper left ``size``, as one."""
    return torch.cat([found[..., : size[0], : size[1]] for found in maps], dim=1)
