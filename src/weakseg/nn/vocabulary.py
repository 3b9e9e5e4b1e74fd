"""A classifier for any words of ImageNet, without training."""

import logging
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from weakseg.data.knowledge.imagenet_words import Word, find_word
from weakseg.nn.classifiers import GroupClassifier, TagClassifier, build_imagenet_classifier
from weakseg.settings.group import parameter_free
from weakseg.settings.group_classify import GroupHeadConfig

logger = logging.getLogger(__name__)


class WordClassifier(TagClassifier):
    """The embedded classifier for tags of several classes each: of a tag counts, at each cell, the class with most.

    Args:
        source: The classifier of all classes.
        words: Of the tags, in their order.
    """

    def __init__(self, source: TagClassifier, words: Sequence[Word]) -> None:
        classes = [index for word in words for index in word.meaning.classes]
        super().__init__(source.backbone, len(classes))
        self.head.weight.data.copy_(source.head.weight.data[classes])
        self.counts = [len(word.meaning.classes) for word in words]

    def best(self, scores: Tensor) -> Tensor:
        """Return ``(B, K, ...)`` scores of tags: of ``(B, M, ...)`` scores of classes those of the best of each."""
        return torch.stack([part.amax(1) for part in torch.split(scores, self.counts, 1)], 1)

    def pooled_logits(self, features: Tensor) -> Tensor:
        """Return ``(B, K)`` logits of tags of ``(B, C, h, w)`` features."""
        return self.best(super().pooled_logits(features))

    def evidence(self, images: Tensor, class_ids: Sequence[int]) -> Tensor:
        """Return ``(B, len(class_ids), h, w)`` evidence >= 0 of some tags (ids from 1)."""
        found = self.best(self.head(self.backbone(images)))
        return found[:, [class_id - 1 for class_id in class_ids]].relu()


def build_word_classifier(tags: Sequence[str]) -> WordClassifier:
    """Return the embedded classifier for some tags, in their order; of several classes the best counts, at each cell.

    The last one is kept, and the same in every call; the log says what a tag is taken for that is no name of one class.

    Raises:
        DataError: If a tag stands for no class of ImageNet.
    """
    return _word_classifier(tuple(tags))


@lru_cache(maxsize=1)
def _word_classifier(tags: tuple[str, ...]) -> WordClassifier:
    words = [find_word(tag) for tag in tags]
    for word in words:
        if not word.is_name:
            logger.info("%s", word.explanation)
    return WordClassifier(build_imagenet_classifier(), words).eval()


def build_word_group(tags: Sequence[str]) -> GroupClassifier:
    """Return a classifier of tags for groups; what images tell each other is not learned.

    A tag of several classes has their mean weight.
    """
    source, words = build_imagenet_classifier(), [find_word(tag) for tag in tags]
    model = GroupClassifier(source.backbone, len(tags), GroupHeadConfig(graph=parameter_free()))
    rows = torch.stack([source.head.weight.data[list(word.meaning.classes)].mean(0) for word in words])
    model.head.weight.data.copy_(rows)
    model.readout = model.head
    return model.eval()
