"""Words and the classes of ImageNet: names, what is above them in WordNet, and what people say."""

import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.knowledge.imagenet_words import class_name, find_word, imagenet_words, look_up, unknown_word
from weakseg.errors import DataError


def names(tag: str) -> list[str]:
    """Of the classes that a tag is taken for."""
    return [class_name(index) for index in find_word(tag).meaning.classes]


class TestNames:
    @pytest.mark.parametrize("tag", ["tabby cat", "Tabby_Cat", "  tabby   CAT ", "tabby cats"])
    def test_a_name_is_one_class(self, tag: str) -> None:
        assert find_word(tag).meaning.classes == (281,)  # ImageNet 281: tabby, tabby cat

    def test_it_is_said_not_to_need_an_explanation(self) -> None:
        assert find_word("tabby cat").is_name and not find_word("tabby cats").is_name
        assert not find_word("sheep").is_name and not find_word("crane").is_name

    def test_a_name_wins_over_what_is_below_the_word(self) -> None:
        assert find_word("cup").meaning.classes == (968,)  # not "measuring cup" as well

    def test_a_name_of_two_classes_is_both(self) -> None:
        word = find_word("crane")
        assert word.meaning.classes == (134, 517)  # the bird and the machine
        assert "wading bird" in word.meaning.gloss and "; or lifts and moves heavy objects" in word.meaning.gloss

    def test_they_are_those_of_timm(self) -> None:
        from timm.data.imagenet_info import ImageNetInfo

        info = ImageNetInfo("imagenet-1k")
        assert [class_name(i) for i in range(1000)] == [
            info.index_to_description(i).lower().split(", ")[0] for i in range(1000)
        ]


class TestMoreGeneralWords:
    @pytest.mark.parametrize(
        ("tag", "found"),
        [
            ("motorcycle", ["moped"]),
            ("aeroplane", ["airliner"]),
            ("sheep", ["ram"]),
            ("horse", ["sorrel"]),
            ("cow", ["ox"]),
            ("tvmonitor", ["television"]),
            ("coffee", ["espresso"]),
            ("bicycles", ["bicycle-built-for-two", "mountain bike"]),
            ("bike", ["bicycle-built-for-two", "mountain bike"]),  # two classes, and a motorcycle is one
        ],
    )
    def test_they_are_all_that_is_below(self, tag: str, found: list[str]) -> None:
        assert names(tag) == found

    def test_counts_of_kinds_of_wordnet(self) -> None:
        """By the database: 118 of the classes are dogs, of 190 sets of synonyms from "dog" downwards."""
        dog, bird = find_word("dog").meaning, find_word("bird").meaning
        assert (len(dog.classes), dog.kinds) == (118, 190) and set(dog.classes) == set(range(151, 269))
        assert len(bird.classes) == 59 and "warm-blooded egg-laying" in bird.gloss
        assert len(find_word("animal").meaning.classes) == 398 and len(find_word("entity").meaning.classes) == 1000

    def test_no_hot_dog_is_a_dog_and_no_lemur_a_cat(self) -> None:
        assert "hotdog" not in names("dog") and "madagascar cat" not in names("cat")

    def test_what_else_is_meant_is_said(self) -> None:
        said = find_word("cats").explanation
        assert said.startswith("'cats' is looked up as 'cat' and stands for 7 classes: tabby, tiger cat, persian cat, ")
        assert "; it may also mean 6 classes: leopard, snow leopard, jaguar, lion, tiger, ... (any of several" in said

    def test_a_word_with_few_of_its_kinds_is_doubtful(self) -> None:
        assert find_word("person").doubt == (
            "'person': ImageNet has 3 of 10287 kinds (ballplayer, groom, scuba diver); others may be missed, and "
            "boxes, points or scribbles are surer"
        )
        assert not find_word("bird").doubt and not find_word("tabby cat").doubt


class TestUnknownWords:
    @pytest.mark.parametrize("tag", ["zzzzqq", "", "face", "\N{CAT}", "a" * 10_000])
    def test_they_are_an_error_that_says_what_to_do(self, tag: str) -> None:
        assert look_up(tag) is None
        with pytest.raises(
            DataError, match=r"^tag .*stands for nothing in ImageNet.*; draw a box, points or scribbles"
        ):
            find_word(tag)

    def test_words_that_are_written_alike_are_named(self) -> None:
        assert "words written alike: zebra)" in unknown_word("zebre") and "motorcycle" in unknown_word("motorcicle")


def test_every_class_has_a_word() -> None:
    assert {index for classes in imagenet_words().values() for index in classes} == set(range(1000))
    assert all(word == word.lower() and classes for word, classes in imagenet_words().items())


@given(st.sampled_from(sorted(imagenet_words())))
def test_every_word_is_found(word: str) -> None:
    assert find_word(word).meaning.classes == imagenet_words()[word]
    assert find_word(word.upper().replace(" ", "_")).meaning.classes == imagenet_words()[word]


def test_the_notice_of_wordnet_stands_in_the_file() -> None:
    text = (resources.files("weakseg.data.knowledge") / "imagenet_words.json").read_text("utf-8")
    assert "Copyright 2011 by Princeton University" in json.loads(text)["notice"] and len(text) < 300_000
