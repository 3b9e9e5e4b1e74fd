"""Fit the regressions that make scores of clicks (weakseg/stages/click_weights.py), and tell how they do crosswise.

    python benchmarks/fit_clicks.py --msrc /path/to/msrc --coco /path/to/coco --out weights.json

Photographs are the ``settings`` of ``clicks.py``, every second one of MSRC; each with three draws of its two clicks.
Cells of a photograph count together as much whatever the photograph's size, those of objects by the inverse root of
their share, those of COCO twice. A third of the photographs is left out each time, and scored by the others' weights:
mean IoU of cells, and how many have 0.6 or more. The second regression learns from log-odds that were made so, too.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clicks import coco_scenes, msrc_scenes, two_clicks
from first_contact import GOOD, Scene
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from weakseg.settings.click_odds import ClickOddsConfig
from weakseg.stages.click_cues import CUES, REGION_CUES, cells_near, click_cues, region_cues
from weakseg.stages.click_maps import CellMaps, cell_maps

FOLDS, SAMPLED, DRAWS, TWICE, MOST = 3, 250, 3, 2.0, 4.0
Weights = tuple[float, list[tuple[float, float, float]]]


@dataclass
class Clicked:
    """Cells of a photograph with a pair of clicks: cues, how much of each is the object, and is not looked at."""

    name: str
    of_coco: bool
    cues: NDArray[np.float32]
    truth: NDArray[np.float32]
    void: NDArray[np.float32]
    on: NDArray[np.bool_]
    off: NDArray[np.bool_]
    maps: CellMaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--msrc", type=Path, required=True)
    parser.add_argument("--coco", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    chosen = [(scene, True) for scene in coco_scenes(given.coco, "settings")]
    chosen += [(scene, False) for scene in msrc_scenes(given.msrc, "settings")[::2]]
    found = [row for scene, of_coco in chosen for row in clicked_cells(scene, of_coco)]
    told = {"first": dict(zip(("bias", "cues"), fit(found), strict=True))}
    odds = crosswise(found, "first")
    for row, before in zip(found, odds, strict=True):
        row.cues = np.concatenate([region_cues(row.maps, before, row.on, row.off), row.cues], 1)
    told["second"] = dict(zip(("bias", "cues"), fit(found), strict=True))
    crosswise(found, "second")
    for name, names in (("first", CUES), ("second", (*REGION_CUES, *CUES))):
        told[name]["cues"] = dict(zip(names, told[name]["cues"], strict=True))
    given.out.write_text(json.dumps(told, indent=1))


def clicked_cells(scene: Scene, of_coco: bool) -> list[Clicked]:
    config = ClickOddsConfig()
    maps = cell_maps(scene.image, config)
    shares = [share_of_cells(mask, maps.grid, config.stride) for mask in (scene.truth, scene.void)]
    rows = []
    for draw in range(DRAWS):
        (a, b), (c, d) = ((point.row, point.column) for point in two_clicks(scene, draw))
        on, off = (cells_near(maps, place, config.point_radius) for place in ((a, b), (c, d)))
        rows.append(Clicked(scene.id, of_coco, click_cues(maps, [(a, b)], [(c, d)], config), *shares, on, off, maps))
    return rows


def share_of_cells(mask: NDArray[np.bool_], grid: tuple[int, int], stride: int) -> NDArray[np.float32]:
    """Return the share of each cell that a mask covers."""
    parts = []
    for values in (mask, np.ones_like(mask)):
        canvas = np.zeros((grid[0] * stride, grid[1] * stride), np.float32)
        canvas[: mask.shape[0], : mask.shape[1]] = values
        parts.append(canvas.reshape(grid[0], stride, grid[1], stride).sum((1, 3)))
    return np.asarray((parts[0] / parts[1]).ravel(), np.float32)


def fit(rows: list[Clicked]) -> Weights:
    """Return the bias, and mean, deviation and weight of each cue."""
    draw = np.random.default_rng(0)
    cues, labels, counts = [], [], []
    for row in rows:
        seen = np.flatnonzero(row.void < 0.5)
        cells = draw.choice(seen, min(SAMPLED, len(seen)), replace=False)
        label = row.truth[cells] > 0.5
        share = max(0.05, float((row.truth[seen] > 0.5).mean()))
        cues.append(row.cues[cells])
        labels.append(label)
        counts.append(np.where(label, share**-0.5, 1) * (TWICE if row.of_coco else 1))
    values = np.concatenate(cues)
    mean, deviation = values.mean(0), values.std(0) + 1e-6
    away = np.clip((values - mean) / deviation, -MOST, MOST)
    model = LogisticRegression(C=1.0, max_iter=300)
    model.fit(away, np.concatenate(labels), sample_weight=np.concatenate(counts))
    table = np.stack([mean, deviation, model.coef_[0]], 1)
    return float(model.intercept_[0]), [tuple(float(f"{value:.4g}") for value in line) for line in table.tolist()]


def log_odds(row: Clicked, weights: Weights) -> NDArray[np.float32]:
    mean, deviation, weight = np.array(weights[1], np.float32).T
    return np.asarray(weights[0] + np.clip((row.cues - mean) / deviation, -MOST, MOST) @ weight, np.float32)


def crosswise(rows: list[Clicked], name: str) -> list[NDArray[np.float32]]:
    """Return log-odds by weights of other photographs, and print how good they are."""
    names = sorted({row.name for row in rows})
    fold = {one: index % FOLDS for index, one in enumerate(names)}
    found: dict[int, NDArray[np.float32]] = {}
    for left_out in range(FOLDS):
        weights = fit([row for row in rows if fold[row.name] != left_out])
        found |= {index: log_odds(row, weights) for index, row in enumerate(rows) if fold[row.name] == left_out}
    for of_coco in (False, True):
        for least in (-0.5, 0.0, 0.5):
            ious = np.array([iou(r, found[i] > least) for i, r in enumerate(rows) if r.of_coco == of_coco])
            told = {"round": name, "set": "coco" if of_coco else "msrc", "least": least, "clicks": len(ious)}
            print(json.dumps({**told, "iou": round(ious.mean(), 4), "good": int((ious >= GOOD).sum())}), flush=True)
    return [found[index] for index in range(len(rows))]


def iou(row: Clicked, inside: NDArray[np.bool_]) -> float:
    seen = 1 - row.void
    return float((seen * inside * row.truth).sum() / max(1e-6, (seen * np.maximum(inside, row.truth)).sum()))


if __name__ == "__main__":
    main()
