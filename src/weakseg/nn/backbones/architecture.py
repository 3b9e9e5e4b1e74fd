"""What is known of a backbone before it is built."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from weakseg.nn.backbones.backbone import Backbone
from weakseg.settings.backbone import BackboneConfig, Layout

STRIDES = (8, 16, 32)
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
THIN = "_thin"  # ends the names of what has few channels and layers, for trials


@dataclass(frozen=True)
class Architecture:
    """A backbone of our own, or one that weights come with.

    Attributes:
        build: From configuration, and whether to load its weights, to the backbone.
        strides: Output strides that it has.
        weights: What it can start from.
        layouts: Which it can have.
        timm: Model of timm that its weights ``timm`` come from; empty: that of its own name.
        published: Where files of weights are to be had, one sentence each.
    """

    build: Callable[[BackboneConfig, bool], Backbone]
    strides: tuple[int, ...] = STRIDES
    weights: tuple[str, ...] = ("none",)
    layouts: tuple[Layout, ...] = LAYOUTS[:1]
    timm: str = ""
    published: tuple[str, ...] = ()
