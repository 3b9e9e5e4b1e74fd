"""Feature extractors: models of timm, and architectures of our own; to add one, see ``architectures``."""

from weakseg.nn.backbones.architecture import Architecture
from weakseg.nn.backbones.architectures import OWN, architecture, build_backbone, check_backbone, read_backbone
from weakseg.nn.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD, Backbone
from weakseg.nn.backbones.embedded import embedded_backbone, embedded_classes, embedded_state, load_embedded

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "OWN",
    "Architecture",
    "Backbone",
    "architecture",
    "build_backbone",
    "check_backbone",
    "embedded_backbone",
    "embedded_classes",
    "embedded_state",
    "load_embedded",
    "read_backbone",
]
