import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import dense_reference as dense
from cases import each
from weakseg.errors import EvaluationError, ShapeError
from weakseg.evaluation.confusion import Confusion
from weakseg.settings.evaluate import UndecidedPolicy

POLICIES: tuple[UndecidedPolicy, ...] = ("error", "background", "drop")
CLASSES = 3
Labels = NDArray[np.uint8]
labels = hnp.arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 3, 255]))
decided = hnp.arrays(np.uint8, (5, 6), elements=st.integers(0, CLASSES))


def array(rows: list[list[int]]) -> Labels:
    return np.array(rows, np.uint8)


def test_card_example() -> None:
    # cam.md, oracle 8.
    confusion = Confusion.of(array([[0, 0, 1, 1], [0, 2, 2, 255]]), array([[0, 1, 1, 1], [0, 2, 0, 2]]), 2)
    np.testing.assert_array_equal(confusion.counts, [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0]])
    np.testing.assert_allclose(confusion.iou(), [0.5, 0.666667, 0.5], atol=1e-6)
    assert confusion.mean_iou() == pytest.approx(0.555556, abs=1e-6)


def test_second_card_example() -> None:
    # segmentation-stage.md, oracle 9: IoU 1/2 and 1/2.
    confusion = Confusion.of(array([[0, 1], [1, 255]]), array([[0, 1], [0, 1]]), 1)
    np.testing.assert_allclose(confusion.iou(), [0.5, 0.5])
    assert confusion.mean_iou() == 0.5
    assert confusion.pixel_accuracy() == pytest.approx(2 / 3)


@settings(max_examples=40)
@given(labels, labels)
def test_counts_equal_the_pixel_by_pixel_version(truth: Labels, prediction: Labels) -> None:
    found = Confusion.of(truth, prediction, CLASSES)
    np.testing.assert_array_equal(found.counts, dense.confusion_matrix(truth, prediction, CLASSES))


@settings(max_examples=40)
@given(labels, labels)
def test_iou_is_that_of_pixel_sets(truth: Labels, prediction: Labels) -> None:
    # With "error" an undecided pixel is in no predicted set, hence a miss of its true class alone.
    expected = [dense.class_iou(truth, prediction, class_id) for class_id in range(CLASSES + 1)]
    np.testing.assert_allclose(Confusion.of(truth, prediction, CLASSES).iou(), expected, equal_nan=True)


class TestUndecided:
    TRUTH, PREDICTION = array([[0, 0, 1, 1, 1, 1]]), array([[0, 255, 1, 1, 0, 255]])

    @pytest.mark.parametrize(
        ("policy", "iou", "accuracy"),
        [
            ("error", (1 / 3, 2 / 4), 3 / 6),  # both 255 are misses, of 0 and of 1
            ("background", (2 / 4, 2 / 4), 4 / 6),  # both 255 become 0: one right, one false positive of 0
            ("drop", (1 / 2, 2 / 3), 3 / 4),  # two pixels less
        ],
    )
    def test_three_policies(self, policy: UndecidedPolicy, iou: tuple[float, float], accuracy: float) -> None:
        confusion = Confusion.of(self.TRUTH, self.PREDICTION, 1)
        np.testing.assert_allclose(confusion.iou(policy), iou)
        assert confusion.mean_iou(policy) == pytest.approx(sum(iou) / 2)
        assert confusion.pixel_accuracy(policy) == pytest.approx(accuracy)
        assert confusion.coverage == pytest.approx(4 / 6)

    @settings(max_examples=40)
    @given(labels, labels)
    def test_background_is_the_prediction_with_zeros(self, truth: Labels, prediction: Labels) -> None:
        filled = np.where(prediction == 255, 0, prediction).astype(np.uint8)
        found = Confusion.of(truth, prediction, CLASSES).iou("background")
        np.testing.assert_allclose(found, Confusion.of(truth, filled, CLASSES).iou(), equal_nan=True)

    @settings(max_examples=40)
    @given(labels, labels)
    def test_drop_is_the_truth_with_void(self, truth: Labels, prediction: Labels) -> None:
        without = np.where(prediction == 255, 255, truth).astype(np.uint8)
        found = Confusion.of(truth, prediction, CLASSES).iou("drop")
        np.testing.assert_allclose(found, Confusion.of(without, prediction, CLASSES).iou("drop"), equal_nan=True)

    @settings(max_examples=40)
    @given(labels, decided)
    def test_policies_agree_where_all_is_decided(self, truth: Labels, prediction: Labels) -> None:
        confusion = Confusion.of(truth, prediction, CLASSES)
        for policy in POLICIES:
            np.testing.assert_allclose(confusion.iou(policy), confusion.iou(), equal_nan=True)

    @settings(max_examples=40)
    @given(labels, labels)
    def test_dropping_never_lowers_a_class(self, truth: Labels, prediction: Labels) -> None:
        confusion = Confusion.of(truth, prediction, CLASSES)
        dropped, strict = confusion.iou("drop"), confusion.iou("error")
        both = ~np.isnan(dropped) & ~np.isnan(strict)
        assert (dropped[both] >= strict[both]).all()

    def test_nothing_decided(self) -> None:
        confusion = Confusion.of(self.TRUTH, np.full_like(self.TRUTH, 255), 1)
        assert confusion.mean_iou("error") == 0
        assert confusion.pixel_accuracy("error") == 0
        assert confusion.coverage == 0
        assert math.isnan(confusion.mean_iou("drop"))

    @pytest.mark.filterwarnings("error")
    def test_nothing_left_is_no_number_and_no_warning(self) -> None:
        confusion = Confusion.of(self.TRUTH, np.full_like(self.TRUTH, 255), 1)
        assert math.isnan(confusion.pixel_accuracy("drop"))
        empty = Confusion.empty(2)
        assert all(math.isnan(v) for v in (empty.mean_iou(), empty.pixel_accuracy(), empty.coverage))

    def test_a_misspelt_policy_is_refused(self) -> None:
        with pytest.raises(EvaluationError, match="undecided policy 'ignore': expected error, background or drop"):
            Confusion.empty(1).resolved("ignore")  # type: ignore[arg-type]


def test_absent_classes_are_excluded_from_the_mean() -> None:
    # Class 2 is predicted and never true: it costs class 1 a miss, and has no IoU of its own.
    confusion = Confusion.of(array([[0, 0, 1, 1]]), array([[0, 0, 1, 2]]), 3)
    np.testing.assert_allclose(confusion.iou(), [1, 0.5, math.nan, math.nan], equal_nan=True)
    assert confusion.mean_iou() == 0.75


def test_extremes() -> None:
    # cam.md, oracle 11.
    truth = array([[0, 1, 1], [2, 2, 255]])
    assert Confusion.of(truth, truth, 2).mean_iou() == 1
    np.testing.assert_allclose(Confusion.of(truth, np.zeros_like(truth), 2).iou(), [1 / 5, 0, 0])


class TestAddition:
    """cam.md, oracle 9; segmentation-stage.md, oracle 10."""

    @settings(max_examples=40)
    @given(labels, labels)
    def test_halves_add_up(self, truth: Labels, prediction: Labels) -> None:
        halves = [Confusion.of(truth[rows], prediction[rows], CLASSES) for rows in (slice(2), slice(2, None))]
        whole = Confusion.of(truth, prediction, CLASSES)
        np.testing.assert_array_equal((halves[0] + halves[1]).counts, whole.counts)
        np.testing.assert_array_equal((halves[1] + halves[0] + Confusion.empty(CLASSES)).counts, whole.counts)

    def test_one_matrix_differs_from_the_mean_over_images(self) -> None:
        first = Confusion.of(array([[0, 1]]), array([[0, 1]]), 1)  # mean IoU 1
        second = Confusion.of(array([[0, 0, 1, 1]]), array([[0, 0, 0, 0]]), 1)  # (1/2 + 0) / 2
        assert (first.mean_iou() + second.mean_iou()) / 2 == 0.625
        # Together: background 3 / 5, class 1 / 3.
        assert (first + second).mean_iou() == pytest.approx((3 / 5 + 1 / 3) / 2)

    def test_operands_are_left_alone(self) -> None:
        first = Confusion.of(array([[0, 1]]), array([[0, 1]]), 1)
        before = first.counts.copy()
        _ = first + first
        first.iou("background")
        np.testing.assert_array_equal(first.counts, before)


class TestRefusals:
    def test_sizes_must_agree(self) -> None:
        with pytest.raises(ShapeError, match=r"truth is \(1, 2\) but prediction is \(2, 1\)"):
            Confusion.of(array([[0, 1]]), array([[0], [1]]), 1)

    @each("value", [3, 4, 100, 254])
    def test_values_above_the_classes(self, value: int) -> None:
        # Also the first value above: its column is the one of undecided pixels.
        for truth, prediction in (([[0, 1]], [[0, value]]), ([[0, value]], [[0, 1]])):
            with pytest.raises(EvaluationError, match=f"labels up to {value} but there are 2 classes"):
                Confusion.of(array(truth), array(prediction), 2)

    def test_values_under_void_do_not_matter(self) -> None:
        confusion = Confusion.of(array([[0, 255]]), array([[0, 77]]), 2)
        assert confusion.counts.sum() == 1

    def test_254_classes_leave_255_undecided(self) -> None:
        confusion = Confusion.of(array([[254, 254]]), array([[254, 255]]), 254)
        assert confusion.counts[254, 254] == confusion.counts[254, 255] == 1
