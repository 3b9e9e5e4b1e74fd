"""One click on an object, one beside it: the mask of one photograph, by a rule that was written before any result.

    python benchmarks/clicks.py --msrc /path/to/msrc --coco /path/to/coco [--part test] [--draw 0]

A photograph counts if its largest object has 5 to 60 % of its pixels, reduced to a long side of 320. Photographs are
taken in an order drawn at random once, by their ids:

- ``test``: the first 25 of MSRC's ``val``, which no setting was ever chosen on, and, as a second and harder set, the
  first 25 of the half of COCO that ``first_contact.py`` reports on;
- ``settings``: the first 120 of MSRC's ``fit``, and all of the other half of COCO.

Draw 0 clicks at the deepest point of the object, and at the deepest point of what is not the object within a band
around the object's box, a quarter of the box's longer side wide and inside of the photograph. Draws 1, 2, ... click at
random where that depth is at least half of the greatest, so that settings do not fit one position. ``--more N`` adds N
further clicks, each at the deepest point of what is wrong so far, as a person would correct the mask.

What the truth leaves out (void, a fifth of MSRC) is not looked at; the same with void as background is told beside it
(``of_all``). Prints and appends one JSON line a set to benchmarks/results/clicks.jsonl: mean IoU, how many have
IoU >= 0.6, and the area under the ROC curve of that by reliability. ``--each FILE`` writes one line a photograph,
``--pictures DIR`` one picture each.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from first_contact import GOOD, Mask, Scene, of_coco, scenes
from numpy.typing import NDArray
from PIL import Image
from rows import append_rows
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from weakseg import Photograph
from weakseg.data.annotations import Drawn, Point
from weakseg.data.config import DataConfig
from weakseg.photograph.config import SegmentOptions
from weakseg.photograph.marks import Marks
from weakseg.photograph.overlay import draw_labels
from weakseg.photograph.segmentation import Segmentation
from weakseg.rng import derive_seed, numpy_generator_for

SHARE, BAND, NEAR_DEEPEST = (0.05, 0.60), 0.25, 0.5
TESTED, SETTLED = 25, 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--msrc", type=Path, help="folder with true masks")
    parser.add_argument("--coco", type=Path, help="folder with true masks")
    parser.add_argument("--part", choices=("settings", "test"), default="settings")
    parser.add_argument("--draw", type=int, default=0, help="0: the deepest points; others: at random")
    parser.add_argument("--more", type=int, default=0, help="clicks that correct the mask")
    parser.add_argument("--method", choices=("auto", "a2gnn"), default="auto", help="a2gnn: walk and network")
    parser.add_argument("--each", type=Path, help="file for one line a photograph")
    parser.add_argument("--pictures", type=Path, help="folder for one picture a photograph")
    given = parser.parse_args()
    for name, root in (("msrc", given.msrc), ("coco", given.coco)):
        if root is None:
            continue
        found = {"msrc": msrc_scenes, "coco": coco_scenes}[name](root, given.part)
        results = [clicked(scene, given) for scene in found]
        if given.each:
            with given.each.open("a") as file:
                file.writelines(json.dumps({"set": name, **row}) + "\n" for rows in results for row in rows)
        for step in range(given.more + 1):
            row = {"set": name, "clicks": 2 + step, **summary([rows[step] for rows in results])}
            print(json.dumps(row), flush=True)
            append_rows("clicks", [row], part=given.part, draw=given.draw, method=given.method)


def msrc_scenes(root: Path, part: str) -> list[Scene]:
    """Return the photographs of MSRC."""
    parts = {"train": {"fit": 273, "held": 100}}
    tested = part == "test"
    config = DataConfig(
        root=str(root),
        format="voc",
        train="val" if tested else "train",
        tags="truth",
        score=() if tested else tuple(parts["train"]),
        parts={} if tested else parts,
    )
    return taken(scenes(config, "" if tested else "fit"))[: TESTED if tested else SETTLED]


def coco_scenes(root: Path, part: str) -> list[Scene]:
    """Return the photographs of one half of COCO."""
    return taken(of_coco(root, part))[: TESTED if part == "test" else None]


def taken(found: Iterator[Scene]) -> list[Scene]:
    """Return the photographs whose object is neither small nor nearly all, in an order drawn at random once."""
    kept = [scene for scene in found if SHARE[0] <= scene.truth.mean() <= SHARE[1]]
    return sorted(kept, key=lambda scene: derive_seed(0, scene.id, "clicks"))


def two_clicks(scene: Scene, draw: int) -> tuple[Point, Point]:
    """Return a click on the object and one beside it."""
    generator = numpy_generator_for(draw, scene.id, "clicks")
    return _click(1, scene.truth, draw, generator), _click(0, beside(scene), draw, generator)


def beside(scene: Scene) -> Mask:
    """Return what is not the object in a band around its box; in all of the photograph where the band has nothing."""
    rows, columns = (np.flatnonzero(scene.truth.any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    width = max(1, round(BAND * max(bottom - top, right - left)))
    band = np.zeros_like(scene.truth)
    band[max(0, top - width) : bottom + width, max(0, left - width) : right + width] = True
    free = ~scene.truth & ~scene.void
    return band & free if (band & free).any() else free


def _click(label: int, where: Mask, draw: int, generator: np.random.Generator) -> Point:
    depth = ndimage.distance_transform_edt(np.pad(where, 1))[1:-1, 1:-1]
    if draw:
        candidates = np.argwhere(depth >= NEAR_DEEPEST * depth.max())
        row, column = candidates[generator.integers(len(candidates))].tolist()
    else:
        row, column = (int(at) for at in np.unravel_index(depth.argmax(), depth.shape))
    return Point(label, row + 0.5, column + 0.5)


def correction(scene: Scene, mask: Mask) -> Point:
    """Return a click at the deepest point of what is wrong, where most is wrong at once."""
    missed, excess = scene.truth & ~mask, mask & ~scene.truth & ~scene.void
    depths = [ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1] for wrong in (excess, missed)]
    label = int(np.argmax([depth.max() for depth in depths]))
    row, column = np.unravel_index(depths[label].argmax(), depths[label].shape)
    return Point(label, int(row) + 0.5, int(column) + 0.5)


def clicked(scene: Scene, given: argparse.Namespace) -> list[dict[str, object]]:
    """Return a row for two clicks, and one for each further click."""
    points, photograph, rows = [*two_clicks(scene, given.draw)], Photograph(scene.image), []
    for step in range(given.more + 1):
        marks = Marks(("object",), Drawn(points=tuple(points)))
        found = photograph.segment(marks, SegmentOptions(given.method))
        mask = found.mask == 1
        row = {"id": scene.id, "clicks": 2 + step, "iou": overlap(mask & ~scene.void, scene.truth)}
        rows.append({**row, "of_all": overlap(mask, scene.truth), "reliability": found.reliability})
        if given.pictures and not step:
            draw_scene(given.pictures, scene, found, points, float(rows[0]["iou"]))
        points.append(correction(scene, mask))
    return rows


def overlap(mask: Mask, truth: Mask) -> float:
    return float((mask & truth).sum() / max(1, (mask | truth).sum()))


def draw_scene(folder: Path, scene: Scene, found: Segmentation, points: list[Point], iou: float) -> None:
    """Write a picture of the photograph with clicks, its true mask, and the mask."""
    shown: NDArray[np.uint8] = scene.image.copy()
    for point in points:
        row, column = int(point.row), int(point.column)
        shown[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4] = (
            (0, 255, 0) if point.class_id else (255, 0, 0)
        )
    parts = [shown, draw_labels(scene.image, scene.truth.astype(np.uint8)), found.overlay()]
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(parts, 1)).save(folder / f"{round(100 * iou):03d}_{scene.id}.png")


def summary(rows: list[dict[str, object]]) -> dict[str, object]:
    overlaps, trust = np.array([r["iou"] for r in rows], float), np.array([r["reliability"] for r in rows], float)
    good = overlaps >= GOOD
    auc = round(float(roc_auc_score(good, trust)), 3) if 0 < good.sum() < len(good) else None
    told = {"photographs": len(rows), "iou": round(float(overlaps.mean()), 4), "good": int(good.sum()), "auc": auc}
    of_all = np.array([r["of_all"] for r in rows], float)
    return {**told, "iou_of_all": round(float(of_all.mean()), 4), "good_of_all": int((of_all >= GOOD).sum())}


if __name__ == "__main__":
    main()
