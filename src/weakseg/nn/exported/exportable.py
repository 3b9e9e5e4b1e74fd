"""Networks as exporters take them: layers whose work is arranged in Python become plain ones of the same sums."""

import torch
from torch import Tensor, nn

from weakseg.nn.backbones.depthwise import PhasedConv2d
from weakseg.nn.backbones.strided import PickedConv2d


def make_exportable(model: nn.Module) -> None:
    """Change layers of a network in place; weights, their names and, up to rounding, outputs stay.

    Convolutions that are arranged for torch's CPU kernels become those that they were, and pooling to a number of
    regions, which exporters fix at one size of image, becomes products of matrices.
    """
    for module in list(model.modules()):
        if type(module) in (PhasedConv2d, PickedConv2d):
            module.__class__ = nn.Conv2d
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d):
                setattr(module, name, RegionMeans(int(child.output_size)))  # type: ignore[arg-type]


class RegionMeans(nn.Module):
    """Means over ``bins`` x ``bins`` regions: ``nn.AdaptiveAvgPool2d``, for maps of any size.

    Region i of n cells reaches from ``floor(i n / bins)`` to ``ceil((i + 1) n / bins)``.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C, bins, bins)`` of ``(B, C, h, w)``."""
        rows, columns = self._weights(maps, maps.shape[2]), self._weights(maps, maps.shape[3])
        return rows @ maps @ columns.T

    def _weights(self, maps: Tensor, length: int) -> Tensor:
        """Return ``(bins, length)`` weights; rows sum to one."""
        cell = torch.arange(length, device=maps.device)
        region = torch.arange(self.bins, device=maps.device)[:, None]
        first, past = region * length // self.bins, ((region + 1) * length + self.bins - 1) // self.bins
        inside = ((cell >= first) & (cell < past)).to(maps.dtype)
        return inside / inside.sum(1, keepdim=True)
