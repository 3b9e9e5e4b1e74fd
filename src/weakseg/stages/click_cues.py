"""What each place of a photograph has to do with clicks on an object and beside it, as numbers."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.settings.click_odds import ClickOddsConfig
from weakseg.stages.click_maps import LEVELS, CellMaps, Floats
from weakseg.stages.stroke_walk import RATIO_LIMIT, log_likelihood

Place = tuple[float, float]
SOFT_PATH, SOFT_COLOUR, SOFT_DISTANCE, SOFT_CLASS, SOFT_BASE = 3.0, 5.0, 0.02, 0.05, 0.1  # added before logarithms
PATHS = ("colour", "features", "both")
CUES = (
    *(f"{cost} path to {whom}" for cost in PATHS for whom in ("object", "rest", "border")),
    *(f"level {level} like {whom}" for level in LEVELS for whom in ("object", "rest")),
    *(f"{what} {whom}" for what in ("classes of", "colour from", "distance to") for whom in ("object", "rest")),
    "distance by that of clicks",
    "clear class",
)
REGION_PATHS, SURE = ("colour", "both"), (1.0, 2.5)  # log-odds from which cells are sources of paths
REGION_CUES = (
    "colours of the object",
    *(f"level {level} like the object" for level in LEVELS),
    *(f"{cost} path from log-odds {least:g}" for cost in REGION_PATHS for least in SURE),
    "log-odds before",
    "area before",
)
GAUSSIANS, FEWEST = 5, 20  # of colours; fewest cells that they are fitted to
MOST_ODDS = 8.0  # that count of log-odds


def click_cues(maps: CellMaps, clicks: Sequence[Place], rest: Sequence[Place], config: ClickOddsConfig) -> Floats:
    """Return the ``(N, len(CUES))`` cues of each cell.

    Paths are the shortest, over neighbours, by costs of colours and features [bai2009geodesic]; likeness is the cosine
    of features; classes are compared by the Bhattacharyya coefficient. Of several clicks the nearest or likest counts.

    Args:
        maps: Of the photograph.
        clicks: (row, column) on the object, in pixels of the reduced photograph, one at least.
        rest: The same beside it; where there is none, the place of the border that is the farthest by paths.
        config: Radius of clicks.
    """
    on, side = [cells_near(maps, place, config.point_radius) for place in clicks], max(maps.pixels)
    away = distances(maps, clicks)
    border = maps.frame & (away > config.border_gap * side)
    if not rest:
        rest = [farthest(maps, np.logical_or.reduce(on), border)]
    off = [cells_near(maps, place, config.point_radius) for place in rest]
    sources = [np.logical_or.reduce(on), np.logical_or.reduce(off), border]
    found = [np.log(paths(maps, cost, cells) + SOFT_PATH) for cost in PATHS for cells in sources]
    for level in LEVELS:
        found += [_likeness(maps.features[level], parts) for parts in (on, off)]
    found += [_common_classes(maps, places) for places in (clicks, rest)]
    found += [np.log(_colour_distance(maps.lab, parts) + SOFT_COLOUR) for parts in (on, off)]
    found += [np.log(far / side + SOFT_DISTANCE) for far in (away, distances(maps, rest))]
    apart = np.mean([min(np.hypot(a - c, b - d) for c, d in rest) for a, b in clicks])
    found += [np.log(away / max(float(apart), 1.0) + SOFT_BASE), maps.clear]
    return np.stack(found, 1).astype(np.float32)


def region_cues(maps: CellMaps, odds: Floats, on: NDArray[np.bool_], off: NDArray[np.bool_]) -> Floats:
    """Return the ``(N, len(REGION_CUES))`` cues of each cell that a first estimate of the object gives.

    Args:
        maps: Of the photograph.
        odds: ``(N,)`` log-odds of the object.
        on: ``(N,)`` cells of clicks on it.
        off: The same beside it.
    """
    inside = (1 / (1 + np.exp(-odds))).astype(np.float64)
    inside[off], inside[on] = 0, 1
    found: list[NDArray[np.floating]] = [_alike(maps.lab.astype(np.float64), inside)]
    for level in LEVELS:
        features = maps.features[level]
        means = [_unit(weights @ features) for weights in ((inside - 0.5).clip(0), (0.5 - inside).clip(0))]
        found.append(features @ (means[0] - means[1]).astype(np.float32))
    for cost, least in ((cost, least) for cost in REGION_PATHS for least in SURE):
        away = [np.log(paths(maps, cost, cells) + 1) for cells in (on | (odds > least), off | (odds < -least))]
        found.append(away[1] - away[0])
    found += [np.clip(odds, -MOST_ODDS, MOST_ODDS), np.full(len(odds), np.log(inside.mean() + 1e-4))]
    return np.stack(found, 1).astype(np.float32)


def _alike(lab: NDArray[np.float64], inside: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-ratio of likelihoods of colours in the object and beside it, bounded; 0 where one is empty."""
    of_object, order, few = inside > 0.5, np.argsort(inside, kind="stable"), min(FEWEST, len(inside) // 2)
    if of_object.sum() < few:
        of_object[order[len(order) - few :]] = True
    if (~of_object).sum() < few:
        of_object[order[:few]] = False
    if not of_object.any() or of_object.all():
        return np.zeros(len(lab))
    found = log_likelihood(lab, lab[of_object], GAUSSIANS) - log_likelihood(lab, lab[~of_object], GAUSSIANS)
    return np.clip(found, -RATIO_LIMIT, RATIO_LIMIT)


def _unit(vector: NDArray[np.floating]) -> NDArray[np.floating]:
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


def distances(maps: CellMaps, places: Sequence[Place]) -> Floats:
    """Return how far each cell is from the nearest of some places, in pixels."""
    far = [np.hypot(*(maps.places - np.asarray(place, np.float32)).T) for place in places]
    return np.asarray(np.min(far, 0), np.float32)


def cells_near(maps: CellMaps, place: Place, radius: float) -> NDArray[np.bool_]:
    """Return the cells within a share of the long side from a place, the nearest at least."""
    far = distances(maps, [place])
    near: NDArray[np.bool_] = far <= max(0.75 * maps.stride, radius * max(maps.pixels))
    near[far.argmin()] = True
    return near


def paths(maps: CellMaps, cost: str, sources: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the cost of the cheapest path from each cell to a source; that of a long way where there is none."""
    from scipy.sparse import csr_array  # takes a while, which boxes can do without
    from scipy.sparse.csgraph import dijkstra

    count = len(sources)
    if not sources.any():
        return np.full(count, float(sum(maps.grid)))
    graph = csr_array((maps.costs[cost], (maps.pairs[0], maps.pairs[1])), shape=(count, count))
    found = dijkstra(graph, directed=False, indices=np.flatnonzero(sources), min_only=True)
    return np.asarray(np.where(np.isfinite(found), found, float(sum(maps.grid))))


def farthest(maps: CellMaps, sources: NDArray[np.bool_], among: NDArray[np.bool_]) -> Place:
    """Return the middle of the cell, among some or else all, that paths reach last."""
    far = paths(maps, "both", sources)
    row, column = maps.places[int(np.argmax(np.where(among, far, -1) if among.any() else far))].tolist()
    return row, column


def _likeness(features: Floats, parts: Sequence[NDArray[np.bool_]]) -> Floats:
    means = np.stack([features[cells].mean(0) for cells in parts], 1)
    means /= np.linalg.norm(means, axis=0, keepdims=True).clip(1e-6)
    return np.asarray((features @ means).max(1), np.float32)


def _colour_distance(lab: Floats, parts: Sequence[NDArray[np.bool_]]) -> Floats:
    found = [np.linalg.norm(lab - lab[cells].mean(0), axis=1) for cells in parts]
    return np.asarray(np.min(found, 0), np.float32)


def _common_classes(maps: CellMaps, places: Sequence[Place]) -> Floats:
    """Return the logarithm of how far each cell has the classes of the likest of some places."""
    _, rows, columns = maps.classes.shape
    at = [
        min(rows - 1, int(row / maps.pixels[0] * rows)) * columns
        + min(columns - 1, int(column / maps.pixels[1] * columns))
        for row, column in places
    ]
    flat = maps.classes.reshape(len(maps.classes), -1)
    common = np.log((flat[:, at].T @ flat).max(0).reshape(rows, columns) + SOFT_CLASS)
    return np.asarray(cv2.resize(common, maps.grid[::-1], interpolation=cv2.INTER_LINEAR).ravel(), np.float32)
