import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weakseg.errors import DataError
from weakseg.nn.classifiers import build_imagenet_classifier
from weakseg.nn.vocabulary import build_word_classifier, build_word_group, find_word, imagenet_words


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


def test_words_of_groups_say_what_single_ones_do_and_hear_what_is_alike() -> None:
    """The state after one round: half of the own one, half of what cells of the other are attended to; by hand."""
    words, group = build_word_classifier(["tabby cat"]), build_word_group(["tabby cat"])
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        states = words.backbone(images)
        cells = states.flatten(2).mT.double()
        unit = cells / cells.norm(dim=2, keepdim=True)
        heard = torch.stack([((30 * unit[i] @ unit[1 - i].T).softmax(1) @ cells[1 - i] + cells[i]) / 2 for i in (0, 1)])
        expected = (heard @ words.head.weight.double()[:, :, 0, 0].T).mT.reshape(2, 1, *states.shape[2:])
        maps = group.class_maps(states, torch.tensor([[1, 0], [0, 1]]))
        torch.testing.assert_close(maps.intermediate, words.head(states))
        torch.testing.assert_close(maps.graph.double(), expected, atol=1e-4, rtol=1e-4)
    assert not any(module.training for module in group.modules())
