"""Cues and scores of clicks, on generated photographs."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.data.annotations import Drawn, Point, Scribble
from weakseg.errors import ConfigError
from weakseg.ops.labels import best_label
from weakseg.settings.click_odds import ClickOddsConfig
from weakseg.stages.click_cues import (
    CUES,
    REGION_CUES,
    SOFT_DISTANCE,
    SOFT_PATH,
    cells_near,
    click_cues,
    distances,
    farthest,
    paths,
    region_cues,
)
from weakseg.stages.click_maps import CellMaps, cell_maps, neighbours
from weakseg.stages.click_odds import CONFIDENT, click_scores, confident_seeds, object_odds, points_along, weighted
from weakseg.stages.click_weights import FIRST, SECOND, CueWeights

SIZE = (96, 130)  # the last column of cells is cut
CLICKS = ClickOddsConfig()
Labels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def scene() -> tuple[NDArray[np.uint8], Labels]:
    """A noisy grey photograph with a red disc, label 1, and a blue square, label 2."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    truth = np.zeros(SIZE, np.uint8)
    truth[(rows - 40) ** 2 + (columns - 40) ** 2 < 24**2] = 1
    truth[50:86, 80:116] = 2
    colors = np.array([[120, 120, 110], [200, 60, 50], [50, 70, 190]])
    noise = np.random.default_rng(0).normal(0, 6, (*SIZE, 3))
    return np.clip(colors[truth] + noise, 0, 255).astype(np.uint8), truth


@pytest.fixture(scope="module")
def maps(scene: tuple[NDArray[np.uint8], Labels]) -> CellMaps:
    return cell_maps(scene[0], CLICKS)


def cue(found: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    return found[:, CUES.index(name)]


def cell(maps: CellMaps, row: int, column: int) -> int:
    return row // 4 * maps.grid[1] + column // 4


class TestMaps:
    def test_neighbours_are_each_pair_once(self) -> None:
        pairs, lengths = neighbours((2, 3))
        found = {frozenset(pair) for pair in pairs.T.tolist()}
        assert len(found) == pairs.shape[1] == 2 * 2 + 3 + 2 * 2
        sides = {frozenset(p) for p in ((0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5))}
        straight = {frozenset(pair) for pair, length in zip(pairs.T.tolist(), lengths, strict=True) if length == 1}
        assert straight == sides
        np.testing.assert_allclose(lengths[lengths != 1], np.sqrt(2), rtol=1e-6)

    def test_shapes_and_norms(self, maps: CellMaps) -> None:
        assert maps.grid == (24, 33) and maps.pixels == SIZE
        assert maps.lab.shape == (24 * 33, 3) and maps.frame.sum() == 2 * (24 + 33) - 4
        for features in maps.features.values():
            np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-4)
        np.testing.assert_allclose((maps.classes**2).sum(0), 1, atol=1e-4)
        for costs in maps.costs.values():
            assert (costs > 0).all() and np.median(costs) == pytest.approx(1, abs=1e-4)

    def test_steps_over_an_edge_cost_more(self, maps: CellMaps, scene: tuple[NDArray[np.uint8], Labels]) -> None:
        rows, columns = (maps.places.astype(int) - 2).clip(0).T
        label = scene[1][rows, columns.clip(max=SIZE[1] - 1)]
        crossing = label[maps.pairs[0]] != label[maps.pairs[1]]
        for costs in maps.costs.values():
            assert np.median(costs[crossing]) > 1.4 * np.median(costs[~crossing])

    def test_large_photographs_are_reduced(self, scene: tuple[NDArray[np.uint8], Labels]) -> None:
        small = cell_maps(scene[0], ClickOddsConfig(max_side=64, enlarged=1.0))
        assert small.pixels == (47, 64) and small.grid == (12, 16)


class TestCues:
    def test_paths_are_shortest(self, maps: CellMaps) -> None:
        source = np.zeros(len(maps.lab), np.bool_)
        source[0] = True
        found = paths(maps, "colour", source)
        assert found[0] == 0
        costs, (one, other) = maps.costs["colour"], maps.pairs
        assert (found[other] <= found[one] + costs + 1e-4).all() and (found[one] <= found[other] + costs + 1e-4).all()
        reached = np.full(len(found), np.inf)  # the cost over the best neighbour
        np.minimum.at(reached, other, found[one] + costs)
        np.minimum.at(reached, one, found[other] + costs)
        np.testing.assert_allclose(found[1:], reached[1:], rtol=1e-4)
        assert (paths(maps, "colour", np.zeros_like(source)) == sum(maps.grid)).all()

    def test_cues_say_what_they_are_called(self, maps: CellMaps) -> None:
        found = click_cues(maps, [(40.0, 40.0)], [(10.0, 110.0)], CLICKS)
        assert found.shape == (len(maps.lab), len(CUES)) and np.isfinite(found).all()
        disc, far, beside = cell(maps, 50, 50), cell(maps, 14, 100), cell(maps, 40, 40)
        for name in ("colour path to", "both path to", "colour from", "distance to"):
            assert cue(found, f"{name} object")[disc] < cue(found, f"{name} object")[far]
            assert cue(found, f"{name} rest")[disc] > cue(found, f"{name} rest")[far]
        for name in ("level 3 like", "classes of"):
            assert cue(found, f"{name} object")[disc] > cue(found, f"{name} object")[far]
        assert cue(found, "colour path to object")[beside] == pytest.approx(np.log(SOFT_PATH))
        near = distances(maps, [(40.0, 40.0)]) / max(SIZE) + SOFT_DISTANCE
        np.testing.assert_allclose(cue(found, "distance to object"), np.log(near), rtol=1e-5)

    def test_of_several_clicks_the_nearest_counts(self, maps: CellMaps) -> None:
        one, other = ([place] for place in ((40.0, 40.0), (70.0, 100.0)))
        rest = [(10.0, 110.0)]
        both = click_cues(maps, [*one, *other], rest, CLICKS)
        alone = [click_cues(maps, places, rest, CLICKS) for places in (one, other)]
        for name in ("colour path to object", "colour from object", "distance to object"):
            np.testing.assert_allclose(cue(both, name), np.minimum(*(cue(a, name) for a in alone)), rtol=1e-5)

    def test_without_a_click_beside_the_farthest_of_the_border_counts(self, maps: CellMaps) -> None:
        on = cells_near(maps, (40.0, 40.0), CLICKS.point_radius)
        border = maps.frame & (distances(maps, [(40.0, 40.0)]) > CLICKS.border_gap * max(SIZE))
        place = farthest(maps, on, border)
        expected = click_cues(maps, [(40.0, 40.0)], [place], CLICKS)
        np.testing.assert_array_equal(click_cues(maps, [(40.0, 40.0)], [], CLICKS), expected)
        assert border[cell(maps, int(place[0]), int(place[1]))]

    def test_regions_tell_colours_and_what_leads_to_them(self, maps: CellMaps, scene: tuple[object, Labels]) -> None:
        rows, columns = (maps.places.astype(int) - 2).clip(0).T
        inside = scene[1][rows, columns.clip(max=SIZE[1] - 1)] == 1
        on = cells_near(maps, (40.0, 40.0), 0.02)
        off = cells_near(maps, (10.0, 110.0), 0.02)
        odds = np.where(inside, 3, -3).astype(np.float32)
        found = region_cues(maps, odds, on, off)
        assert found.shape == (len(odds), len(REGION_CUES)) and np.isfinite(found).all()
        for name in REGION_CUES[:-1]:
            index = REGION_CUES.index(name)
            assert found[inside, index].mean() > found[~inside, index].mean() + 0.1, name
        nothing = region_cues(maps, np.full(len(odds), -9, np.float32), on, off)
        assert np.isfinite(nothing).all()  # no cell is the object's but the clicked ones


class TestScores:
    def test_each_click_beside_corrects_the_mask(self, scene: tuple[NDArray[np.uint8], Labels], maps: CellMaps) -> None:
        points, truth, found = [Point(1, 40.0, 40.0)], scene[1] == 1, []
        for place in ((10.0, 110.0), (68.0, 98.0), (10.0, 10.0)):
            points.append(Point(0, *place))
            scores = click_scores(points, maps, SIZE, CLICKS)
            assert scores.label_ids == (0, 1) and scores.values.shape == (2, *maps.grid)
            torch.testing.assert_close(scores.values.sum(0), torch.ones(maps.grid))
            mask = best_label(scores.values, scores.label_ids).numpy().repeat(4, 0).repeat(4, 1)[:96, :130] == 1
            found.append(float((mask & truth).sum() / (mask | truth).sum()))
            assert scores.values[0].flatten()[cell(maps, int(place[0]), int(place[1]))] > 0.95
        assert found[0] < found[1] < found[2] and found[2] > 0.7
        assert scores.values[1].flatten()[cell(maps, 40, 40)] > 0.95

    def test_two_labels_part_what_both_claim(self, scene: tuple[NDArray[np.uint8], Labels], maps: CellMaps) -> None:
        points = [Point(1, 40.0, 40.0), Point(3, 68.0, 98.0), Point(0, 10.0, 110.0)]
        scores = click_scores(points, maps, SIZE, CLICKS)
        assert scores.label_ids == (0, 1, 3)
        best = best_label(scores.values, scores.label_ids).numpy().ravel()
        assert best[cell(maps, 40, 40)] == 1 and best[cell(maps, 68, 98)] == 3 and best[cell(maps, 10, 110)] == 0
        again = click_scores(points[::-1], maps, SIZE, CLICKS)
        torch.testing.assert_close(again.values, scores.values)

    def test_the_bias_lets_objects_reach_further(self, maps: CellMaps) -> None:
        places = [(40.0, 40.0)], [(10.0, 110.0)]
        areas = [(object_odds(maps, *places, ClickOddsConfig(bias=bias)) > 0).sum() for bias in (-2, 0, 2)]
        assert areas[0] <= areas[1] <= areas[2] and areas[0] < areas[2]

    def test_places_are_those_of_the_photograph(self, maps: CellMaps) -> None:
        one = click_scores([Point(1, 40.0, 40.0), Point(0, 10.0, 110.0)], maps, SIZE, CLICKS)
        twice = click_scores([Point(1, 80.0, 80.0), Point(0, 20.0, 220.0)], maps, (192, 260), CLICKS)
        torch.testing.assert_close(one.values, twice.values)
        assert twice.image_size == (192, 260) and twice.reduced_size == SIZE and one.reduced_size is None

    def test_points_outside_do_not_count(self, maps: CellMaps) -> None:
        scores = click_scores([Point(2, 500.0, 3.0), Point(0, 10.0, 10.0)], maps, SIZE, CLICKS)
        assert scores.label_ids == (0,) and (scores.values == 1).all()

    def test_seeds_are_what_is_probable(self, maps: CellMaps) -> None:
        scores = click_scores([Point(1, 40.0, 40.0), Point(0, 10.0, 110.0)], maps, SIZE, CLICKS)
        seeds = confident_seeds(scores).labels
        assert seeds.shape == SIZE
        probable = scores.values.amax(0).numpy() >= CONFIDENT
        np.testing.assert_array_equal(seeds[::4, ::4] != UNDECIDED, probable)
        assert confident_seeds(click_scores([Point(1, 9.0, 9.0)], maps, (192, 260), CLICKS)).labels.shape == (192, 260)


def test_weights_have_all_cues() -> None:
    assert set(FIRST.cues) == set(CUES) and set(SECOND.cues) == {*CUES, *REGION_CUES}
    weights = CueWeights(0.5, {"a": (1.0, 2.0, 3.0), "b": (0.0, 1.0, -1.0)})
    found = weighted(np.array([[3.0, 0.0], [1.0, 100.0]], np.float32), ("a", "b"), weights)
    np.testing.assert_allclose(found, [0.5 + 3.0, 0.5 - 4.0])  # cues count for four deviations at most


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in ({"max_side": 8}, {"enlarged": 0.0}, {"stride": 0}, {"point_radius": 2.0}, {"border_gap": -1.0}):
        with pytest.raises(ConfigError, match=f"clicks.{next(iter(wrong))}"):
            ClickOddsConfig(**wrong)


def test_a_stroke_is_a_row_of_points_with_both_ends() -> None:
    bent = Scribble(2, ((0.0, 0.0), (0.0, 30.0), (30.0, 30.0)))
    found = points_along(Drawn(points=(Point(1, 5, 5),), scribbles=(bent, Scribble(0, ((7.0, 8.0),)))), 20.0)
    assert [(one.class_id, one.row, one.column) for one in found] == [
        (1, 5, 5), (2, 0, 0), (2, 0, 20), (2, 10, 30), (2, 30, 30), (0, 7, 8),
    ]  # fmt: skip
