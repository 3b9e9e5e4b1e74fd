"""ResNet-38: the wide residual network with stride 8 of PSA, SEAM and A2GNN, in the layout of its weight files."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.nn.backbones.architecture import Architecture
from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.checkpoint import load_file
from weakseg.nn.pretrained import fitting_weights
from weakseg.settings.backbone import BackboneConfig

STRIDE = 8
WIDTH, FIRST = 64, "conv1a"  # channels and name of the first convolution
MXNET_NAME = re.compile(r"(conv|res|bn)(\d)(?:a|b(\d+))?(_branch\w+?)?_(weight|gamma|beta|moving_mean|moving_var)")
NORM_VALUES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_var": "running_var"}


class ResNet38(nn.Module):
    """Normalised images to five levels of strides 2, 4, 8, 8, 8, each after batch norm and ReLU, hence >= 0.

    Modules are called as in the published weight files: ``conv1a``, ``b2``, ``b2_1``, ..., ``b7``, ``bn7``. Levels are
    the normalised inputs of stages 3, 4, 5 and 6, and the last map: 128, 256, 512, 1024 and 4096 channels.

    Args:
        width: Factor on all numbers of channels.

    Reference:
        [wu2019wider], model A; stride 8 and dropout are those of the code of [ahn2018affinitynet].
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        w = [int(channels * width) for channels in (64, 128, 256, 512, 1024, 2048, 4096)]
        self.conv1a = nn.Conv2d(3, w[0], 3, padding=1, bias=False)
        self.b2, self.b2_1, self.b2_2 = Unit(w[0], w[1], w[1], stride=2), Unit(w[1]), Unit(w[1])
        self.b3, self.b3_1, self.b3_2 = Unit(w[1], w[2], w[2], stride=2), Unit(w[2]), Unit(w[2])
        self.b4, self.b4_1, self.b4_2 = Unit(w[2], w[3], w[3], stride=2), Unit(w[3]), Unit(w[3])
        self.b4_3, self.b4_4, self.b4_5 = Unit(w[3]), Unit(w[3]), Unit(w[3])
        self.b5 = Unit(w[3], w[3], w[4], dilations=(1, 2))
        self.b5_1, self.b5_2 = (Unit(w[4], w[3], w[4], dilations=(2, 2)) for _ in range(2))
        self.b6 = Bottleneck(w[4], w[5], dilation=4, dropout=0.3)
        self.b7 = Bottleneck(w[5], w[6], dilation=4, dropout=0.5)
        self.bn7 = nn.BatchNorm2d(w[6])

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last level, ``(B, 4096, ceil(H / 8), ceil(W / 8))``."""
        return self._levels(images)[-1]

    def forward_intermediates(self, images: Tensor, *, intermediates_only: bool = False) -> Any:
        """Return all levels, the finest first; unless ``intermediates_only``, after the last one."""
        levels = self._levels(images)
        return levels if intermediates_only else (levels[-1], levels)

    def _levels(self, images: Tensor) -> list[Tensor]:
        x, _ = self._stage(self.conv1a(images), "b2", 3)
        levels = []
        for name, units in (("b3", 3), ("b4", 6), ("b5", 3), ("b6", 1)):
            x, first = self._stage(x, name, units)
            levels.append(first)
        x, _ = self.b7(x)
        return [*levels, F.relu(self.bn7(x))]

    def _stage(self, x: Tensor, name: str, units: int) -> tuple[Tensor, Tensor]:
        """Return the output of a stage, and its input after norm and ReLU."""
        x, first = getattr(self, name)(x)
        for number in range(1, units):
            x, _ = getattr(self, f"{name}_{number}")(x)
        return x, first


class Unit(nn.Module):
    """Norm, ReLU, 3x3 convolution, twice, and a shortcut: 1x1 from the first ReLU where the shape changes."""

    def __init__(
        self,
        inputs: int,
        inner: int = 0,
        outputs: int = 0,
        *,
        stride: int = 1,
        dilations: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        inner, outputs = inner or inputs, outputs or inputs
        first, second = dilations
        self.bn_branch2a = nn.BatchNorm2d(inputs)
        self.conv_branch2a = nn.Conv2d(inputs, inner, 3, stride, first, first, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(inner)
        self.conv_branch2b1 = nn.Conv2d(inner, outputs, 3, 1, second, second, bias=False)
        self.conv_branch1 = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output, and the input after norm and ReLU."""
        first = F.relu(self.bn_branch2a(x))
        branch = self.conv_branch2b1(F.relu(self.bn_branch2b1(self.conv_branch2a(first))))
        return branch + (x if self.conv_branch1 is None else self.conv_branch1(first)), first


class Bottleneck(nn.Module):
    """Norm, ReLU and convolutions of sizes 1, 3, 1 to a quarter, half and all channels; the last two after dropout."""

    def __init__(self, inputs: int, outputs: int, *, dilation: int, dropout: float) -> None:
        super().__init__()
        quarter, half = outputs // 4, outputs // 2
        self.bn_branch2a = nn.BatchNorm2d(inputs)
        self.conv_branch2a = nn.Conv2d(inputs, quarter, 1, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(quarter)
        self.conv_branch2b1 = nn.Conv2d(quarter, half, 3, 1, dilation, dilation, bias=False)
        self.bn_branch2b2 = nn.BatchNorm2d(half)
        self.conv_branch2b2 = nn.Conv2d(half, outputs, 1, bias=False)
        self.conv_branch1 = _shortcut(inputs, outputs, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output, and the input after norm and ReLU."""
        first = F.relu(self.bn_branch2a(x))
        branch = self.dropout(F.relu(self.bn_branch2b1(self.conv_branch2a(first))))
        branch = self.conv_branch2b2(self.dropout(F.relu(self.bn_branch2b2(self.conv_branch2b1(branch)))))
        return branch + (x if self.conv_branch1 is None else self.conv_branch1(first)), first


def build_resnet38(config: BackboneConfig, pretrained: bool, *, width: float = 1.0) -> Backbone:
    """Return the network as a backbone, with the weights of ``config.file`` if they are asked for."""
    model = ResNet38(width)
    if pretrained and config.weights == "file":
        load_file(model, config)
    return Backbone(model, model.bn7.num_features, STRIDE)


def resnet38_state(arrays: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the weights of the network from those of its MXNet parameter file; its classifier is left out.

    ``arg:conv1a_weight`` becomes ``conv1a.weight``, ``arg:res2b1_branch2a_weight`` becomes
    ``b2_1.conv_branch2a.weight``, and ``aux:bn5a_branch2b1_moving_var`` becomes ``b5.bn_branch2b1.running_var``.

    Args:
        arrays: Of the file.
        where: The file, for messages.

    Raises:
        CheckpointError: If they are not those of ResNet-38; lists missing, unexpected and other ones.
    """
    given = {_own_name(name): value for name, value in arrays.items()}
    first = given.get(f"{FIRST}.weight")
    with torch.device("meta"):
        wanted = ResNet38((len(first) if first is not None and first.ndim else WIDTH) / WIDTH).state_dict()
    return fitting_weights(wanted, given, where)


def _own_name(name: str) -> str:
    """Return what the network calls an array of MXNet's file; other names stay."""
    plain = name.removeprefix("arg:").removeprefix("aux:")
    found = MXNET_NAME.fullmatch(plain)
    if found is None:
        return plain
    kind, stage, number, branch, value = found.groups()
    value = NORM_VALUES.get(value, value)
    if not branch:
        return f"{FIRST if kind == 'conv' else kind + stage}.{value}"
    unit = f"b{stage}_{number}" if number else f"b{stage}"
    return f"{unit}.{'bn' if kind == 'bn' else 'conv'}{branch}.{value}"


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Conv2d | None:
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs or stride != 1 else None


RESNET38 = {
    "resnet38": Architecture(
        build_resnet38,
        (STRIDE,),
        ("file", "none"),
        published=(
            "ImageNet: ilsvrc-cls_rna-a1_cls1000_ep-0001.params of itijyou/ademxapp on GitHub, an MXNet file: "
            "weakseg convert-weights makes a file of it that can be named here.",
            "Checkpoints of PSA, SEAM and their descendants, which have the same names.",
        ),
    ),
    "resnet38_eighth": Architecture(partial(build_resnet38, width=1 / 8), (STRIDE,), ("file", "none")),  # for trials
}
