"""VGG16 at stride 8: the trunk of DeepLab-LargeFOV, and the classifiers of PSA and SEC."""

import logging
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.nn.backbones.architecture import LAYOUTS, THIN, Architecture
from weakseg.nn.backbones.backbone import CAFFE_RANGE, Backbone
from weakseg.nn.backbones.checkpoint import load_file
from weakseg.nn.backbones.timm_models import create_timm
from weakseg.nn.pretrained import load_pretrained
from weakseg.settings.backbone import BackboneConfig

logger = logging.getLogger(__name__)

SOURCE = "vgg16.tv_in1k"
STRIDE, WIDTH, FEW = 8, 64, 4  # the last of trials
CONVOLUTIONS = (2, 2, 3, 3, 3)  # of the blocks
FACTORS = (1, 2, 4, 8, 8)  # on the width, of the channels of the blocks
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of the convolutions in torchvision's ``features``
TORCHVISION = {"classifier.0": "fc6", "classifier.3": "fc7", "pre_logits.fc1": "fc6", "pre_logits.fc2": "fc7"}
SIDE, KERNEL = 7, 3  # of fc6: ImageNet's and LargeFOV's
EVERY = (4, 3)  # which channels and places of ImageNet's fc6 LargeFOV keeps


class Tail(NamedTuple):
    """What follows the last convolution of block 5.

    Attributes:
        pools: Maximum and mean over 3 x 3 cells.
        dilation: Of fc6, a 3 x 3 convolution; 0: there are no fc6 and fc7.
        kernel: Side of fc7.
        spatial: Dropout takes whole channels, and none follows fc7.
        halves: Pools 1 to 3 are 2 x 2, as on ImageNet.
    """

    pools: bool
    dilation: int
    kernel: int = 1
    spatial: bool = False
    halves: bool = False


class VGG16(nn.Module):
    """Normalised images to levels of strides 2, 4, 8, 8, 8, each after ReLU.

    Pools 1 to 3 are 3 x 3 or 2 x 2 with stride 2, pool 4 is 3 x 3 with stride 1, and block 5 is dilated by 2. Modules
    are called as in Caffe: ``conv1_1``, ..., ``conv5_3``, ``fc6``, ``fc7``. Levels are the outputs of blocks 2 to 5,
    128, 256, 512 and 512 channels, and the last map: 1024, or 512 without fc6 and fc7. The first value of
    ``frozen_levels`` thus fixes blocks 1 and 2.

    Args:
        tail: What follows block 5.
        width: Channels of block 1, and a sixteenth of those of fc6.

    Reference:
        [chen2015deeplab], LargeFOV; [ahn2018affinitynet]; [kolesnikov2016sec], localisation network.
    """

    def __init__(self, tail: Tail, width: int = WIDTH) -> None:
        super().__init__()
        channels = [3, *(width * factor for factor in FACTORS)]
        for block, (inputs, outputs) in enumerate(pairwise(channels), start=1):
            for number in range(1, CONVOLUTIONS[block - 1] + 1):
                dilation = 2 if block == len(FACTORS) else 1
                layer = nn.Conv2d(inputs if number == 1 else outputs, outputs, 3, padding=dilation, dilation=dilation)
                self.add_module(f"conv{block}_{number}", layer)
        self.tail, self.num_features = tail, channels[-1]
        if tail.dilation:
            self.num_features = 16 * width
            self.fc6 = nn.Conv2d(channels[-1], 16 * width, KERNEL, padding=tail.dilation, dilation=tail.dilation)
            self.fc7 = nn.Conv2d(16 * width, 16 * width, tail.kernel, padding=tail.kernel // 2)
        self.dropout = nn.Dropout2d() if tail.spatial else nn.Dropout()
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last level."""
        return self._levels(images)[-1]

    def forward_intermediates(self, images: Tensor, *, intermediates_only: bool = False) -> Any:
        """Return all levels, the finest first; unless ``intermediates_only``, after the last one."""
        levels = self._levels(images)
        return levels if intermediates_only else (levels[-1], levels)

    def _levels(self, images: Tensor) -> list[Tensor]:
        x, levels = self._block(images, 1), []
        for block, stride in ((2, 2), (3, 2), (4, 2), (5, 1)):
            halved = self.tail.halves and stride == 2
            pooled = F.max_pool2d(x, 2) if halved else F.max_pool2d(x, 3, stride, 1)
            x = self._block(pooled, block)
            levels.append(x)
        return [*levels, self._end(x)]

    def _block(self, x: Tensor, block: int) -> Tensor:
        for number in range(1, CONVOLUTIONS[block - 1] + 1):
            x = F.relu(getattr(self, f"conv{block}_{number}")(x))
        return x

    def _end(self, x: Tensor) -> Tensor:
        if self.tail.pools:
            x = F.avg_pool2d(F.max_pool2d(x, 3, 1, 1), 3, 1, 1)
        if not self.tail.dilation:
            return x
        x = F.relu(self.fc7(self.dropout(F.relu(self.fc6(x)))))
        return x if self.tail.spatial else self.dropout(x)


def build_vgg16(config: BackboneConfig, pretrained: bool, *, tail: Tail, thin: bool = False) -> Backbone:
    """Return a VGG16 as a backbone.

    Args:
        config: Weights, file and layout.
        pretrained: Whether to load the weights.
        tail: What follows block 5.
        thin: Few channels, for trials.
    """
    model = VGG16(tail, FEW if thin else WIDTH)
    if config.layout == "caffe":
        model.pretrained_cfg = CAFFE_RANGE  # type: ignore[assignment]
    drawn = ("fc6", "fc7") if tail.dilation else ()

    def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return fitted(caffe_names(state), tail)

    if pretrained and config.weights == "file":
        load_file(model, config, rename=rename, drawn=drawn)
    if pretrained and config.weights == "timm":
        whole = create_timm(replace(config, name=SOURCE, output_stride=32), pretrained=True)
        load_pretrained(model, rename(whole.state_dict()), SOURCE, drawn=drawn)
    return Backbone(model, model.num_features, STRIDE, pads=tail.halves)


def caffe_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under Caffe's names, of files that have torchvision's or timm's."""
    numbered = [f"conv{block}_{n}" for block, count in enumerate(CONVOLUTIONS, 1) for n in range(1, count + 1)]
    names = {**{f"features.{place}": name for place, name in zip(PLACES, numbered, strict=True)}, **TORCHVISION}

    def renamed(key: str) -> str:
        layer, _, kind = key.rpartition(".")
        for name, own in names.items():
            if layer == name or layer.endswith(f".{name}"):
                return f"{layer.removesuffix(name)}{own}.{kind}"
        return key

    return {renamed(key): value for key, value in state.items()}


def fitted(state: dict[str, Tensor], tail: Tail) -> dict[str, Tensor]:
    """Return tensors with fc6 and fc7 as a network with this tail has them.

    Of ImageNet's, LargeFOV takes each fourth channel and each third place: ``(4096, 512, 7, 7)`` becomes
    ``(1024, 512, 3, 3)``, and ``(4096, 4096)`` becomes ``(1024, 1024, 1, 1)``. Where fc7 is 3 x 3, other layers are
    left out.

    Reference:
        [chen2015deeplab], section 3.
    """
    dense = {key: value for key, value in state.items() if key.split(".")[-2:-1] in (["fc6"], ["fc7"])}
    sides = {key.split(".")[-2]: _side(value) for key, value in dense.items() if key.endswith(".weight")}
    if not tail.dilation or (sides.get("fc6", SIDE) == KERNEL and sides.get("fc7", tail.kernel) == tail.kernel):
        return state
    kept = {key: value for key, value in state.items() if key not in dense}
    if tail.kernel != 1 and dense:
        logger.info("fc6 and fc7 of the weights are left out: those of the network are 3 x 3, and start anew")
    elif dense:
        logger.info("fc6 and fc7 are made of every %dth channel and every %drd place of the weights'", *EVERY)
        kept.update({key: _decimated(key, value) for key, value in dense.items()})
    return kept


def _side(weight: Tensor) -> int:
    """Return the side of a kernel; a matrix has no places of its own."""
    return weight.shape[-1] if weight.ndim > 2 else 0


def _decimated(key: str, value: Tensor) -> Tensor:
    channels, places = EVERY
    if value.ndim == 1:
        return value[::channels]
    if key.endswith("fc7.weight"):
        return value[::channels, ::channels].reshape(len(value[::channels]), -1, 1, 1)
    if value.ndim == 2 and value.shape[1] % SIDE**2 == 0:
        value = value.reshape(len(value), -1, SIDE, SIDE)
    return value[::channels, :, ::places, ::places] if _side(value) == SIDE else value


TAILS = {
    "vgg16_deeplab": Tail(pools=True, dilation=12),
    "vgg16_pool5": Tail(pools=True, dilation=0),  # for heads with branches of fc6 and fc7
    "vgg16_psa": Tail(pools=False, dilation=1, spatial=True),
    "vgg16_psa_affinity": Tail(pools=False, dilation=4, spatial=True),
    "vgg16_sec": Tail(pools=False, dilation=1, kernel=3),
    "vgg16_conv5": Tail(pools=False, dilation=0, halves=True),  # for convolutions of the classifier's own
}
PUBLISHED = (
    "ImageNet: torchvision's vgg16 (IMAGENET1K_V1), layout torchvision.",
    "ImageNet: vgg16-00b39a1b.pth of jcjohnson/pytorch-vgg on GitHub, layout caffe; its values do not tell its layout.",
)


def _vggs() -> dict[str, Architecture]:
    """Return VGG16 by publication, each with one for trials."""
    found = {}
    for name, tail in TAILS.items():
        full, thin = (partial(build_vgg16, tail=tail, thin=thin) for thin in (False, True))
        found[name] = Architecture(full, (STRIDE,), ("timm", "file", "none"), LAYOUTS, SOURCE, PUBLISHED)
        found[f"{name}{THIN}"] = Architecture(thin, (STRIDE,), ("file", "none"), LAYOUTS)
    return found


VGGS = _vggs()
