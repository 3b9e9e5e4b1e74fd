"""The words of ImageNet, and a classifier for any of them without training."""

import difflib
from collections.abc import Sequence
from functools import cache

import torch

from weakseg.errors import DataError
from weakseg.nn.classifiers import GroupClassifier, TagClassifier, build_imagenet_classifier
from weakseg.settings.group import parameter_free
from weakseg.settings.group_classify import GroupHeadConfig


@cache
def imagenet_words() -> dict[str, tuple[int, ...]]:
    """Return the classes (0..999) that each word means.

    A word is one of a class's names, such as ``"tabby cat"``, or the last word of the names of several, such as
    ``"cat"``, which then means all of these.
    """
    from timm.data.imagenet_info import ImageNetInfo  # timm takes seconds, which drawn labels can do without

    info = ImageNetInfo("imagenet-1k")
    exact: dict[str, tuple[int, ...]] = {}
    general: dict[str, tuple[int, ...]] = {}
    for index in range(1000):
        for name in info.index_to_description(index).lower().split(", "):
            exact[name] = (*exact.get(name, ()), index)
            general[name.split()[-1]] = (*general.get(name.split()[-1], ()), index)
    return {**{word: tuple(dict.fromkeys(indices)) for word, indices in general.items()}, **exact}


def find_word(tag: str) -> tuple[int, ...]:
    """Return the ImageNet classes that a tag means.

    Raises:
        DataError: If it is no word of ImageNet; names the closest ones.
    """
    words = imagenet_words()
    key = " ".join(tag.lower().replace("_", " ").split())
    if key not in words:
        near = difflib.get_close_matches(key, words, n=4, cutoff=0.5)
        hint = f"close ones: {', '.join(near)}" if near else "weakseg words TEXT searches the vocabulary"
        raise DataError(f"tag {tag!r}: not in the vocabulary of ImageNet; {hint}")
    return words[key]


def build_word_classifier(tags: Sequence[str]) -> TagClassifier:
    """Return the embedded classifier for some tags, in their order; a tag of several classes has their mean weight."""
    source = build_imagenet_classifier()
    rows = [source.head.weight.data[list(find_word(tag))].mean(0) for tag in tags]
    model = TagClassifier(source.backbone, len(tags))
    model.head.weight.data.copy_(torch.stack(rows))
    return model.eval()


def build_word_group(tags: Sequence[str]) -> GroupClassifier:
    """Return the classifier of ``build_word_classifier`` for groups; what images tell each other is not learned."""
    words = build_word_classifier(tags)
    model = GroupClassifier(words.backbone, len(tags), GroupHeadConfig(graph=parameter_free()))
    model.head = model.readout = words.head
    return model.eval()
