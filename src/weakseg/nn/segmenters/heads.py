"""Which heads there are, and from a configuration or a model file to a segmenter."""

from collections.abc import Callable
from operator import index
from typing import Any

from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone, read_backbone
from weakseg.nn.models import Builder, ModelFile, class_count
from weakseg.nn.segmenters.deeplab import build_aspp, build_largefov
from weakseg.nn.segmenters.segmenter import Segmenter
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.segment import SegmenterConfig

# From the configuration, the channels of the features and the number of labels to the head.
HEADS: dict[str, Callable[[SegmenterConfig, int, int], nn.Module]] = {"largefov": build_largefov, "aspp": build_aspp}


def build_segmenter(config: SegmenterConfig, num_classes: int, *, pretrained: bool = True) -> Segmenter:
    """Return a segmenter of background and ``num_classes`` classes.

    Raises:
        ConfigError: If there is no such head or backbone.
        CheckpointError: If the file of the backbone's weights cannot be read.
    """
    check_head(config)
    backbone = build_backbone(config.backbone, pretrained=pretrained)
    return Segmenter(backbone, HEADS[config.head](config, backbone.channels, num_classes + 1))


def check_head(config: SegmenterConfig) -> None:
    """Raise ``ConfigError`` unless there is such a head."""
    if config.head not in HEADS:
        raise ConfigError(f"model.head: there is no {config.head!r}; there are {', '.join(map(repr, HEADS))}")


def read_segmenter(file: ModelFile) -> Segmenter:
    """Return the segmenter that a file's header describes, without its weights."""
    config = segmenter_config(file.header["model"])
    check_head(config)
    backbone, labels = read_backbone(file, file.header["model"]["backbone"]), class_count(file.header) + 1

    def head() -> nn.Module:
        return HEADS[config.head](config, backbone.channels, labels)

    file.check_part("head", head)
    return Segmenter(backbone, head())


def segmenter_config(settings: dict[str, Any]) -> SegmenterConfig:
    """Return the configuration that ``asdict`` made plain."""
    rest = {name: value for name, value in settings.items() if name not in ("backbone", "dilations", "hidden")}
    return SegmenterConfig(
        backbone=BackboneConfig(**settings["backbone"]),
        dilations=tuple(map(index, settings["dilations"])),
        hidden=index(settings["hidden"]),
        **rest,
    )


SEGMENTERS: dict[str, Builder[Segmenter]] = {"segmenter": read_segmenter}
