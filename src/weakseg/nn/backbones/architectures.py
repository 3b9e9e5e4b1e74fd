"""From the name of a backbone to the backbone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import get_args

from weakseg.errors import ConfigError
from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.embedded import build_embedded
from weakseg.nn.backbones.resnet import DEEPLAB, IRNET, build_resnet
from weakseg.nn.backbones.resnet38 import STRIDE, build_resnet38
from weakseg.nn.backbones.timm_models import build_timm, check_timm
from weakseg.nn.backbones.vgg16 import Tail, build_vgg16
from weakseg.settings.backbone import EMBEDDED, BackboneConfig, Layout

STRIDES = (8, 16, 32)
LAYOUTS = get_args(Layout)
THIN = "_thin"


@dataclass(frozen=True)
class Architecture:
    """A backbone of our own, or one that weights come with.

    Attributes:
        build: From configuration, and whether to load its weights, to the backbone.
        strides: Output strides that it has.
        weights: What it can start from.
        layouts: Which it can have.
    """

    build: Callable[[BackboneConfig, bool], Backbone]
    strides: tuple[int, ...] = STRIDES
    weights: tuple[str, ...] = ("none",)
    layouts: tuple[str, ...] = ("torchvision",)


def _resnets() -> dict[str, Architecture]:
    """Return ResNets by publication, each with one for trials."""
    found = {}
    for depth in ("resnet50", "resnet101"):
        for name, plan, source, layouts in (
            ("irnet", IRNET, f"{depth}.tv_in1k", LAYOUTS[:1]),
            ("deeplab", DEEPLAB, f"{depth}.tv_in1k", LAYOUTS),
            ("pspnet", DEEPLAB, f"{depth}s.gluon_in1k", LAYOUTS[:1]),
        ):
            for thin in (False, True):
                build = partial(build_resnet, source=source, plan=plan, thin=thin)
                weights = ("file", "none") if thin else ("timm", "file", "none")
                found[f"{depth}_{name}{THIN * thin}"] = Architecture(build, (plan.stride,), weights, layouts)
    return found


def _vggs() -> dict[str, Architecture]:
    """Return VGG16 by publication, each with one for trials."""
    tails = {
        "vgg16_deeplab": Tail(pools=True, dilation=12),
        "vgg16_pool5": Tail(pools=True, dilation=0),  # for heads with branches of fc6 and fc7
        "vgg16_psa": Tail(pools=False, dilation=1, spatial=True),
        "vgg16_psa_affinity": Tail(pools=False, dilation=4, spatial=True),
        "vgg16_sec": Tail(pools=False, dilation=1, kernel=3),
    }
    found = {}
    for name, tail in tails.items():
        for thin in (False, True):
            build = partial(build_vgg16, tail=tail, thin=thin)
            weights = ("file", "none") if thin else ("timm", "file", "none")
            found[f"{name}{THIN * thin}"] = Architecture(build, (8,), weights, LAYOUTS)
    return found


TIMM = Architecture(build_timm, weights=("timm", "file", "none"))  # every name that is not below
OWN: dict[str, Architecture] = {
    EMBEDDED: Architecture(build_embedded, weights=("embedded", "timm", "file", "none")),
    "resnet38": Architecture(build_resnet38, (STRIDE,), ("file", "none")),
    "resnet38_eighth": Architecture(partial(build_resnet38, width=1 / 8), (STRIDE,), ("file", "none")),  # for trials
    **_resnets(),
    **_vggs(),
}


def check_backbone(config: BackboneConfig) -> None:
    """Raise ``ConfigError`` unless the name is that of a backbone, which has these weights, stride and layout."""
    if config.name not in OWN:
        check_timm(config.name)
    found = OWN.get(config.name, TIMM)
    if config.output_stride not in found.strides or config.weights not in found.weights:
        raise ConfigError(
            f"backbone {config.name!r}: has output_stride {_listed(map(str, found.strides))} and weights "
            f"{_listed(map(repr, found.weights))}, got {config.output_stride} and {config.weights!r}"
        )
    layouts = found.layouts if config.weights in ("file", "none") else LAYOUTS[:1]
    if config.layout not in layouts:
        raise ConfigError(
            f"backbone {config.name!r} with weights {config.weights!r}: has layout {_listed(map(repr, layouts))}, "
            f"got {config.layout!r}"
        )


def build_backbone(config: BackboneConfig, *, pretrained: bool = True) -> Backbone:
    """Return the backbone that ``config`` names.

    Args:
        config: Model, stride and weights.
        pretrained: Whether to load the weights; without, only the architecture and input range that go with them.

    Raises:
        ConfigError: If there is no such model, its weights cannot be had, or it gives no feature map of the wanted
            stride.
        CheckpointError: If the file of weights cannot be read, or holds those of another model.
    """
    check_backbone(config)
    return OWN.get(config.name, TIMM).build(config, pretrained)


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
