"""Photographs of the same thing in one call."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from numpy.typing import NDArray

from weakseg import Photograph, SegmentOptions, read_marks
from weakseg.errors import DataError
from weakseg.graph.image_group import complete_edges
from weakseg.nn.vocabulary import build_word_group
from weakseg.photograph.group import MOST, group_activations, grouped, seems_shown, segment_together
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.group_classify import GroupActivateConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.stages.activate_group import activate_group

NONE = CrfParams(iterations=0)
PLAIN = ActivateConfig(scales=(1.0,), max_side=128)
QUICK = SegmentOptions(activations=PLAIN, seeds=SeedConfig(crf=NONE), masks=RefineConfig(crf=NONE))
NAMES = ("cup", "spatula")


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    """A cup as it is, in the mirror, and a part of it: sizes differ."""
    image = skimage.data.coffee()[::5, ::5]
    return [image, np.ascontiguousarray(image[:, ::-1]), image[:60, 30:]]


def test_masks_are_those_of_activations_of_the_group(images: list[NDArray[np.uint8]]) -> None:
    photographs = [Photograph(image) for image in images]
    found = segment_together(photographs, NAMES, QUICK)
    given = GroupActivateConfig(scales=PLAIN.scales, max_side=PLAIN.max_side, output="graph")
    edges = complete_edges(torch.zeros(3, dtype=torch.long))
    expected = activate_group(build_word_group(NAMES), images, torch.ones(3, 2), edges, given)
    for one, photograph, activations in zip(found, photographs, expected, strict=True):
        torch.testing.assert_close(one.activations.values, activations.values)
        np.testing.assert_array_equal(one.mask, photograph.segment_shown(NAMES, one.activations, QUICK).mask)
        assert one.tags == NAMES and one.mask.any() and one.mask.shape == photograph.size
    alone = photographs[0].segment(read_marks(NAMES), QUICK)
    assert (found[0].activations.values - alone.activations.values).abs().max() > 0.02


def test_the_order_of_photographs_does_not_count(images: list[NDArray[np.uint8]]) -> None:
    photographs, model = [Photograph(image) for image in images], build_word_group(NAMES)
    found = group_activations(model, photographs, NAMES, PLAIN)
    again = group_activations(model, photographs[::-1], NAMES, PLAIN)[::-1]
    for one, other in zip(found, again, strict=True):
        torch.testing.assert_close(one.values, other.values, atol=1e-4, rtol=0)


def test_a_photograph_that_shows_something_else_is_named_and_left_alone(
    images: list[NDArray[np.uint8]], caplog: pytest.LogCaptureFixture
) -> None:
    rocket = skimage.data.rocket()[::4, ::4]
    photographs = [Photograph(image) for image in (*images, rocket)]
    model = build_word_group(("cup",))
    found = group_activations(model, photographs, ("cup",), PLAIN)
    assert [record.getMessage() for record in caplog.records] == [
        "photograph 4 of the group does not seem to show 'cup', which others show: it is segmented alone"
    ]
    alone = photographs[3].activations(("cup",), PLAIN)
    torch.testing.assert_close(found[3].values, alone.values, atol=1e-4, rtol=0)
    for one, other in zip(found, group_activations(model, photographs[:3], ("cup",), PLAIN), strict=False):
        torch.testing.assert_close(one.values, other.values, atol=1e-4, rtol=0)


def test_one_of_two_tags_is_enough_to_exchange(
    images: list[NDArray[np.uint8]], caplog: pytest.LogCaptureFixture
) -> None:
    """The rocket shows a missile, of which the cups say nothing clear; the cup's absence from it is said."""
    names = ("cup", "missile")
    photographs = [Photograph(image) for image in (*images[:2], skimage.data.rocket()[::4, ::4])]
    found = group_activations(build_word_group(names), photographs, names, PLAIN)
    (record,) = caplog.records
    assert record.getMessage() == "photograph 3 of the group does not seem to show 'cup', which others show"
    assert not torch.allclose(found[2].values, photographs[2].activations(names, PLAIN).values, atol=0.01)


def test_what_seems_shown() -> None:
    evidence = torch.tensor([[4.0, 0.9, 8.0], [4.0, 0.9, -1.0], [1.0, 0.9, 8.0], [0.9, -5.0, 8.0]])
    shown = [[True, True, True], [True, True, False], [True, True, True], [False, True, True]]
    assert seems_shown(evidence).tolist() == shown  # medians of the others: 1, 1, 4, 4; 0.9 at most; 8
    assert seems_shown(torch.tensor([[2.0], [0.4]])).tolist() == [[True], [False]]
    assert seems_shown(torch.tensor([[9.0], [0.0], [0.0]])).all()  # what one of three shows is clear to no other


def test_groups_are_of_nearly_one_size(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "weakseg")
    for count in range(2, 40):
        groups = grouped(range(count))
        assert [one for group in groups for one in group] == list(range(count))
        sizes = [len(group) for group in groups]
        assert max(sizes) <= MOST and max(sizes) - min(sizes) <= 1 and min(sizes) > 1
        assert len(groups) == -(-count // MOST)
    assert caplog.messages[0] == "9 photographs are taken in 2 groups, in their order"


def test_tiny_photographs() -> None:
    photographs = [Photograph(np.full((*size, 3), 90, np.uint8)) for size in ((1, 1), (9, 30), (40, 2))]
    found = segment_together(photographs, ["cup"], replace(QUICK, activations=ActivateConfig()))
    assert [one.mask.shape for one in found] == [(1, 1), (9, 30), (40, 2)]


def test_what_is_no_group(images: list[NDArray[np.uint8]]) -> None:
    photographs = [Photograph(image) for image in images[:2]]
    for group, tags, message in (
        (photographs[:1], ["cup"], r"need two photographs or more, .* got 1 photographs and 1 tags"),
        (photographs, [], r"a tag that all of them show; got 2 photographs and 0 tags"),
        (photographs, ["cup", "cup"], "'cup' is given more than once"),
        (photographs, ["tabby kat"], "written alike: tabby cat"),
    ):
        with pytest.raises(DataError, match=message):
            segment_together(group, tags, QUICK)
