import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dense_reference as dense
from cases import each
from weakseg.ops.ranking import average_precision, mean_average_precision

NAN = float("nan")
few_scores = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])  # few values: many ties
examples = st.lists(st.tuples(few_scores, st.sampled_from([0.0, 1.0, NAN])), min_size=1, max_size=12)


def precision_of(scores: list[float], targets: list[float]) -> float:
    return average_precision(np.array(scores), np.array(targets))


@each(
    ("scores", "targets", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], (1 / 1 + 2 / 3) / 2),  # by hand: precision at each hit
        ([0.9, 0.8], [1, 1], 1.0),
        ([0.9, 0.8, 0.7], [0, 0, 1], 1 / 3),
        ([0.5], [1], 1.0),
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], 1 / 4),  # one step for all: precision 1/4 at recall 1
        ([0.9, 0.5, 0.5], [1, 1, 0], 0.5 * 1 + 0.5 * 2 / 3),
        ([0.9, 0.8, 0.7], [NAN, 1, 0], 1.0),  # the unknown image is left out
        ([-3.0, -1.0, 4.0], [0, 1, 1], 1.0),  # logits of any sign
    ],
)
def test_exact_values(scores: list[float], targets: list[float], expected: float) -> None:
    assert precision_of(scores, targets) == pytest.approx(expected)


@each("targets", [[], [0.0, 0.0], [NAN, 0.0], [NAN]])
def test_a_class_that_no_image_shows_has_none(targets: list[float]) -> None:
    assert np.isnan(precision_of([0.5] * len(targets), targets))


@settings(max_examples=40)
@given(examples)
def test_equals_the_threshold_by_threshold_version(pairs: list[tuple[float, float]]) -> None:
    scores, targets = [list(column) for column in zip(*pairs, strict=True)]
    np.testing.assert_allclose(precision_of(scores, targets), dense.average_precision(scores, targets), equal_nan=True)


@settings(max_examples=40)
@given(examples, st.randoms())
def test_order_of_the_images_does_not_matter(pairs: list[tuple[float, float]], random: object) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    values = [precision_of(*(list(column) for column in zip(*p, strict=True))) for p in (pairs, shuffled)]
    np.testing.assert_allclose(*values, equal_nan=True)


@settings(max_examples=40)
@given(examples)
def test_only_the_order_of_the_scores_counts(pairs: list[tuple[float, float]]) -> None:
    scores, targets = (np.array(column) for column in zip(*pairs, strict=True))
    values = average_precision(scores, targets), average_precision(np.exp(3 * scores) - 7, targets)
    np.testing.assert_allclose(*values, equal_nan=True)


def test_mean_is_over_the_classes_that_occur() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.5]])
    targets = np.array([[1, 1, 0], [0, 0, NAN]])
    # Class 1: 1; class 2: the shown image comes second, 1/2; class 3: not shown.
    assert mean_average_precision(scores, targets) == pytest.approx(0.75)


def test_mean_of_nothing_is_none() -> None:
    assert np.isnan(mean_average_precision(np.zeros((0, 3)), np.zeros((0, 3))))
    assert np.isnan(mean_average_precision(np.zeros((2, 0)), np.zeros((2, 0))))


def test_inputs_are_left_alone() -> None:
    scores, targets = np.array([0.1, 0.9, 0.5]), np.array([1.0, 0.0, NAN])
    average_precision(scores, targets)
    np.testing.assert_array_equal(scores, [0.1, 0.9, 0.5])
    np.testing.assert_array_equal(targets, [1.0, 0.0, NAN])
