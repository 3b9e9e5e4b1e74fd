"""Which heads there are, and from a configuration or a model file to a segmenter."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import index
from typing import Any

from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, build_backbone, read_backbone
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.nn.graphs.reasoning import Reasoning, build_reasoning
from weakseg.nn.models import Builder, ModelFile, class_count
from weakseg.nn.segmenters.deeplab import Aspp, AsppFc, AsppHidden, DeepLabV1, LargeFov
from weakseg.nn.segmenters.pspnet import PspNet
from weakseg.nn.segmenters.segmenter import Segmenter
from weakseg.nn.segmenters.tree import TreeHead, guide_of
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.segment import SegmentConfig, SegmenterConfig, SegmenterTrainingConfig

Shapes = list[tuple[int, int]]  # channels and stride of maps; the last are the features


@dataclass(frozen=True)
class Head:
    """A head that segmenters may have.

    Attributes:
        build: From the configuration, channels and stride of what the head sees, and the number of labels to the head.
        hidden: Channels between its layers unless the configuration says others; 0: it has no such layers.
        dilations: The same for dilations; a head of one takes one, a head of several any number.
        levels: Whether it sees levels of the backbone; they come before the features, the finest first.
        trained_on: Outputs beside the logits that have a loss in training.
        corners_aligned: Corner cells of the logits lie on corner pixels, so that sides have to be 1 modulo the stride.
        norms: It has batch norms, which are trained, over regions of a single cell, too.
        sequence: It is a sequence of layers, or one; before the last classes may be reasoned about.
    """

    build: Callable[[SegmenterConfig, Shapes, int], nn.Module]
    hidden: int = 0
    dilations: tuple[int, ...] = ()
    levels: bool = False
    trained_on: tuple[str, ...] = ()
    corners_aligned: bool = False
    norms: bool = False
    sequence: bool = False


HEADS: dict[str, Head] = {
    "largefov": Head(
        lambda c, shapes, n: LargeFov(shapes[-1][0], c.hidden, n, c.dilations[0]), 256, (6,), sequence=True
    ),
    "score": Head(lambda c, shapes, n: nn.Conv2d(shapes[-1][0], n, 1), sequence=True),
    "deeplab_v1": Head(
        lambda c, shapes, n: DeepLabV1(shapes[-1][0], c.hidden, n, c.dilations[0]), 1024, (12,), sequence=True
    ),
    "aspp": Head(lambda c, shapes, n: Aspp(shapes[-1][0], n, c.dilations), 0, (6, 12, 18, 24)),
    "aspp_hidden": Head(
        lambda c, shapes, n: AsppHidden(shapes[-1][0], c.hidden, n, c.dilations), 256, (6, 12, 18, 24), sequence=True
    ),
    "aspp_fc": Head(lambda c, shapes, n: AsppFc(shapes[-1][0], c.hidden, n, c.dilations), 1024, (6, 12, 18, 24)),
    "pspnet": Head(
        lambda c, shapes, n: PspNet(shapes[-1][0], c.hidden, n, shapes[-3][0]),
        hidden=512,
        levels=True,
        trained_on=("auxiliary",),
        corners_aligned=True,
        norms=True,
    ),
    "tree": Head(
        lambda c, shapes, n: TreeHead(shapes[-1][0], c.hidden, n, guide_of(shapes)),
        hidden=256,
        levels=True,
    ),
}


def build_segmenter(
    config: SegmenterConfig, num_classes: int, *, pretrained: bool = True, nodes: ClassNodes | None = None
) -> Segmenter:
    """Return a segmenter of background and ``num_classes`` classes.

    Args:
        config: The network.
        num_classes: Without the background.
        pretrained: Whether the backbone's weights are loaded.
        nodes: Vectors and adjacency of the classes, where they are reasoned about.

    Raises:
        ConfigError: If there is no such head or backbone, or a setting belongs to another head; or if classes are
            reasoned about, and nodes are missing or those of other classes.
        CheckpointError: If the file of the backbone's weights cannot be read.
    """
    config = completed(config)
    backbone = build_backbone(config.backbone, pretrained=pretrained)
    found = HEADS[config.head]
    head = found.build(config, shapes_for(found, backbone), num_classes + 1)
    if config.reasoning.kind != "none" and (nodes is None or len(nodes.vectors) != num_classes):
        given = "none" if nodes is None else f"one of {len(nodes.vectors)}"
        raise ConfigError(f"model.reasoning: needs a class graph of {num_classes} classes, got {given}")
    reasoning = reasoning_for(config, backbone, nodes) if config.reasoning.kind != "none" and nodes else None
    return _assembled(config, backbone, head, reasoning)


def reasoning_for(config: SegmenterConfig, backbone: Backbone, nodes: ClassNodes) -> Reasoning:
    """Return the layer in which classes are reasoned about, for the features behind which it stands.

    Raises:
        ConfigError: If the backbone has no such level, or widths do not fit.
    """
    level = config.reasoning.level
    shapes = backbone.level_shapes() if level else []
    if level > len(shapes):
        raise ConfigError(f"model.reasoning.level: the backbone has {len(shapes)} levels, got {level}")
    return build_reasoning(
        config.reasoning, nodes, shapes[level - 1][0] if level else config.hidden or backbone.channels
    )


def _assembled(config: SegmenterConfig, backbone: Backbone, head: nn.Module, reasoning: Reasoning | None) -> Segmenter:
    corners, level = HEADS[config.head].corners_aligned, config.reasoning.level
    return Segmenter(backbone, head, config.multi_scale, corners_aligned=corners, reasoning=reasoning, level=level)


def completed(config: SegmenterConfig) -> SegmenterConfig:
    """Return a configuration that says what its head has by itself.

    Raises:
        ConfigError: If there is no such head, or a setting belongs to another head.
    """
    check_head(config)
    head = HEADS[config.head]
    for name in ("hidden", "dilations"):
        if getattr(config, name) and not getattr(head, name):
            having = ", ".join(repr(other) for other, found in HEADS.items() if getattr(found, name))
            raise ConfigError(f"model.{name}: the head {config.head!r} has none; leave it out, or take {having}")
    if len(head.dilations) == 1 < len(config.dilations):
        raise ConfigError(f"model.dilations: the head {config.head!r} has one, got {config.dilations}")
    if config.multi_scale and head.trained_on:
        raise ConfigError(f"model.multi_scale: the head {config.head!r} sees one scale; leave it out")
    if config.reasoning.kind != "none" and not config.reasoning.level and not head.sequence:
        having = ", ".join(repr(other) for other, found in HEADS.items() if found.sequence)
        raise ConfigError(
            f"model.reasoning.level: the head {config.head!r} is no sequence of layers; take {having}, or a level of "
            "the backbone, from 1"
        )
    return replace(config, hidden=config.hidden or head.hidden, dilations=config.dilations or head.dilations)


def trained_on(config: SegmenterConfig) -> tuple[str, ...]:
    """Return the outputs beside the logits that have a loss in training."""
    return HEADS[config.head].trained_on + (("scales",) if config.multi_scale else ())


def check_training(config: SegmenterTrainingConfig, examples: int = 0) -> None:
    """Refuse a training that the head cannot go through.

    Args:
        config: Model and training.
        examples: How many there are; 0: not known yet.

    Raises:
        ConfigError: As ``completed``; if crops do not lie on the cells of a head whose corners are aligned; if a head
            with batch norms would get a batch of one image; or if one that sees levels shall learn alone.
    """
    completed(config.model)
    head, fit = HEADS[config.model.head], config.fit
    if head.levels and isinstance(config, SegmentConfig) and config.frozen:
        raise ConfigError(
            f"segmenter.frozen: the head {config.model.head!r} sees levels of the backbone, and its features alone are "
            "kept; take another head, or set fit.frozen_levels to all of its levels"
        )
    stride, crop = config.model.backbone.output_stride, config.augment.crop
    if head.corners_aligned and crop % stride != 1:
        raise ConfigError(
            f"augment.crop: the head {config.model.head!r} aligns corners, so that a side of crops has to be 1 modulo "
            f"{stride}, got {crop}; the nearest is {stride * round((crop - 1) / stride) + 1}"
        )
    if head.norms and fit.batch_size == 1:
        raise ConfigError(
            f"fit.batch_size: the head {config.model.head!r} trains batch norms on means of whole images; one has no "
            "variance; take at least 2"
        )
    if head.norms and not fit.drop_last and examples % fit.batch_size == 1:
        raise ConfigError(
            f"fit.batch_size: of {examples} images the last batch of {fit.batch_size} would have one, and the head "
            f"{config.model.head!r} trains batch norms; set fit.drop_last to true, or take another batch_size"
        )


def shapes_for(head: Head, backbone: Backbone) -> Shapes:
    """Return channels and stride of what a head sees of a backbone; the last are the features.

    Raises:
        ConfigError: If the head sees levels, and the backbone gives less than two.
    """
    features = [(backbone.channels, backbone.stride)]
    if not head.levels:
        return features
    levels = backbone.level_shapes()
    if len(levels) < 2:
        raise ConfigError(f"model.head: needs the level before the last, and the backbone gives {len(levels)}")
    return levels + features


def check_head(config: SegmenterConfig) -> None:
    """Raise ``ConfigError`` unless there is such a head."""
    if config.head not in HEADS:
        raise ConfigError(f"model.head: there is no {config.head!r}; there are {', '.join(map(repr, HEADS))}")


def read_segmenter(file: ModelFile) -> Segmenter:
    """Return the segmenter that a file's header describes, without its weights."""
    config = segmenter_config(file.header["model"])
    check_head(config)
    found, labels = HEADS[config.head], class_count(file.header) + 1
    config = replace(config, hidden=config.hidden or found.hidden, dilations=config.dilations or found.dilations)
    backbone = read_backbone(file, file.header["model"]["backbone"])
    shapes = shapes_for(found, backbone)

    def head() -> nn.Module:
        return found.build(config, shapes, labels)

    file.check_part("head", head)
    return _assembled(config, backbone, head(), _read_reasoning(file, config, backbone))


def _read_reasoning(file: ModelFile, config: SegmenterConfig, backbone: Backbone) -> Reasoning | None:
    """Return the layer that a file's header describes, for vectors of the width that the file's have."""
    if config.reasoning.kind == "none":
        return None

    def build() -> Reasoning:
        return reasoning_for(config, backbone, ClassNodes.as_in(file, "reasoning.gcn"))

    file.check_part("reasoning", build)
    return build()


def segmenter_config(settings: dict[str, Any]) -> SegmenterConfig:
    """Return the configuration that ``asdict`` made plain."""
    made = ("backbone", "dilations", "hidden", "multi_scale", "reasoning")
    rest = {name: value for name, value in settings.items() if name not in made}
    return SegmenterConfig(
        backbone=BackboneConfig(**settings["backbone"]),
        dilations=tuple(map(index, settings["dilations"])),
        hidden=index(settings["hidden"]),
        multi_scale=tuple(map(float, settings.get("multi_scale", ()))),  # absent from older files
        reasoning=reasoning_config(settings.get("reasoning", {})),
        **rest,
    )


def reasoning_config(settings: dict[str, Any]) -> ReasoningConfig:
    """Return the configuration that ``asdict`` made plain; of nothing, as in older files, that of no reasoning."""
    if not settings:
        return ReasoningConfig()
    made = {"class_graph": ClassGraphConfig(**settings["class_graph"]), "widths": tuple(map(index, settings["widths"]))}
    return ReasoningConfig(**{**settings, **made})


SEGMENTERS: dict[str, Builder[Segmenter]] = {"segmenter": read_segmenter}
