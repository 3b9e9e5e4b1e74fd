"""Strokes on a mask: what they touch follows them, what is far away stays."""

import numpy as np
import pytest
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Drawn, Point, Scribble
from weakseg.errors import ConfigError, ShapeError
from weakseg.settings.corrections import CorrectionConfig
from weakseg.stages.corrections import corrected

SIZE = (60, 90)
CONFIG = CorrectionConfig()


@pytest.fixture
def image() -> NDArray[np.uint8]:
    """Two red squares and a blue one on green, with noise."""
    pixels = np.zeros((*SIZE, 3))
    pixels[..., 1] = 130
    pixels[10:30, 10:30] = (190, 30, 30)
    pixels[10:30, 60:80] = (190, 30, 30)
    pixels[35:55, 35:55] = (30, 30, 190)
    noise = np.random.default_rng(0).normal(0, 8, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def _mask(*squares: tuple[int, int, int]) -> LabelMap:
    labels = np.zeros(SIZE, np.uint8)
    for top, left, label in squares:
        labels[top : top + 20, left : left + 20] = label
    return LabelMap(labels)


LEFT, RIGHT, BLUE = (10, 10, 1), (10, 60, 1), (35, 35, 1)


def test_a_click_on_the_rest_takes_the_part_that_it_touches_and_no_other(image: NDArray[np.uint8]) -> None:
    found = corrected(_mask(LEFT, RIGHT, BLUE), image, Drawn(points=(Point(0, 45.5, 45.5),)), CONFIG)
    assert (found.labels != _mask(LEFT, RIGHT).labels).mean() < 0.005


def test_a_click_on_an_object_gives_the_part_that_it_touches_and_no_other(image: NDArray[np.uint8]) -> None:
    found = corrected(_mask(BLUE), image, Drawn(points=(Point(1, 20.5, 70.5),)), CONFIG)
    assert (found.labels != _mask(RIGHT, BLUE).labels).mean() < 0.005  # the left one has its colours, too


def test_a_stroke_of_another_class_exchanges_the_labels(image: NDArray[np.uint8]) -> None:
    stroke = Scribble(2, ((40.0, 40.0), (50.0, 50.0)))
    found = corrected(_mask(LEFT, BLUE), image, Drawn(scribbles=(stroke,)), CONFIG)
    assert (found.labels != _mask(LEFT, (35, 35, 2)).labels).mean() < 0.01


def test_strokes_always_have_their_labels_and_agreeing_ones_change_nothing(image: NDArray[np.uint8]) -> None:
    before = _mask(LEFT)
    assert corrected(before, image, Drawn(points=(Point(1, 20, 20), Point(0, 5, 5))), CONFIG) is before
    assert corrected(before, image, Drawn(), CONFIG) is before
    both = Drawn(points=(Point(0, 20.5, 20.5), Point(1, 24.5, 24.5)))
    labels = corrected(before, image, both, CONFIG).labels
    assert labels[20, 20] == 0 and labels[24, 24] == 1


def test_a_mask_that_cannot_be_cut_gets_the_strokes_alone(image: NDArray[np.uint8]) -> None:
    whole = LabelMap(np.ones(SIZE, np.uint8))
    grey = np.full_like(image, 127)
    labels = corrected(whole, grey, Drawn(points=(Point(0, 30.5, 30.5),)), CONFIG).labels
    assert labels[30, 30] == 0


def test_large_photographs_are_cut_reduced_and_stay_large(image: NDArray[np.uint8]) -> None:
    large = np.repeat(np.repeat(image, 8, 0), 8, 1)
    mask = LabelMap(np.repeat(np.repeat(_mask(LEFT, RIGHT, BLUE).labels, 8, 0), 8, 1))
    found = corrected(mask, large, Drawn(points=(Point(0, 160.0, 560.0),)), CONFIG).labels
    wanted = np.repeat(np.repeat(_mask(LEFT, BLUE).labels, 8, 0), 8, 1)
    assert found.shape == wanted.shape and (found != wanted).mean() < 0.01


def test_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ShapeError, match="mask"):
        corrected(LabelMap(np.zeros((5, 5), np.uint8)), image, Drawn(), CONFIG)
    with pytest.raises(ConfigError, match=r"corrections\.iterations"):
        CorrectionConfig(iterations=0)


def test_the_larger_part_of_an_object_is_not_taken_away_for_a_speck(image: NDArray[np.uint8]) -> None:
    labels = _mask(BLUE).labels.copy()
    labels[2:4, 2:4] = 1
    found = corrected(LabelMap(labels), image, Drawn(points=(Point(0, 36.5, 36.5),)), CONFIG).labels
    assert found[36, 36] == 0 and (found[35:55, 35:55] == 1).mean() > 0.5


def test_a_hole_that_is_clicked_on_is_filled(image: NDArray[np.uint8]) -> None:
    labels = _mask(BLUE).labels.copy()
    labels[40:50, 40:50] = 0
    found = corrected(LabelMap(labels), image, Drawn(points=(Point(1, 45.5, 45.5),)), CONFIG).labels
    assert np.array_equal(found, _mask(BLUE).labels)
