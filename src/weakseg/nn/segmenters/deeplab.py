"""DeepLab's heads: dilated convolutions on the features of a backbone."""

import torch
from torch import Tensor, nn

from weakseg.settings.segment import SegmenterConfig


class LargeFov(nn.Sequential):
    """Dilated 3x3, ReLU, dropout, 1x1.

    Reference:
        [chen2015deeplab], section 4 (DeepLab-LargeFOV).
    """

    def __init__(self, channels: int, hidden: int, num_labels: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(channels, hidden, 3, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=False),
            nn.Dropout2d(0.1),
            nn.Conv2d(hidden, num_labels, 1),
        )


class Aspp(nn.Module):
    """Parallel dilated 3x3 convolutions, summed.

    Reference:
        [chen2018deeplabv2], section 3.2.
    """

    def __init__(self, channels: int, num_labels: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(channels, num_labels, 3, padding=d, dilation=d) for d in dilations)
        for branch in self.branches:
            nn.init.normal_(branch.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.zeros_(branch.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, L, h, w)`` logits."""
        return torch.stack([branch(features) for branch in self.branches]).sum(0)


def build_largefov(config: SegmenterConfig, channels: int, num_labels: int) -> LargeFov:
    """Return the head for features of so many channels."""
    return LargeFov(channels, config.hidden, num_labels, config.dilations[0])


def build_aspp(config: SegmenterConfig, channels: int, num_labels: int) -> Aspp:
    """Return the head for features of so many channels."""
    return Aspp(channels, num_labels, config.dilations)
