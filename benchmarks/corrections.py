"""How much strokes that are drawn on a mask improve it: IoU after none, one, two and three of them.

    python benchmarks/corrections.py --coco /path/to/coco --msrc /path/to/msrc [--part test]

Photographs, boxes and parts are those of benchmarks/first_contact.py. The mask from a box is corrected by rule: a click
at the deepest place of the largest connected part that is wrong, with the true label there. ``painted`` sets the pixels
of the click alone (radius 8), ``cut`` is ``weakseg.stages.corrections``.

Prints and appends one JSON line a method to benchmarks/results/corrections.jsonl.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from first_contact import Scene, label, of_coco, of_msrc
from numpy.typing import NDArray
from rows import append_rows
from scipy import ndimage

from weakseg import Photograph
from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Drawn, Point
from weakseg.photograph.marks import Marks
from weakseg.settings.corrections import CorrectionConfig
from weakseg.stages.corrections import corrected

CLICKS, RADIUS = 3, 8
Mask = NDArray[np.bool_]
Method = Callable[[Mask, Scene, tuple[Point, ...]], Mask]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco", type=Path, required=True, help="folder with true masks")
    parser.add_argument("--msrc", type=Path, required=True, help="folder with true masks")
    parser.add_argument("--part", choices=("settings", "test"), default="settings")
    parser.add_argument("--seed", type=int, default=0, help="of the boxes")
    given = parser.parse_args()
    scenes = [*of_coco(given.coco, given.part), *of_msrc(given.msrc, given.part)]
    boxes = [Marks(("object",), label(scene, "boxes", given.seed)) for scene in scenes]
    starts = [Photograph(s.image).segment(marks).mask == 1 for s, marks in zip(scenes, boxes, strict=True)]
    rows = [{"method": name, **measure(scenes, starts, method)} for name, method in METHODS.items()]
    for row in rows:
        print(json.dumps(row), flush=True)
    append_rows("corrections", rows, part=given.part, seed=given.seed)


def measure(scenes: list[Scene], starts: list[Mask], method: Method) -> dict[str, object]:
    """Return mean IoU by number of clicks, and the seconds of one."""
    found, seconds = np.zeros((len(scenes), CLICKS + 1)), []
    for number, (scene, start) in enumerate(zip(scenes, starts, strict=True)):
        mask, points = start, ()
        found[number, 0] = iou(mask, scene.truth)
        for click in range(CLICKS):
            points = (*points, worst(mask, scene.truth))
            began = time.perf_counter()
            mask = method(mask if method is painted else start, scene, points)
            seconds.append(time.perf_counter() - began)
            found[number, click + 1] = iou(mask, scene.truth)
    return {
        "iou": found.mean(0).round(4).tolist(),
        "seconds": round(float(np.median(seconds)), 4),
        "images": len(scenes),
    }


def worst(mask: Mask, truth: Mask) -> Point:
    """Return a click at the deepest place of the largest connected part that is wrong; anywhere where none is."""
    wrong = mask != truth
    numbers, count = ndimage.label(wrong)
    if count:
        wrong = numbers == 1 + int(np.argmax(ndimage.sum(wrong, numbers, range(1, count + 1))))
    depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return Point(int(truth[row, column]), float(row) + 0.5, float(column) + 0.5)


def cut(mask: Mask, scene: Scene, points: tuple[Point, ...]) -> Mask:
    """Return the mask of the box, corrected by all clicks at once."""
    labels = LabelMap(mask.astype(np.uint8))
    return np.asarray(corrected(labels, scene.image, Drawn(points=points), CorrectionConfig()).labels == 1)


def painted(mask: Mask, scene: Scene, points: tuple[Point, ...]) -> Mask:
    """Return the mask with a disc of the last click's label."""
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    near = (rows - points[-1].row) ** 2 + (columns - points[-1].column) ** 2 <= RADIUS**2
    return np.asarray(np.where(near, bool(points[-1].class_id), mask))


def iou(mask: Mask, truth: Mask) -> float:
    return float((mask & truth).sum() / max((mask | truth).sum(), 1))


METHODS: dict[str, Method] = {"painted": painted, "cut": cut}

if __name__ == "__main__":
    main()
