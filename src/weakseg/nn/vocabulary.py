"""A classifier for any words of ImageNet, without training."""

import logging
from collections.abc import Sequence
from functools import lru_cache

import torch

from weakseg.data.knowledge.imagenet_words import find_word
from weakseg.nn.classifiers import GroupClassifier, TagClassifier, build_imagenet_classifier
from weakseg.settings.group import parameter_free
from weakseg.settings.group_classify import GroupHeadConfig

logger = logging.getLogger(__name__)


def build_word_classifier(tags: Sequence[str]) -> TagClassifier:
    """Return the embedded classifier for some tags, in their order; a tag of several classes has their mean weight.

    The last one is kept, and the same in every call; the log says what a tag is taken for that is no name of one class.

    Raises:
        DataError: If a tag stands for no class of ImageNet.
    """
    return _word_classifier(tuple(tags))


@lru_cache(maxsize=1)
def _word_classifier(tags: tuple[str, ...]) -> TagClassifier:
    words = [find_word(tag) for tag in tags]
    for word in words:
        if not word.is_name:
            logger.info("%s", word.explanation)
    source = build_imagenet_classifier()
    model = TagClassifier(source.backbone, len(tags))
    model.head.weight.data.copy_(torch.stack([source.head.weight.data[list(w.meaning.classes)].mean(0) for w in words]))
    return model.eval()


def build_word_group(tags: Sequence[str]) -> GroupClassifier:
    """Return the classifier of ``build_word_classifier`` for groups; what images tell each other is not learned."""
    words = build_word_classifier(tags)
    model = GroupClassifier(words.backbone, len(tags), GroupHeadConfig(graph=parameter_free()))
    model.head = model.readout = words.head
    return model.eval()
