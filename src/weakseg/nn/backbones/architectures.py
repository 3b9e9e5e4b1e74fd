"""From the name of a backbone to the backbone."""

import difflib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from weakseg.errors import ConfigError
from weakseg.nn.backbones.architecture import LAYOUTS, Architecture
from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.drn import DRNS
from weakseg.nn.backbones.embedded import build_embedded
from weakseg.nn.backbones.plain_vit import build_plain_vit, is_plain_vit, patch_size, wrong_stride
from weakseg.nn.backbones.resnet import RESNETS
from weakseg.nn.backbones.resnet38 import RESNET38
from weakseg.nn.backbones.timm_models import build_timm, has_timm, timm_names
from weakseg.nn.backbones.vgg16 import VGGS
from weakseg.nn.models import ModelFile
from weakseg.settings.backbone import EMBEDDED, BackboneConfig

TIMM = Architecture(build_timm, weights=("timm", "file", "none"))
OWN: dict[str, Architecture] = {
    EMBEDDED: Architecture(build_embedded, weights=("embedded", "timm", "file", "none")),
    **RESNET38,
    **RESNETS,
    **VGGS,
    **DRNS,
}


def check_backbone(config: BackboneConfig) -> None:
    """Raise ``ConfigError`` unless the name is that of a backbone, which has these weights, stride and layout."""
    found = architecture(config.name)
    if found.build is build_plain_vit and config.output_stride not in found.strides:
        raise wrong_stride(config, found.strides[0])
    if config.output_stride not in found.strides or config.weights not in found.weights:
        raise ConfigError(
            f"backbone {config.name!r}: has output_stride {either(map(str, found.strides))} and weights "
            f"{either(map(repr, found.weights))}, got {config.output_stride} and {config.weights!r}"
        )
    layouts = found.layouts if config.weights in ("file", "none") else LAYOUTS[:1]
    if config.layout not in layouts:
        raise ConfigError(
            f"backbone {config.name!r} with weights {config.weights!r}: has layout {either(map(repr, layouts))}, "
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
    return architecture(config.name).build(config, pretrained)


def read_backbone(file: ModelFile, settings: Mapping[str, Any]) -> Backbone:
    """Return the backbone that the header of a model file describes, without its weights.

    A header that is damaged may name a backbone that is larger than the memory: those of timm are compared with the
    tensors of the file first, as far as they can be built without memory.

    Args:
        file: The tensors of the backbone are called ``backbone.`` in it.
        settings: As of ``BackboneConfig``.

    Raises:
        ConfigError: If there is no such backbone.
        CheckpointError: If the tensors are those of another one.
    """
    config = BackboneConfig(**settings)
    if config.name not in OWN:
        with suppress(ConfigError):
            file.check_part("backbone", lambda: build_backbone(config, pretrained=False))
    return build_backbone(config, pretrained=False)


def architecture(name: str) -> Architecture:
    """Return what there is of a name; every one that is not our own is timm's.

    Raises:
        ConfigError: If there is no backbone of this name; says which are called almost so.
    """
    if name in OWN:
        return OWN[name]
    if has_timm(name):
        return Architecture(build_plain_vit, (patch_size(name),), TIMM.weights) if is_plain_vit(name) else TIMM
    near = difflib.get_close_matches(name, [*OWN, *timm_names()], n=3)
    close = f"; close ones: {', '.join(map(repr, near))}" if near else ""
    raise ConfigError(f"backbone.name: there is no {name!r}{close}; timm.list_models() names all of timm")


def either(words: Iterable[str]) -> str:
    """Return words as alternatives: ``a, b or c``."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
