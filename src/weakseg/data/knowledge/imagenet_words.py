"""What words stand for among the thousand classes of ImageNet: their names, and by WordNet what is above them."""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from weakseg.data.knowledge.terms import candidates, term_of
from weakseg.errors import DataError

FEW = 0.01  # of the kinds that WordNet has of a word; a classifier of less says little about the word
SHOWN = 5
LIKE = 0.75  # from there on two words may be the same, misspelt


@dataclass(frozen=True)
class Meaning:
    """One of the things that a word stands for.

    Attributes:
        classes: Of ImageNet (0..999), in increasing order.
        gloss: What WordNet says of it, cut; empty for last words of names, and of names of several classes of all.
        kinds: How many sets of synonyms WordNet has of it and below; 0 where it was not asked.
    """

    classes: tuple[int, ...]
    gloss: str = ""
    kinds: int = 0


@dataclass(frozen=True)
class Word:
    """A tag that was looked up.

    Attributes:
        tag: As it was given.
        term: What was found for it: itself, a word for the same thing, or the singular.
        meaning: What it is taken for.
        others: What else it stands for.
    """

    tag: str
    term: str
    meaning: Meaning
    others: tuple[Meaning, ...] = ()

    @property
    def is_name(self) -> bool:
        """Whether it is the name of one class, as it was given."""
        return self.term == term_of(self.tag) and len(self.meaning.classes) == 1 and not self.meaning.kinds

    @property
    def explanation(self) -> str:
        """A sentence: which classes it stands for, and what else it may mean."""
        taken = "" if self.term == term_of(self.tag) else f" is looked up as {_spoken(self.term)!r} and"
        gloss = f" ({self.meaning.gloss})" if self.meaning.gloss else ""
        others = "".join(f"; it may also mean {_listed(other.classes)} ({other.gloss})" for other in self.others)
        return f"{self.tag!r}{taken} stands for {_listed(self.meaning.classes)}{gloss}{others}"

    @property
    def doubt(self) -> str:
        """Why a mask of the word may miss what is meant; empty where nothing speaks for that."""
        classes, kinds = self.meaning.classes, self.meaning.kinds
        if len(classes) >= FEW * kinds:
            return ""
        return (
            f"{self.tag!r}: ImageNet has {len(classes)} of {kinds} kinds ({_listed(classes)}); others may be missed, "
            "and boxes, points or scribbles are surer"
        )


def look_up(tag: str) -> Word | None:
    """Return what a tag stands for; ``None`` where it, words for the same thing, and its singular are unknown.

    Names of classes come first, then what is above them in WordNet, then the last words of names. Of several senses
    that with the most classes is taken, of equal ones the more usual.

    Reference:
        [miller1995wordnet].
    """
    for term in candidates(tag, heads=False):
        if found := _meanings().get(term):
            return Word(tag, term, found[0], tuple(m for m in found[1:] if not set(m.classes) <= set(found[0].classes)))
    return None


def find_word(tag: str) -> Word:
    """Return what a tag stands for among the classes of ImageNet.

    Raises:
        DataError: If it stands for none; see ``unknown_word``.
    """
    if (found := look_up(tag)) is None:
        raise DataError(f"tag {unknown_word(tag)}")
    return found


def word_doubts(tags: Iterable[str]) -> list[str]:
    """Return why masks of some tags may miss what is meant; ``DataError`` as ``find_word``."""
    return [doubt for tag in tags if (doubt := find_word(tag).doubt)]


def unknown_word(tag: str) -> str:
    """Return a sentence that says that a word stands for nothing, which words are written alike, and what to do."""
    near = difflib.get_close_matches(" ".join(tag.lower().split()), imagenet_words(), n=4, cutoff=LIKE)
    alike = f" (words written alike: {', '.join(near)})" if near else ""
    return (
        f"{tag!r}: stands for nothing in ImageNet{alike}; draw a box, points or scribbles instead, which may have any "
        "name, or search the vocabulary by 'weakseg words TEXT'"
    )


def imagenet_words() -> dict[str, tuple[int, ...]]:
    """Return all words that are known, with spaces, and the classes (0..999) that each is taken for."""
    return {_spoken(term): meanings[0].classes for term, meanings in _meanings().items()}


def class_name(index: int) -> str:
    """Return the first name of a class of ImageNet (0..999)."""
    name: str = _content()["classes"][index][0]
    return name


@cache
def _content() -> Mapping[str, Any]:
    """Return the file that tools/imagenet_words.py makes."""
    found: Mapping[str, Any] = json.loads(
        (resources.files("weakseg.data.knowledge") / "imagenet_words.json").read_text("utf-8")
    )
    return found


@cache
def _meanings() -> dict[str, list[Meaning]]:
    """Return the meanings of each term, that which it is taken for first."""
    content = _content()
    synsets, below = content["synsets"], _classes_below(content["synsets"])
    gloss_of = {own: gloss for gloss, _, own, _ in synsets}
    names, last_words = dict[str, list[int]](), dict[str, list[int]]()
    for index, spoken in enumerate(content["classes"]):
        for term in map(term_of, spoken):
            names.setdefault(term, []).append(index)
            last_words.setdefault(term.rpartition("_")[2], []).append(index)
    found = {term: [Meaning(tuple(dict.fromkeys(indices)))] for term, indices in last_words.items()}
    above: dict[str, list[Meaning]] = {}
    for word, senses in content["words"].items():  # the usual one first, which sorting keeps
        meanings = [Meaning(below[place], synsets[place][0], synsets[place][3]) for place in senses]
        above[term_of(word)] = sorted(meanings, key=lambda meaning: -len(meaning.classes))
    exact = {
        term: [Meaning(tuple(indices), "; or ".join(gloss_of[index] for index in indices)), *above.get(term, ())]
        for term, indices in names.items()
    }
    return {**found, **above, **exact}


def _classes_below(synsets: list[Any]) -> list[tuple[int, ...]]:
    """Return the classes of each set of synonyms and of those below it; parents stand before their children."""
    found: list[set[int]] = [{own} - {-1} for _, _, own, _ in synsets]
    for place in reversed(range(len(synsets))):
        for parent in synsets[place][1]:
            found[parent] |= found[place]
    return [tuple(sorted(classes)) for classes in found]


def _spoken(term: str) -> str:
    return term.replace("_", " ")


def _listed(classes: tuple[int, ...]) -> str:
    """Return the names of some classes, of many the first ones."""
    named = ", ".join(class_name(index) for index in classes[:SHOWN])
    return f"{len(classes)} classes: {named}, ..." if len(classes) > SHOWN else named
