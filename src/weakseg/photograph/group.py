"""Photographs of the same thing, which tell each other what is alike."""

import logging
import math
from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from weakseg.artifacts import Activations
from weakseg.data.knowledge.imagenet_words import word_doubts
from weakseg.errors import DataError
from weakseg.graph.image_group import group_edges
from weakseg.nn.classifiers import GroupClassifier
from weakseg.nn.vocabulary import build_word_group
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.photograph.config import SegmentOptions, group_options
from weakseg.photograph.marks import read_marks
from weakseg.photograph.photograph import Photograph
from weakseg.photograph.segmentation import Segmentation
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.group_classify import GroupActivateConfig
from weakseg.stages.activate_group import activate_group

Item = TypeVar("Item")

logger = logging.getLogger(__name__)

MOST = 8  # photographs of a group: time grows with its square
WEAK, CLEAR = 0.25, 1.0


def grouped(items: Sequence[Item]) -> list[Sequence[Item]]:
    """Return groups of ``MOST`` at most, in order and of nearly one size; where there are several, the log says so."""
    number = max(1, math.ceil(len(items) / MOST))
    if number > 1:
        logger.info("%d photographs are taken in %d groups, in their order", len(items), number)
    bounds = [round(index * len(items) / number) for index in range(number + 1)]
    return [items[first:last] for first, last in pairwise(bounds)]


def segment_together(
    photographs: Sequence[Photograph], tags: str | Sequence[str], options: SegmentOptions | None = None
) -> list[Segmentation]:
    """Return the mask of each photograph of a group, all of which show the same.

    Each cell attends to those of the other photographs by the cosine of their features, and evidence is read off the
    mean of its own features and of what it has heard; nothing of that is learned. All else is as in
    ``Photograph.segment``. A photograph that does not seem to show what the others do exchanges nothing with them; the
    log says so. Time grows with the square of the group, see ``grouped``.

    Args:
        photographs: Two or more; sizes may differ.
        tags: What each of them shows, in the vocabulary of ImageNet.
        options: Method, and settings of the stages; ``None``: ``group_options()``.

    Raises:
        DataError: If there are fewer photographs, no tag, one twice, or one that is no word of ImageNet.

    Reference:
        [li2021groupwsss], with nothing learned.
    """
    options, names = options or group_options(), read_marks(tags).names
    if len(photographs) < 2 or not names:
        raise DataError(
            f"a group: need two photographs or more, and a tag that all of them show; got {len(photographs)} "
            f"photographs and {len(names)} tags"
        )
    doubts = word_doubts(names)
    for doubt in doubts:
        logger.warning("%s", doubt)
    found = group_activations(build_word_group(names), photographs, names, options.activations)
    pairs = zip(photographs, found, strict=True)
    return [photograph.segment_shown(names, own, options, doubts=doubts) for photograph, own in pairs]


def group_activations(
    model: GroupClassifier, photographs: Sequence[Photograph], names: tuple[str, ...], config: ActivateConfig
) -> list[Activations]:
    """Return the activations of each photograph of one group; those that seem to share a tag exchange messages.

    Args:
        model: Of the names.
        photographs: Of the group.
        names: Their tags.
        config: Scales and size.
    """
    shown = seems_shown(_evidence(model, photographs, config))
    for index, (row, photograph) in enumerate(zip(shown, photographs, strict=True), start=1):
        missing = [name for name, there in zip(names, row.tolist(), strict=True) if not there]
        if missing:
            logger.warning(
                "%s does not seem to show %s, which others show%s",
                photograph.name or f"photograph {index} of the group",
                ", ".join(map(repr, missing)),
                "" if row.any() else ": it is segmented alone",
            )
    edges = group_edges(shown.float(), torch.zeros(len(photographs), dtype=torch.long))
    images = [photograph.image for photograph in photographs]
    settings = {one.name: getattr(config, one.name) for one in fields(config)}
    reading = GroupActivateConfig(**settings, output="graph")
    return activate_group(model, images, torch.ones(shown.shape), edges, reading)


def seems_shown(evidence: Tensor) -> Tensor:
    """Return which photographs seem to show which tags.

    One does not where most others are clear, their lower median being ``CLEAR`` or more, and it has less than ``WEAK``
    of that.

    Args:
        evidence: ``(n, K)`` logits of n photographs and K tags.

    Returns:
        ``(n, K)`` bool.
    """
    others = ~torch.eye(len(evidence), dtype=torch.bool)
    median = torch.stack([evidence[row].median(0).values for row in others])
    return (median < CLEAR) | (evidence >= WEAK * median)


@torch.inference_mode()
def _evidence(model: GroupClassifier, photographs: Sequence[Photograph], config: ActivateConfig) -> Tensor:
    """Return the ``(n, K)`` logits of photographs, each alone."""
    found = []
    for photograph in photographs:
        size = scaled_size(photograph.size, 1.0, max_side=config.max_side)
        pixels = image_tensor(resize_image(photograph.image, size))[None].to(model.device)
        found.append(model(pixels).logits[0])
    return torch.stack(found).cpu()
