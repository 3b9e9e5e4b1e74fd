"""DRN-D-105: the dilated residual network with stride 8 and without gridding, in the layout of its weight files."""

import math
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from weakseg.nn.backbones.architecture import THIN, Architecture
from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.checkpoint import load_file
from weakseg.settings.backbone import BackboneConfig

STRIDE = 8
EXPANSION = 4  # outputs of a bottleneck, as a multiple of its inner channels
TAKEN = (2, 3, 4, 5, 6, 8)  # stages whose outputs are levels


class Stage(NamedTuple):
    """What a stage after the first 7x7 convolution is made of.

    Attributes:
        channels: Of its 3x3 convolutions; bottlenecks give four times as many.
        depth: How many convolutions or bottlenecks it has.
        stride: Of the first of them.
        dilation: Of all 3x3 convolutions.
    """

    channels: int
    depth: int
    stride: int
    dilation: int


DRN_D_105 = (
    Stage(16, 1, 1, 1),
    Stage(32, 1, 2, 1),
    Stage(64, 3, 2, 1),
    Stage(128, 4, 2, 1),
    Stage(256, 23, 1, 2),
    Stage(512, 3, 1, 4),
    Stage(512, 1, 1, 2),
    Stage(512, 1, 1, 1),
)
BOTTLENECKS = (3, 4, 5, 6)  # stages, from 1; the others are convolutions without shortcuts


class Drn(nn.Module):
    """Normalised images to six levels of strides 2, 4, 8, 8, 8, 8, each after ReLU, hence >= 0.

    Instead of max pooling there are convolutions before the residual stages; where ResNet would go on to strides 16
    and 32, 3x3 convolutions are dilated by 2 and 4; two stages without shortcuts, dilated by 2 and 1, take away the
    grid that dilation leaves in the maps. Modules are called as in the published weight files: ``layer0``, ...,
    ``layer8``. Levels are the outputs of stages 2 to 6 and of the last: 32, 256, 512, 1024, 2048 and 512 channels.

    Args:
        stages: From 1 on.

    Reference:
        [yu2017drn], sections 2 and 4, architecture D.
    """

    def __init__(self, stages: tuple[Stage, ...] = DRN_D_105) -> None:
        super().__init__()
        channels = stages[0].channels
        self.layer0 = _convolution(3, channels, kernel=7)
        for number, stage in enumerate(stages, start=1):
            layers: list[nn.Module] = []
            for index in range(stage.depth):
                step = stage._replace(stride=stage.stride if index == 0 else 1)
                if number in BOTTLENECKS:
                    layers.append(Bottleneck(channels, step))
                    channels = stage.channels * EXPANSION
                else:
                    layers += _convolution(channels, stage.channels, stride=step.stride, dilation=step.dilation)
                    channels = stage.channels
            self.add_module(f"layer{number}", nn.Sequential(*layers))
        self.num_features = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels)))

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last level, ``(B, 512, ceil(H / 8), ceil(W / 8))``."""
        return self._levels(images)[-1]

    def forward_intermediates(self, images: Tensor, *, intermediates_only: bool = False) -> Any:
        """Return all levels, the finest first; unless ``intermediates_only``, after the last one."""
        levels = self._levels(images)
        return levels if intermediates_only else (levels[-1], levels)

    def _levels(self, images: Tensor) -> list[Tensor]:
        x, levels = self.layer0(images), []
        for number in range(1, TAKEN[-1] + 1):
            x = getattr(self, f"layer{number}")(x)
            if number in TAKEN:
                levels.append(x)
        return levels


class Bottleneck(nn.Module):
    """Convolutions of sizes 1, 3, 1 with norms; the input is added before the last ReLU."""

    def __init__(self, inputs: int, stage: Stage) -> None:
        super().__init__()
        inner, outputs, dilation = stage.channels, stage.channels * EXPANSION, stage.dilation
        self.conv1, self.bn1 = nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stage.stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = None
        if stage.stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stage.stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C', h', w')`` of ``(B, C, h, w)``."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(branch)))))
        out: Tensor = self.relu(branch + (x if self.downsample is None else self.downsample(x)))
        return out


def build_drn(config: BackboneConfig, pretrained: bool, *, stages: tuple[Stage, ...] = DRN_D_105) -> Backbone:
    """Return the network as a backbone, with the weights of ``config.file`` if they are asked for."""
    model = Drn(stages)
    if pretrained and config.weights == "file":
        load_file(model, config)
    return Backbone(model, model.num_features, STRIDE)


def _convolution(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a convolution with norm and ReLU."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


_THIN = tuple(stage._replace(channels=max(stage.channels // 8, 8), depth=1) for stage in DRN_D_105)
DRNS = {
    "drn_d_105": Architecture(
        build_drn,
        (STRIDE,),
        ("file", "none"),
        published=("ImageNet: drn_d_105 of fyu/drn on GitHub, a PyTorch checkpoint.",),
    ),
    f"drn_d_105{THIN}": Architecture(partial(build_drn, stages=_THIN), (STRIDE,), ("file", "none")),
}
