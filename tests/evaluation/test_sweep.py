import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import dense_reference as dense
from weakseg.errors import EvaluationError, ShapeError
from weakseg.evaluation.confusion import Confusion
from weakseg.evaluation.sweep import THRESHOLDS, ThresholdSweep

SIZE = (6, 7)
CLASSES = 4
Scene = tuple[NDArray[np.float32], tuple[int, ...], NDArray[np.uint8]]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Return scores, a part of them exactly at thresholds and equal to each other, class ids and truth with void."""
    class_ids = tuple(sorted(draw(st.sets(st.integers(1, CLASSES)))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.random((len(class_ids), *SIZE), dtype=np.float32)
    at_threshold = rng.random(scores.shape) < 0.5
    scores[at_threshold] = rng.choice(THRESHOLDS, at_threshold.sum())
    truth = rng.choice(np.array([*range(CLASSES + 1), 255], np.uint8), SIZE)
    return scores, class_ids, truth


def sweep_of(*scene_list: Scene) -> ThresholdSweep:
    sweep = ThresholdSweep(CLASSES)
    for scores, class_ids, truth in scene_list:
        sweep.add(torch.from_numpy(scores), class_ids, truth)
    return sweep


def brute_force(scene: Scene, threshold: np.float32) -> NDArray[np.int64]:
    scores, class_ids, truth = scene
    labels = dense.labels_at_threshold(scores, class_ids, threshold) if class_ids else np.zeros(SIZE, np.uint8)
    return dense.confusion_matrix(truth, labels, CLASSES)


def test_thresholds_are_those_of_the_card() -> None:
    # cam.md, 2.5: t = 0.00, 0.01, .. 0.59.
    assert len(THRESHOLDS) == 60
    np.testing.assert_array_equal(THRESHOLDS, [np.float32(i / 100) for i in range(60)])


@settings(max_examples=15)
@given(scenes())
def test_equals_brute_force_at_every_threshold(scene: Scene) -> None:
    # cam.md, oracle 10.
    for threshold, confusion in sweep_of(scene).matrices():
        np.testing.assert_array_equal(confusion.counts, brute_force(scene, np.float32(threshold)))


def test_a_score_at_the_threshold_is_background() -> None:
    # cam.md, oracle 7: foreground needs M > t.
    scene = (
        np.array([[[0.25, np.nextafter(np.float32(0.25), np.float32(1))]]], np.float32),
        (1,),
        np.ones((1, 2), np.uint8),
    )
    matrices = dict(sweep_of(scene).matrices())
    at_quarter = matrices[float(THRESHOLDS[25])].counts
    assert at_quarter[1, :2].tolist() == [1, 1]


@settings(max_examples=15)
@given(scenes(), scenes())
def test_images_add_up(first: Scene, second: Scene) -> None:
    together = dict(sweep_of(first, second).matrices())
    apart = [dict(sweep_of(scene).matrices()) for scene in (first, second)]
    for threshold, confusion in together.items():
        expected = apart[0][threshold] + apart[1][threshold]
        np.testing.assert_array_equal(confusion.counts, expected.counts)


@settings(max_examples=15)
@given(scenes())
def test_halves_of_an_image_add_up(scene: Scene) -> None:
    scores, ids, truth = scene
    halves = sweep_of((scores[:, :2], ids, truth[:2]), (scores[:, 2:], ids, truth[2:]))
    np.testing.assert_array_equal(halves.counts, sweep_of(scene).counts)


@settings(max_examples=15)
@given(scenes())
def test_foreground_shrinks_as_the_threshold_rises(scene: Scene) -> None:
    # cam.md, oracle 11.
    foreground = [confusion.counts[:, 1:-1].sum() for _, confusion in sweep_of(scene).matrices()]
    assert foreground == sorted(foreground, reverse=True)


@settings(max_examples=15)
@given(scenes())
def test_best_is_the_best(scene: Scene) -> None:
    sweep = sweep_of(scene)
    threshold, confusion = sweep.best()
    values = {t: np.nan_to_num(c.mean_iou()) for t, c in sweep.matrices()}
    assert np.nan_to_num(confusion.mean_iou()) == max(values.values()) == values[threshold]
    assert threshold == min(t for t, value in values.items() if value == max(values.values()))


def test_an_image_without_tags_is_all_background() -> None:
    truth = np.array([[0, 1, 255]], np.uint8)
    sweep = ThresholdSweep(1)
    sweep.add(torch.zeros(0, 1, 3), (), truth)
    for _, confusion in sweep.matrices():
        np.testing.assert_array_equal(confusion.counts, [[1, 0, 0], [1, 0, 0]])


def test_an_image_without_prediction_is_undecided() -> None:
    truth = np.array([[0, 1, 255]], np.uint8)
    sweep = ThresholdSweep(1)
    sweep.add(None, (), truth)
    for _, confusion in sweep.matrices():
        np.testing.assert_array_equal(confusion.counts, Confusion.of(truth, np.full_like(truth, 255), 1).counts)
    assert sweep.best()[1].coverage == 0


def test_other_thresholds() -> None:
    sweep = ThresholdSweep(1, np.array([0.2, 0.7], np.float32))
    sweep.add(torch.tensor([[[0.1, 0.5, 0.9]]]), (1,), np.array([[1, 1, 1]], np.uint8))
    assert [confusion.counts[1, 1] for _, confusion in sweep.matrices()] == [2, 1]


def test_half_precision_scores() -> None:
    sweep = ThresholdSweep(1)
    sweep.add(torch.tensor([[[0.5, 0.25]]], dtype=torch.float16), (1,), np.array([[1, 1]], np.uint8))
    assert [c.counts[1, 1] for t, c in sweep.matrices() if t in (0.25, 0.5)] == [1, 0]


class TestRefusals:
    def test_sizes_must_agree(self) -> None:
        with pytest.raises(ShapeError, match=r"scores is \(2, 3\) but truth is \(3, 2\)"):
            ThresholdSweep(1).add(torch.zeros(1, 2, 3), (1,), np.zeros((3, 2), np.uint8))

    @pytest.mark.parametrize(("class_id", "label"), [(2, 0), (1, 2), (200, 0)])
    def test_values_above_the_classes(self, class_id: int, label: int) -> None:
        with pytest.raises(EvaluationError, match=f"labels up to {max(class_id, label)} but there are 1 classes"):
            ThresholdSweep(1).add(torch.zeros(1, 1, 1), (class_id,), np.full((1, 1), label, np.uint8))
