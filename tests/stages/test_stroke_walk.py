"""Seeds of strokes by walks, colours and cuts, on generated photographs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from weakseg.data.annotations import Drawn, Point, Scribble
from weakseg.errors import ConfigError
from weakseg.ops.resample import block_means, image_tensor
from weakseg.settings.stroke_seeds import StrokeSeedConfig
from weakseg.settings.stroke_walk import StrokeWalkConfig
from weakseg.stages.stroke_walk import (
    RATIO_LIMIT,
    cell_seeds,
    color_evidence,
    cut_labels,
    log_likelihood,
    mark_strokes,
    walk_graph_of,
    walk_labels,
    walk_seeds,
)

SIZE = (96, 128)
STROKES, WALK = StrokeSeedConfig(), StrokeWalkConfig()
Labels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def scene() -> tuple[NDArray[np.uint8], Labels]:
    """A noisy grey photograph with a red disc, label 1, and a blue square, label 2."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    truth = np.zeros(SIZE, np.uint8)
    truth[(rows - 40) ** 2 + (columns - 40) ** 2 < 24**2] = 1
    truth[50:86, 80:116] = 2
    colors = np.array([[120, 120, 110], [200, 60, 50], [50, 70, 190]])
    noise = np.random.default_rng(0).normal(0, 12, (*SIZE, 3))
    return np.clip(colors[truth] + noise, 0, 255).astype(np.uint8), truth


def line(label: int, *path: tuple[float, float]) -> Scribble:
    return Scribble(label, path)


def iou(found: Labels, truth: Labels, label: int) -> float:
    return float(((found == label) & (truth == label)).sum() / ((found == label) | (truth == label)).sum())


BOTH = (line(1, (30.0, 40.0), (50.0, 40.0)), line(2, (60.0, 90.0), (75.0, 105.0)))


def test_short_strokes_reach_their_objects_and_no_further(scene: tuple[NDArray[np.uint8], Labels]) -> None:
    image, truth = scene
    found = walk_seeds(Drawn(scribbles=BOTH), image, STROKES, WALK).labels
    assert iou(found, truth, 1) > 0.9 and iou(found, truth, 2) > 0.9
    assert set(np.unique(found)) == {0, 1, 2}


def test_clicks_do_too_and_those_outside_say_nothing(scene: tuple[NDArray[np.uint8], Labels]) -> None:
    image, truth = scene
    clicks = (Point(1, 40.5, 40.5), Point(2, 68.5, 98.5))
    found = walk_seeds(Drawn(points=clicks), image, STROKES, WALK).labels
    assert iou(found, truth, 1) > 0.85 and iou(found, truth, 2) > 0.85
    stray = walk_seeds(Drawn(points=(*clicks, Point(3, 500.0, 3.0))), image, STROKES, WALK).labels
    assert np.array_equal(stray, found)
    assert (walk_seeds(Drawn(points=(Point(1, -1.0, -1.0),)), image, STROKES, WALK).labels == 255).all()


def test_points_reach_further_than_strokes(scene: tuple[NDArray[np.uint8], Labels]) -> None:
    plain = replace(WALK, cuts=0, iterations=0)
    clicks = Drawn(points=(Point(1, 40.5, 40.5),))
    area = {
        share: (walk_seeds(clicks, scene[0], STROKES, replace(plain, point_share=share)).labels == 1).sum()
        for share in (0.05, 0.4)
    }
    assert area[0.05] > area[0.4]
    beside = Drawn(points=clicks.points, scribbles=(line(0, (5.0, 5.0), (5.0, 90.0)),))
    one, other = (walk_seeds(beside, scene[0], STROKES, replace(plain, point_share=share)) for share in (0.05, 0.4))
    assert np.array_equal(one.labels, other.labels)


def test_what_is_drawn_stays_and_a_kept_graph_gives_the_same(scene: tuple[NDArray[np.uint8], Labels]) -> None:
    image, _ = scene
    wrong = Drawn(scribbles=(*BOTH, line(2, (5.0, 60.0), (5.0, 70.0))))
    found = walk_seeds(wrong, image, STROKES, WALK).labels
    assert (found[5, 60:70] == 2).all()
    again = walk_seeds(wrong, image, STROKES, WALK, graph=walk_graph_of(image, WALK)).labels
    assert np.array_equal(again, found)


def test_a_stroke_on_the_background_alone(scene: tuple[NDArray[np.uint8], Labels]) -> None:
    found = walk_seeds(Drawn(scribbles=(line(0, (5.0, 5.0), (5.0, 90.0)),)), scene[0], STROKES, WALK).labels
    assert (found == 0).all()


def test_a_large_photograph_is_worked_on_reduced(scene: tuple[NDArray[np.uint8], Labels]) -> None:
    image, truth = (np.kron(part, np.ones((3, 3, 1)[: part.ndim], np.uint8)) for part in scene)
    strokes = tuple(Scribble(one.class_id, tuple((3 * r, 3 * c) for r, c in one.path)) for one in BOTH)
    small = replace(WALK, graph=replace(WALK.graph, max_side=128))
    found = walk_seeds(Drawn(scribbles=strokes), image, STROKES, small).labels
    assert found.shape == truth.shape and iou(found, truth, 1) > 0.85


class TestMarks:
    """What is sure before the walk."""

    def test_the_border_is_background_but_not_beside_an_object(self) -> None:
        drawn = Drawn(scribbles=(line(1, (20.0, 2.0), (40.0, 2.0)),))
        marks = mark_strokes(drawn, SIZE, STROKES, WALK)
        assert marks[30, 0] != 0 and (marks[:, -1] == 0).all() and (marks[95] == 0).all()
        assert (marks[30, 1:4] == 1).any()
        without = mark_strokes(drawn, SIZE, STROKES, replace(WALK, border=False))
        assert not (without == 0).any()

    def test_points_are_discs_under_strokes(self) -> None:
        drawn = Drawn(points=(Point(1, 40.5, 40.5),), scribbles=(line(2, (40.5, 41.5), (40.5, 60.0)),))
        config = replace(WALK, point_radius=0.04, border=False)
        marks = mark_strokes(drawn, SIZE, replace(STROKES, width=1.0), config)
        area = np.pi * (0.04 * 128) ** 2
        assert abs((marks == 1).sum() - area) < 0.2 * area and marks[40, 44] == 2

    def test_discs_of_two_labels_leave_open_what_they_share(self) -> None:
        drawn = Drawn(points=(Point(1, 40.5, 40.5), Point(2, 40.5, 42.5)))
        marks = mark_strokes(drawn, SIZE, STROKES, replace(WALK, point_radius=0.04, border=False))
        assert {1, 2, 255} == set(np.unique(marks[40, 36:48]))

    def test_cells_take_the_most_frequent_label(self) -> None:
        annotated = np.full((8, 8), 255, np.uint8)
        annotated[0, :3], annotated[1, 0], annotated[7, 7] = 3, 1, 1
        assert cell_seeds(annotated, [0, 1, 3], (2, 2), 4.0).tolist() == [2, 255, 255, 1]


class TestWalk:
    """Probabilities."""

    def test_they_sum_to_one_and_hold_the_seeds(self, scene: tuple[NDArray[np.uint8], Labels]) -> None:
        image, truth = scene
        graph = walk_graph_of(image, WALK)
        seeds = cell_seeds(mark_strokes(Drawn(scribbles=BOTH), SIZE, STROKES, WALK), [0, 1, 2], graph.size, 4.0)
        probs = walk_labels(graph, block_means(image_tensor(image), 4), seeds, 3, WALK)
        assert torch.allclose(probs.sum(1), torch.ones(len(probs), dtype=torch.float64))
        assert (probs.argmax(1).numpy() == seeds)[seeds != 255].all()
        cells = truth[2::4, 2::4].ravel()
        assert (probs.argmax(1).numpy() == cells).mean() > 0.93

    def test_objects_reach_further_the_smaller_the_share(self, scene: tuple[NDArray[np.uint8], Labels]) -> None:
        image, _ = scene
        graph = walk_graph_of(image, WALK)
        seeds = cell_seeds(mark_strokes(Drawn(scribbles=BOTH), SIZE, STROKES, WALK), [0, 1, 2], graph.size, 4.0)
        colors = block_means(image_tensor(image), 4)
        shares = [replace(WALK, background_share=share, iterations=0) for share in (0.02, 0.3)]
        far, near = (walk_labels(graph, colors, seeds, 3, config)[:, 0].sum() for config in shares)
        assert far < near


class TestColors:
    """Likelihoods of colours."""

    def test_one_cluster_is_the_gaussian_of_the_sample(self) -> None:
        sample = np.random.default_rng(1).normal(50, 5, (200, 3))
        point = np.array([[48.0, 52.0, 49.0]])
        covariance = np.cov(sample.T, bias=True) + 20.0 * np.eye(3)
        apart = point[0] - sample.mean(0)
        wanted = -0.5 * apart @ np.linalg.inv(covariance) @ apart - 0.5 * np.log(np.linalg.det(covariance))
        assert log_likelihood(point, sample, 1)[0] == pytest.approx(wanted, abs=1e-6)

    def test_two_clusters_mix(self) -> None:
        sample = np.concatenate([np.full((30, 3), 10.0), np.full((10, 3), 80.0)])
        low, high = log_likelihood(np.array([[10.0] * 3, [80.0] * 3]), sample, 2)
        assert low - high == pytest.approx(np.log(3), abs=1e-6)

    def test_evidence_is_bounded_and_a_label_of_no_cell_has_the_bound(self) -> None:
        lab = np.concatenate([np.zeros((20, 3)), np.full((20, 3), 90.0)])
        found = color_evidence(lab, np.repeat([0, 2], 20), 3, WALK)
        assert found.max() == 0 and found.min() == -RATIO_LIMIT and (found[:, 1] == -RATIO_LIMIT).all()
        assert (found[:20, 0] == 0).all() and (found[20:, 2] == 0).all()

    def test_a_single_cell_is_enough(self) -> None:
        assert np.isfinite(log_likelihood(np.zeros((4, 3)), np.ones((1, 3)), 5)).all()


class TestCut:
    """GrabCut of each object."""

    def test_none_keeps_the_most_probable_label(self) -> None:
        maps = torch.tensor([[[0.6, 0.1]], [[0.4, 0.9]]])
        found = cut_labels(maps, np.zeros((1, 2, 3), np.uint8), np.full((1, 2), 255, np.uint8), [0, 7], 0)
        assert found.tolist() == [[0, 7]]

    def test_it_mends_a_rough_start_and_keeps_sure_pixels(self, scene: tuple[NDArray[np.uint8], Labels]) -> None:
        image, truth = scene
        rough = np.zeros(SIZE, bool)
        rough[20:64, 22:50] = True
        maps = torch.from_numpy(np.stack([~rough, rough]).astype(np.float32) * 0.8 + 0.1)
        sure = np.full(SIZE, 255, np.uint8)
        sure[0], sure[40, 40], sure[90, 10] = 0, 1, 1
        found = cut_labels(maps, image, sure, [0, 1], 2)
        assert iou(found, (truth == 1).astype(np.uint8), 1) > iou(rough.astype(np.uint8), truth, 1) + 0.1
        assert (found[0] == 0).all() and found[40, 40] == 1 and found[90, 10] == 1


@pytest.mark.parametrize(
    ("name", "value"), [("background_share", 0.0), ("border_gap", 2.0), ("components", 0), ("cuts", -1)]
)
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"seeds.walk.{name}"):
        StrokeWalkConfig(**{name: value})  # type: ignore[arg-type]
