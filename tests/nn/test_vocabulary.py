import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weakseg.errors import DataError
from weakseg.nn.classifiers import build_imagenet_classifier
from weakseg.nn.vocabulary import build_word_classifier, find_word, imagenet_words


class TestFindWord:
    @pytest.mark.parametrize("tag", ["tabby cat", "Tabby_Cat", "  tabby   CAT "])
    def test_a_name_is_one_class(self, tag: str) -> None:
        assert find_word(tag) == (281,)  # ImageNet 281: tabby, tabby cat

    def test_an_exact_name_wins_over_the_last_word(self) -> None:
        assert find_word("cup") == (968,)  # not "measuring cup" as well

    def test_a_last_word_is_all_classes_that_end_in_it(self) -> None:
        cats = find_word("cat")
        assert {281, 282, 283, 284, 285} <= set(cats)  # tabby, tiger, Persian, Siamese, Egyptian cat
        assert list(cats) == sorted(set(cats))

    def test_a_name_of_two_classes_is_both(self) -> None:
        assert find_word("crane") == (134, 517)  # the bird and the machine

    def test_an_unknown_tag_gets_suggestions(self) -> None:
        with pytest.raises(DataError, match=r"tag 'zebre': not in the vocabulary of ImageNet; close ones: .*zebra"):
            find_word("zebre")

    @pytest.mark.parametrize("tag", ["zzzzqq", ""])
    def test_without_anything_close_the_search_is_named(self, tag: str) -> None:
        with pytest.raises(DataError, match=r"not in the vocabulary of ImageNet; weakseg words TEXT searches"):
            find_word(tag)


def test_every_class_has_a_name() -> None:
    words = imagenet_words()
    assert {index for indices in words.values() for index in indices} == set(range(1000))
    assert all(word == word.lower() and indices for word, indices in words.items())


@given(st.sampled_from(sorted(imagenet_words())))
def test_every_word_is_found(word: str) -> None:
    assert find_word(word) == imagenet_words()[word]
    assert find_word(word.upper().replace(" ", "_")) == imagenet_words()[word]


def test_word_classifier_has_the_mean_weight_of_each_word() -> None:
    source = build_imagenet_classifier()
    model = build_word_classifier(["crane", "tabby cat"])
    weights = source.head.weight.detach()
    expected = torch.stack([(weights[134] + weights[517]) / 2, weights[281]])
    torch.testing.assert_close(model.head.weight.detach(), expected)
    assert not any(module.training for module in model.modules())


def test_word_classifier_names_the_unknown_tag() -> None:
    with pytest.raises(DataError, match="tag 'zzzzqq'"):
        build_word_classifier(["cat", "zzzzqq"])
