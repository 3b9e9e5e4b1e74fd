"""EfficientNet-Lite0 for evaluation: the embedded backbone without the seconds that importing timm takes."""

from typing import NamedTuple

from torch import Tensor, nn

OUTPUT_STRIDE, STEM, HEAD = 16, 32, 1280


class Stage(NamedTuple):
    """Equal blocks one after the other; the first of them has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (  # [tan2019efficientnet], table 1, no squeeze and excitation, ReLU6, first and last stage as they are
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
LEVELS = (0, 1, 2, 4, 6)  # the last stage of each resolution


class EfficientNetLite0(nn.Module):
    """The features of timm's ``efficientnet_lite0`` at stride 16, bit for bit; its state dict in the same order.

    Stages that would be coarser keep their resolution: what follows is dilated instead.
    """

    def __init__(self, *, eps: float) -> None:
        super().__init__()
        self.stem = _conv(3, STEM, 3, stride=2)
        channels, reduction, dilation, stages = STEM, 2, 1, []
        for stage in STAGES:
            blocks: list[nn.Module] = []
            stride = stage.stride if reduction * stage.stride <= OUTPUT_STRIDE else 1
            for index in range(stage.blocks):
                step = stride if index == 0 else 1
                blocks.append(_Block(channels, stage, step, dilation))
                channels = stage.channels
                if index == 0:
                    reduction, dilation = reduction * stride, dilation * stage.stride // stride
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = _conv(channels, HEAD, 1)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = eps

    def forward_features(self, images: Tensor) -> Tensor:
        """Return ``(B, 1280, h, w)`` features."""
        features: Tensor = self.forward_intermediates(images)[0]
        return features

    def forward_intermediates(
        self, images: Tensor, *, intermediates_only: bool = False
    ) -> tuple[Tensor, list[Tensor]] | list[Tensor]:
        """Return features and levels, or the levels alone, the finest first."""
        values, levels = self.stem(images), []
        for index, stage in enumerate(self.stages):
            values = stage(values)
            if index in LEVELS:
                levels.append(values)
        return levels if intermediates_only else (self.head(values), levels)


class _Block(nn.Module):
    """Expansion, depthwise convolution and projection, around which the input is added where shapes are equal."""

    def __init__(self, channels: int, stage: Stage, stride: int, dilation: int) -> None:
        super().__init__()
        inner = channels * stage.expansion
        self.expand = nn.Sequential() if stage.expansion == 1 else _conv(channels, inner, 1)
        depthwise = _conv(inner, inner, stage.kernel, stride=stride, dilation=dilation, groups=inner)
        self.project = nn.Sequential(depthwise, *list(_conv(inner, stage.channels, 1))[:2])
        self.adds = stride == 1 and channels == stage.channels

    def forward(self, values: Tensor) -> Tensor:
        """Return ``(B, C', h', w')`` of ``(B, C, h, w)``."""
        out: Tensor = self.project(self.expand(values))
        return out + values if self.adds else out


def _conv(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = (stride - 1 + dilation * (kernel - 1)) // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())
