"""DeepLab's heads: dilated convolutions on the features of a backbone."""

from typing import ClassVar

import torch
from torch import Tensor, nn

SCORE_STD = 0.01  # of initial weights of layers whose outputs are summed


class LargeFov(nn.Sequential):
    """Dilated 3x3, ReLU, dropout, 1x1: DeepLab-LargeFOV with one hidden layer.

    Reference:
        [chen2015deeplab], section 4 (DeepLab-LargeFOV). Differs from the paper: no second hidden layer.
    """

    def __init__(self, channels: int, hidden: int, num_labels: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(channels, hidden, 3, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=False),
            nn.Dropout2d(0.1),
            nn.Conv2d(hidden, num_labels, 1),
        )


class DeepLabV1(nn.Sequential):
    """Dilated 3x3, ReLU, 1x1, ReLU, 1x1: DeepLab-LargeFOV on a residual network.

    Reference:
        [chen2015deeplab], section 4; without dropout, as its versions on ResNet-101 have it.
    """

    def __init__(self, channels: int, hidden: int, num_labels: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(channels, hidden, 3, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=False),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(inplace=False),
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
            start_small(branch)

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, L, h, w)`` logits."""
        return torch.stack([branch(features) for branch in self.branches]).sum(0)


class AsppHidden(nn.Sequential):
    """Parallel dilated 3x3 convolutions to hidden channels, summed; ReLU; a 1x1 without bias.

    Reference:
        [zhang2023grm], the head that its reasoning layer stands in; as in its code.
    """

    def __init__(self, channels: int, hidden: int, num_labels: int, dilations: tuple[int, ...]) -> None:
        score = nn.Conv2d(hidden, num_labels, 1, bias=False)
        nn.init.normal_(score.weight, std=SCORE_STD)
        super().__init__(Aspp(channels, hidden, dilations), nn.ReLU(inplace=False), score)


class AsppFc(nn.Module):
    """Parallel branches, summed: dilated 3x3 (fc6), ReLU, dropout, 1x1 (fc7), ReLU, dropout, 1x1 (fc8).

    Attributes:
        rate_factors: ``fc6`` and ``fc7``, which start from the layers of VGG16 in the papers, learn at a tenth of the
            rate of ``fc8``: with ``fit.head_lr_factor`` 10 as fast as the backbone.

    Reference:
        [chen2018deeplabv2], section 3.2 on VGG16 (ASPP-L); dropout and rates are those of [huang2018dsrg].
    """

    rate_factors: ClassVar[dict[str, float]] = {"fc6.": 0.1, "fc7.": 0.1}

    def __init__(self, channels: int, hidden: int, num_labels: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.fc6 = nn.ModuleList(nn.Conv2d(channels, hidden, 3, padding=d, dilation=d) for d in dilations)
        self.fc7 = nn.ModuleList(nn.Conv2d(hidden, hidden, 1) for _ in dilations)
        self.fc8 = nn.ModuleList(nn.Conv2d(hidden, num_labels, 1) for _ in dilations)
        self.rest = nn.Sequential(nn.ReLU(inplace=False), nn.Dropout(0.5))
        for score in self.fc8:
            start_small(score)

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, L, h, w)`` logits."""
        branches = zip(self.fc6, self.fc7, self.fc8, strict=True)
        return torch.stack([fc8(self.rest(fc7(self.rest(fc6(features))))) for fc6, fc7, fc8 in branches]).sum(0)


def start_small(score: nn.Module) -> None:
    """Let a layer whose outputs are logits start with small weights and without bias."""
    nn.init.normal_(score.weight, std=SCORE_STD)  # type: ignore[arg-type]
    nn.init.zeros_(score.bias)  # type: ignore[arg-type]
