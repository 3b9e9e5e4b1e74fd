"""PSPNet's head: means over regions of four sizes beside the features, and an auxiliary head on the level before."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BINS = (1, 2, 3, 6)  # regions along each axis
DROPOUT = 0.1
AUXILIARY_WEIGHT = 0.4  # of the auxiliary head's loss


class PspNet(nn.Module):
    """Pyramid of region means, 3x3, norm, ReLU, dropout, 1x1.

    Each level of the pyramid has a quarter of the features' channels: 2048 give four times 512, together 4096.

    Attributes:
        auxiliary: From the level before the last to logits, for training.

    Reference:
        [zhao2017pspnet], section 3.2 and 3.3.
    """

    def __init__(self, channels: int, hidden: int, num_labels: int, level_channels: int) -> None:
        super().__init__()
        quarter = max(channels // len(BINS), 1)
        self.pyramid = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(b), _mixed(channels, quarter, 1)) for b in BINS)
        self.score = _scored(channels + len(BINS) * quarter, hidden, num_labels)
        self.auxiliary = _scored(level_channels, max(level_channels // 4, 1), num_labels)

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, L, h, w)`` logits."""
        size = features.shape[2:]
        means = [F.interpolate(level(features), size, mode="bilinear", align_corners=True) for level in self.pyramid]
        logits: Tensor = self.score(torch.cat([features, *means], dim=1))
        return logits


def _mixed(channels: int, hidden: int, size: int) -> nn.Sequential:
    """Return convolution, norm and ReLU."""
    convolution = nn.Conv2d(channels, hidden, size, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(hidden), nn.ReLU(inplace=False))


def _scored(channels: int, hidden: int, num_labels: int) -> nn.Sequential:
    """Return 3x3, norm, ReLU, dropout and the 1x1 that gives logits."""
    return nn.Sequential(_mixed(channels, hidden, 3), nn.Dropout2d(DROPOUT), nn.Conv2d(hidden, num_labels, 1))
