"""From clicks to scores: a regression on cues of each cell, and another on what the first has found.

Not from a paper: the second regression sees the first one's log-odds in context, as [tu2008autocontext]; its weights
are few, and fitted on photographs with true masks by benchmarks/fit_clicks.py.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap, Scores
from weakseg.data.annotations import Drawn, Point
from weakseg.ops.labels import best_label
from weakseg.ops.resample import resize_labels
from weakseg.settings.click_odds import ClickOddsConfig
from weakseg.stages.click_cues import CUES, REGION_CUES, Place, cells_near, click_cues, region_cues
from weakseg.stages.click_maps import CellMaps, Floats
from weakseg.stages.click_weights import FIRST, SECOND, CueWeights

MOST = 4.0  # deviations from the mean that a cue is taken for at most
CLICKED = 6.0  # log-odds of what was clicked on, at least
CONFIDENT = 0.75  # probability from which a cell is a seed


def click_scores(points: Sequence[Point], maps: CellMaps, size: tuple[int, int], config: ClickOddsConfig) -> Scores:
    """Return the probability of the background and of each label that somebody clicked on, at each cell.

    Log-odds of each label against all else, ``o_l``, are those of one softmax: ``p_l ~ exp(o_l)``, ``p_0 ~ 1``.

    Args:
        points: Those in the photograph count; 0 is the background.
        maps: Of the photograph.
        size: (rows, columns) of the photograph that places are given in.
        config: Those of the maps, and the bias.
    """
    scale = [new / old for new, old in zip(maps.pixels, size, strict=True)]
    places: dict[int, list[Place]] = {}
    for point in points:
        if point.pixel(size) is not None:
            places.setdefault(point.class_id, []).append((point.row * scale[0], point.column * scale[1]))
    label_ids = (0, *sorted(set(places) - {0}))
    odds = np.zeros((len(label_ids), len(maps.lab)), np.float32)
    for index, label in enumerate(label_ids[1:], start=1):
        rest = [place for other, found in places.items() if other != label for place in found]
        odds[index] = object_odds(maps, places[label], rest, config)
    values = torch.softmax(torch.from_numpy(odds), 0).reshape(len(label_ids), *maps.grid)
    reduced = None if maps.pixels == size else maps.pixels
    return Scores(values, label_ids, size, maps.stride, reduced)


def points_along(drawn: Drawn, step: float) -> tuple[Point, ...]:
    """Return points and, of each scribble, points at equal distances of at most ``step`` pixels, both ends too."""
    found = list(drawn.points)
    for stroke in drawn.scribbles:
        path = np.asarray(stroke.path, np.float64)
        ways = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        count = int(np.ceil(ways[-1] / step)) + 1
        for way in np.linspace(0, ways[-1], count) if ways[-1] else [0.0]:
            row, column = (float(np.interp(way, ways, axis)) for axis in path.T)
            found.append(Point(stroke.class_id, row, column))
    return tuple(found)


def object_odds(maps: CellMaps, clicks: Sequence[Place], rest: Sequence[Place], config: ClickOddsConfig) -> Floats:
    """Return the ``(N,)`` log-odds that a cell is of the object; arguments as of ``click_cues``."""
    on, off = (_cells(maps, places, config) for places in (clicks, rest))
    cues = click_cues(maps, clicks, rest, config)
    first = weighted(cues, CUES, FIRST)
    cues = np.concatenate([region_cues(maps, first, on, off), cues], 1)
    odds = weighted(cues, (*REGION_CUES, *CUES), SECOND) + config.bias
    odds[off] = odds[off].clip(max=-CLICKED)
    odds[on] = odds[on].clip(min=CLICKED)
    return odds


def weighted(cues: Floats, names: Sequence[str], weights: CueWeights) -> Floats:
    """Return the ``(N,)`` log-odds of ``(N, C)`` cues by their names."""
    mean, deviation, weight = np.array([weights.cues[name] for name in names], np.float32).T
    return np.asarray(weights.bias + np.clip((cues - mean) / deviation, -MOST, MOST) @ weight, np.float32)


def confident_seeds(scores: Scores) -> LabelMap:
    """Return the best label where it is probable, else 255, at the size of the photograph."""
    best = best_label(scores.values, scores.label_ids).numpy()
    sure = np.where(scores.values.amax(0).numpy() >= CONFIDENT, best, UNDECIDED).astype(np.uint8)
    rows, columns = scores.reduced_size or scores.image_size
    pixels = sure.repeat(scores.stride or 1, 0).repeat(scores.stride or 1, 1)[:rows, :columns]
    return LabelMap(resize_labels(np.ascontiguousarray(pixels), scores.image_size))


def _cells(maps: CellMaps, places: Sequence[Place], config: ClickOddsConfig) -> NDArray[np.bool_]:
    found = np.zeros(len(maps.lab), np.bool_)
    for place in places:
        found |= cells_near(maps, place, config.point_radius)
    return found
