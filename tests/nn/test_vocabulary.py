import pytest
import torch

from weakseg.errors import DataError
from weakseg.nn.classifiers import build_imagenet_classifier
from weakseg.nn.vocabulary import build_word_classifier, build_word_group


def test_of_several_classes_the_best_counts_at_each_cell() -> None:
    source, model = build_imagenet_classifier(), build_word_classifier(["crane", "tabby cat"])
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        maps, logits = source.head(source.backbone(images)), source(images).logits
        birds = torch.maximum(maps[:, 134], maps[:, 517])  # the bird and the machine
        expected = torch.stack([maps[:, 281], birds], 1).relu()
        torch.testing.assert_close(model.evidence(images, (2, 1)), expected)
        both = torch.stack([torch.maximum(logits[:, 134], logits[:, 517]), logits[:, 281]], 1)
        torch.testing.assert_close(model(images).logits, both)
    assert not any(module.training for module in model.modules())


def test_word_classifier_names_the_unknown_tag() -> None:
    with pytest.raises(DataError, match="tag 'zzzzqq'"):
        build_word_classifier(["cat", "zzzzqq"])


def test_what_a_tag_is_taken_for_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    tags = ["tabby cat", "sheep", "flower"]
    with caplog.at_level("INFO"):
        assert build_word_classifier(tags) is build_word_classifier(tags)
    said = [record.getMessage().partition(" (")[0] for record in caplog.records]
    assert said == ["'sheep' stands for ram", "'flower' stands for daisy, yellow lady's slipper"]


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
