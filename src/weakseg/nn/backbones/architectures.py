"""From the name of a backbone to the backbone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from weakseg.errors import ConfigError
from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.embedded import build_embedded
from weakseg.nn.backbones.resnet38 import STRIDE, build_resnet38
from weakseg.nn.backbones.timm_models import build_timm, check_timm
from weakseg.settings.backbone import EMBEDDED, BackboneConfig

STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class Architecture:
    """A backbone of our own, or one that weights come with.

    Attributes:
        build: From configuration, and whether to load its weights, to the backbone.
        strides: Output strides that it has.
        weights: What it can start from.
    """

    build: Callable[[BackboneConfig, bool], Backbone]
    strides: tuple[int, ...] = STRIDES
    weights: tuple[str, ...] = ("none",)


TIMM = Architecture(build_timm, weights=("timm", "none"))  # every name that is not below
OWN: dict[str, Architecture] = {
    EMBEDDED: Architecture(build_embedded, weights=("embedded", "timm", "none")),
    "resnet38": Architecture(build_resnet38, (STRIDE,), ("file", "none")),
    "resnet38_eighth": Architecture(partial(build_resnet38, width=1 / 8), (STRIDE,), ("file", "none")),  # for trials
}


def check_backbone(config: BackboneConfig) -> None:
    """Raise ``ConfigError`` unless the name is that of a backbone, which has these weights and this stride."""
    if config.name not in OWN:
        check_timm(config.name)
    found = OWN.get(config.name, TIMM)
    if config.output_stride not in found.strides or config.weights not in found.weights:
        strides, weights = _listed([str(stride) for stride in found.strides]), _listed([repr(w) for w in found.weights])
        raise ConfigError(
            f"backbone {config.name!r}: has output_stride {strides} and weights {weights}, "
            f"got {config.output_stride} and {config.weights!r}"
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


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
