"""ResNet-50 and ResNet-101 with the strides and dilations that IRNet, DeepLab-v2 and PSPNet publish."""

import re
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from weakseg.nn.backbones.architecture import LAYOUTS, THIN, Architecture
from weakseg.nn.backbones.backbone import CAFFE_RANGE, Backbone
from weakseg.nn.backbones.checkpoint import load_file
from weakseg.nn.backbones.timm_models import create_timm
from weakseg.settings.backbone import BackboneConfig

STAGES = ("layer1", "layer2", "layer3", "layer4")
FEW: dict[str, Any] = {"layers": (1, 1, 1, 1), "channels": (4, 8, 16, 32)}  # of trials


class Plan(NamedTuple):
    """What a publication makes of a ResNet: stride of each stage, and dilation of the 3x3 convolutions of its blocks.

    timm, which has the blocks, dilates what follows a stride that it leaves out, and the first block of a stage as the
    stage before.
    """

    strides: tuple[int, int, int, int]
    dilations: tuple[int, int, int, int]

    @property
    def stride(self) -> int:
        """Image pixels per cell of the last stage."""
        return 4 * self.strides[1] * self.strides[2] * self.strides[3]


IRNET = Plan((1, 2, 2, 1), (1, 1, 1, 1))  # [ahn2019irnet]: the last stage keeps its resolution, nothing is dilated
DEEPLAB = Plan((1, 2, 1, 1), (1, 1, 2, 4))  # [chen2018deeplabv2], and [zhao2017pspnet]


class ResNet(nn.Module):
    """The parts of a timm ResNet, called as in torchvision's files, with the strides and dilations of a plan.

    Levels are the pooled map of the first convolution and the four stages: 64, 256, 512, 1024 and 2048 channels. The
    first value of ``frozen_levels`` thus fixes the first convolution, the third also stages 1 and 2, as IRNet does.

    Args:
        model: Of timm, with output stride 32 and bottlenecks.
        plan: Strides and dilations.
        caffe: Put the stride of a stage in its first 1x1 convolution, not in the 3x3, and count windows of the pool
            that are begun: 240 pixels have 31 cells of stride 8.
    """

    def __init__(self, model: Any, plan: Plan, *, caffe: bool) -> None:
        super().__init__()
        self.conv1, self.bn1, self.act1, self.maxpool = model.conv1, model.bn1, model.act1, model.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = (getattr(model, name) for name in STAGES)
        if caffe:
            self.maxpool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        for name, stride, dilation in zip(STAGES, *plan, strict=True):
            for index, block in enumerate(getattr(self, name)):
                _arrange(block, 1 if index else stride, dilation, caffe=caffe)

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last level."""
        return self._levels(images)[-1]

    def forward_intermediates(self, images: Tensor, *, intermediates_only: bool = False) -> Any:
        """Return all levels, the finest first; unless ``intermediates_only``, after the last one."""
        levels = self._levels(images)
        return levels if intermediates_only else (levels[-1], levels)

    def _levels(self, images: Tensor) -> list[Tensor]:
        levels: list[Tensor] = [self.maxpool(self.act1(self.bn1(self.conv1(images))))]
        for name in STAGES:
            levels.append(getattr(self, name)(levels[-1]))
        return levels


def build_resnet(config: BackboneConfig, pretrained: bool, *, source: str, plan: Plan, thin: bool = False) -> Backbone:
    """Return a ResNet as a backbone.

    Args:
        config: Weights, file and layout.
        pretrained: Whether to load the weights.
        source: Model of timm that has the blocks, and the weights ``timm``.
        plan: Strides and dilations.
        thin: Few channels and one block a stage, for trials.
    """
    timm = replace(config, name=source, output_stride=32)
    created = create_timm(timm, pretrained=pretrained and config.weights == "timm", **(FEW if thin else {}))
    model = ResNet(created, plan, caffe=config.layout == "caffe")
    if config.layout == "caffe":
        model.pretrained_cfg = CAFFE_RANGE  # type: ignore[assignment]
    if pretrained and config.weights == "file":
        load_file(model, config, rename=torchvision_names)
    return Backbone(model, created.num_features, plan.stride)  # type: ignore[arg-type]


def torchvision_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under torchvision's names, of files that have those of DeepLab's converted models or PSPNet's.

    A bias of the first convolution, which Caffe's ResNet-50 has, is taken off the mean of the norm that follows.
    """
    deep = any(name.endswith("conv3.weight") and value.shape[-1:] == (3,) for name, value in state.items())
    found = {_torchvision_name(name, deep_stem=deep): value for name, value in state.items()}
    for name in [name for name in found if re.fullmatch(r"((?!layer).)*\bconv1\.bias", name)]:
        mean = f"{name.removesuffix('conv1.bias')}bn1.running_mean"
        if mean in found and found[mean].shape == found[name].shape:
            found[mean] = found[mean] - found.pop(name)
    return found


_PARTS = {"reduce": "1", "conv3x3": "2", "increase": "3"}
_STEM = {"conv1": "conv1.0", "bn1": "conv1.1", "conv2": "conv1.3", "bn2": "conv1.4", "conv3": "conv1.6", "bn3": "bn1"}


def _torchvision_name(name: str, *, deep_stem: bool) -> str:
    """Return what torchvision, and timm for three convolutions, call a tensor."""
    found = re.fullmatch(r"(.*?)layer1\.conv1\.(conv|bn)\.(\w+)", name)
    if found:
        return f"{found[1]}{found[2]}1.{found[3]}"
    found = re.fullmatch(r"(.*?)layer(\d)\.block(\d+)\.(\w+)\.(conv|bn)\.(\w+)", name)
    if found and (found[4] == "shortcut" or found[4] in _PARTS):
        block = f"{found[1]}layer{int(found[2]) - 1}.{int(found[3]) - 1}"
        kind = found[5]
        part = f"downsample.{int(kind == 'bn')}" if found[4] == "shortcut" else f"{kind}{_PARTS[found[4]]}"
        return f"{block}.{part}.{found[6]}"
    found = re.fullmatch(r"((?:.*\.)?)((?:conv|bn)[123])\.(\w+)", name) if deep_stem and "layer" not in name else None
    return f"{found[1]}{_STEM[found[2]]}.{found[3]}" if found else name


def _arrange(block: Any, stride: int, dilation: int, *, caffe: bool) -> None:
    """Set where a bottleneck strides, and how its 3x3 convolution is dilated."""
    first, second = (stride, 1) if caffe else (1, stride)
    block.conv1.stride, block.conv2.stride = (first, first), (second, second)
    block.conv2.dilation = block.conv2.padding = (dilation, dilation)
    if block.downsample is not None:
        block.downsample[0].stride = (stride, stride)


def _resnets() -> dict[str, Architecture]:
    """Return ResNets by publication, each with one for trials."""
    found = {}
    for depth in ("resnet50", "resnet101"):
        for name, plan, source, layouts in (
            ("irnet", IRNET, f"{depth}.tv_in1k", LAYOUTS[:1]),
            ("deeplab", DEEPLAB, f"{depth}.tv_in1k", LAYOUTS),
            ("pspnet", DEEPLAB, f"{depth}s.gluon_in1k", LAYOUTS[:1]),
        ):
            full, thin = (partial(build_resnet, source=source, plan=plan, thin=thin) for thin in (False, True))
            weights, where = ("timm", "file", "none"), PUBLISHED[name]
            found[f"{depth}_{name}"] = Architecture(full, (plan.stride,), weights, layouts, source, where)
            found[f"{depth}_{name}{THIN}"] = Architecture(thin, (plan.stride,), weights[1:], layouts)
    return found


PUBLISHED = {
    "irnet": ("ImageNet: torchvision's resnet50 and resnet101 (IMAGENET1K_V1), layout torchvision.",),
    "deeplab": (
        "ImageNet: torchvision's resnet50 and resnet101 (IMAGENET1K_V1), layout torchvision.",
        "ImageNet: resnet101_caffe.pth of jwyang/faster-rcnn.pytorch on GitHub, layout caffe.",
        "COCO's masks, hence pixel supervision: deeplabv1_resnet101-coco.pth of kazuto1011/deeplab-pytorch, and the "
        "initial model of speedinghzl/Pytorch-Deeplab on GitHub, both layout caffe.",
    ),
    "pspnet": ("ImageNet: resnet50_v2.pth and resnet101_v2.pth of hszhao/semseg on GitHub.",),
}
RESNETS = _resnets()
