"""Masks of one photograph from one label, against OpenCV's GrabCut given the same marks.

    python benchmarks/one_photograph.py --data /path/to/coco --every 2 [--first 0] [--only points] [--seed 0]

Settings were chosen on MSRC train and on the photographs of ``--every 2 --first 1``; ``--every 2`` has the others.

Of each photograph, reduced to 320 pixels, the largest object of at least 400 pixels is asked for, from one label made
by rule of its true pixels: a box up to 10 % of its sides too wide; a stroke along the object's skeleton, and one of the
same share along that of the rest; a click well inside it, and one well inside the rest. GrabCut gets what ten lines of
OpenCV give it, five iterations: the box; or the stroke as sure object, 30 pixels around it as probable object, the
other stroke and the photograph's border as sure background; or the click, 6 pixels as sure object, 60 pixels around it
as probable object, the rest as for strokes. Both columns are made in one run.

Prints mean IoU of the object and the number of objects of IoU >= 0.6, both for weakseg and for GrabCut, the seconds of
each, and appends one JSON line a kind to benchmarks/results/one_photograph.jsonl.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rows import append_rows
from scipy import ndimage

from weakseg import Photograph
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.image import load_rgb
from weakseg.data.simulate_drawn import TrueObject, inner_point, inner_stroke, tight_box, true_objects
from weakseg.data.truth import open_truth
from weakseg.ops.raster import raster_lines
from weakseg.ops.resample import resize_image, resize_labels, scaled_size
from weakseg.photograph.marks import Marks
from weakseg.rng import numpy_generator_for

SIDE, LEAST_PIXELS, LOOSE, COVERAGE, GOOD = 320, 400, 0.1, 0.5, 0.6
KINDS = ("boxes", "scribbles", "points")
TRAIN = {"coco": "instances.json", "voc": "train"}
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """A photograph and one of its objects."""

    id: str
    image: NDArray[np.uint8]
    truth: Mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with true masks")
    parser.add_argument("--format", choices=sorted(TRAIN), default="coco")
    parser.add_argument("--only", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--every", type=int, default=1, help="take every n-th photograph ...")
    parser.add_argument("--first", type=int, default=0, help="... from this one on")
    parser.add_argument("--seed", type=int, default=0, help="of the labels")
    given = parser.parse_args()
    found = list(scenes(given.data, given.format))[given.first :: given.every]
    for kind in given.only:
        row = measure(found, kind, given.seed)
        print(
            f"{kind:<10} weakseg {row['iou']:.3f} ({row['good']})  GrabCut {row['grabcut']:.3f} "
            f"({row['grabcut_good']})  of {len(found)}; {row['seconds']:.2f} and {row['grabcut_seconds']:.2f} s",
            flush=True,
        )
        append_rows(
            "one_photograph",
            [row],
            data=given.data.name,
            seed=given.seed,
            objects=len(found),
            every=given.every,
            first=given.first,
        )


def scenes(root: Path, data_format: str) -> Iterator[Scene]:
    """Yield the photographs that hold an object, reduced, with the largest."""
    config = DataConfig(root=str(root), format=data_format, train=TRAIN[data_format], tags="truth")
    for sample in open_truth(config, open_dataset(config), "train"):
        image = load_rgb(sample.sample.image_path)
        size = scaled_size(image.shape[:2], 1.0, max_side=SIDE)
        objects = true_objects(sample.load_truth(), sample.load_objects())
        masks = [resize_labels(item.mask.astype(np.uint8), size).astype(bool) for item in objects]
        largest = max(masks, key=lambda mask: int(mask.sum()), default=np.zeros(size, bool))
        if LEAST_PIXELS <= largest.sum() < 0.95 * largest.size:
            yield Scene(sample.id, resize_image(image, size), largest)


def label(scene: Scene, kind: str, seed: int) -> Drawn:
    """Return one label of the object, and one of the rest unless it is a box."""
    draw = numpy_generator_for(seed, scene.id, f"one photograph, {kind}")
    thing, rest = TrueObject(1, scene.truth), TrueObject(0, ~scene.truth)
    if kind == "points":
        return Drawn(points=(inner_point(thing, draw), inner_point(rest, draw)))
    if kind == "scribbles":
        return Drawn(scribbles=tuple(inner_stroke(item, draw, coverage=COVERAGE) for item in (thing, rest)))
    box = tight_box(thing)
    rows, columns = box.bottom - box.top, box.right - box.left
    up, left, down, right = draw.uniform(0, LOOSE, 4) * (rows, columns, rows, columns)
    size = scene.truth.shape
    edges = (
        max(box.top - up, 0),
        max(box.left - left, 0),
        min(box.bottom + down, size[0]),
        min(box.right + right, size[1]),
    )
    return Drawn(boxes=(Box(1, *map(float, map(round, edges))),))


def grabcut(image: NDArray[np.uint8], drawn: Drawn) -> Mask:
    """Return the object that GrabCut finds."""
    marks, rectangle, mode = np.full(image.shape[:2], cv2.GC_PR_BGD, np.uint8), None, cv2.GC_INIT_WITH_MASK
    if drawn.boxes:
        (box,), mode = drawn.boxes, cv2.GC_INIT_WITH_RECT
        rectangle = tuple(map(int, (box.left, box.top, box.right - box.left, box.bottom - box.top)))
    else:
        strokes = strokes_of(drawn, image.shape[:2])
        distance = ndimage.distance_transform_edt(strokes != 1)
        marks[distance <= (60 if drawn.points else 30)] = cv2.GC_PR_FGD
        marks[0], marks[-1], marks[:, 0], marks[:, -1] = [cv2.GC_BGD] * 4
        marks[strokes == 0] = cv2.GC_BGD
        marks[distance <= (6 if drawn.points else 0)] = cv2.GC_FGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), marks, rectangle, *models, 5, mode)
    except cv2.error:  # a box around everything leaves nothing to compare with: the box is the object
        return np.ones(image.shape[:2], bool)
    return (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)


def strokes_of(drawn: Drawn, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the label map of points and strokes, 3 pixels wide."""
    marks: list[Point | Scribble] = [*drawn.points, *drawn.scribbles]
    paths = [mark.path if isinstance(mark, Scribble) else [(mark.row, mark.column)] for mark in marks]
    return raster_lines(paths, [mark.class_id for mark in marks], size)


def measure(found: list[Scene], kind: str, seed: int) -> dict[str, float | str]:
    """Return both columns of a kind of label."""
    ours, theirs, seconds = [], [], [0.0, 0.0]
    for scene in found:
        drawn = label(scene, kind, seed)
        start = time.perf_counter()
        mask = Photograph(scene.image).segment(Marks(("object",), drawn)).mask == 1
        between = time.perf_counter()
        other = grabcut(scene.image, drawn)
        seconds = [seconds[0] + between - start, seconds[1] + time.perf_counter() - between]
        ours.append(iou(mask, scene.truth))
        theirs.append(iou(other, scene.truth))
    return {
        "labels": kind,
        "iou": float(np.mean(ours)),
        "good": int(sum(np.array(ours) >= GOOD)),
        "grabcut": float(np.mean(theirs)),
        "grabcut_good": int(sum(np.array(theirs) >= GOOD)),
        "seconds": seconds[0] / len(found),
        "grabcut_seconds": seconds[1] / len(found),
    }


def iou(mask: Mask, truth: Mask) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


if __name__ == "__main__":
    main()
