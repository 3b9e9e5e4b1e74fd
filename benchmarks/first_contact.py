"""Masks of one photograph from one label, nothing trained before, against what OpenCV and scikit-image make of it.

    python benchmarks/first_contact.py --coco /path/to/coco --msrc /path/to/msrc [--part test] [--only clicks]

Photographs are those of COCO and of MSRC's training list that show an object of at least 400 pixels when reduced to 320
pixels; the largest object of each is asked for. Settings are chosen on ``--part settings`` (every second photograph of
COCO, 40 of MSRC's ``fit``), figures are of ``--part test`` (the others of COCO, 40 of ``held``).

Labels are made by rule of true pixels: a box that is 5 to 15 % of its sides too wide on each side (``boxes``); a click
well inside the object and one well inside the rest (``clicks``); a stroke along a third of the object's skeleton, and
one of the same share along that of the rest (``strokes``); a word of ImageNet, of all pixels of its class (``tags``).

Prints and appends one JSON line a kind and method to benchmarks/results/first_contact.jsonl: mean IoU of the object,
how many have IoU >= 0.6, seconds a photograph; and the area under the ROC curve of "IoU >= 0.6" by reliability, where a
method gives one. ``--each FILE`` writes one line a photograph.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rows import append_rows
from scipy import ndimage
from skimage.segmentation import random_walker
from sklearn.metrics import roc_auc_score

from weakseg import Photograph
from weakseg.artifacts import UNDECIDED
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.image import load_rgb
from weakseg.data.knowledge.imagenet_words import look_up
from weakseg.data.simulate_drawn import TrueObject, inner_point, inner_stroke, tight_box, true_objects
from weakseg.data.truth import open_truth
from weakseg.nn.backbones import embedded_backbone
from weakseg.ops.raster import raster_lines
from weakseg.ops.resample import image_tensor, resize_image, resize_labels, scaled_size
from weakseg.photograph.config import SegmentOptions
from weakseg.photograph.marks import Marks
from weakseg.rng import derive_seed, numpy_generator_for

SIDE, LEAST_PIXELS, LOOSE, COVERAGE, GOOD, OF_MSRC = 320, 400, (0.05, 0.15), 1 / 3, 0.6, 40
KINDS = ("boxes", "clicks", "strokes", "tags")
Mask = NDArray[np.bool_]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """A photograph, one of its objects, all pixels of the object's class, and those that the truth leaves out."""

    id: str
    image: Rgb
    truth: Mask
    word: str
    of_word: Mask
    void: Mask


@dataclass(frozen=True)
class Found:
    """A mask, and how far it is to be trusted, where the method says."""

    mask: Mask
    reliability: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco", type=Path, required=True, help="folder with true masks")
    parser.add_argument("--msrc", type=Path, required=True, help="folder with true masks")
    parser.add_argument("--part", choices=("settings", "test"), default="settings")
    parser.add_argument("--only", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seed", type=int, default=0, help="of the labels")
    parser.add_argument("--each", type=Path, help="file for one line a photograph")
    given = parser.parse_args()
    found = [*of_coco(given.coco, given.part), *of_msrc(given.msrc, given.part)]
    for kind in given.only:
        for method in given.methods:
            shown = [scene for scene in found if kind != "tags" or scene.word]
            if kind in LACKS.get(method, ()):
                continue
            rows = [measure(scene, kind, given.seed, METHODS[method]) for scene in shown]
            if given.each:
                with given.each.open("a") as file:
                    file.writelines(json.dumps({"kind": kind, "method": method, **row}) + "\n" for row in rows)
            row = {"kind": kind, "method": method, **summary(rows)}
            print(json.dumps(row), flush=True)
            append_rows("first_contact", [row], part=given.part, seed=given.seed)


def of_coco(root: Path, part: str) -> Iterator[Scene]:
    """Yield every second photograph of COCO."""
    config = DataConfig(root=str(root), format="coco", train="instances.json", tags="truth")
    yield from list(scenes(config))[0 if part == "test" else 1 :: 2]


def of_msrc(root: Path, part: str) -> Iterator[Scene]:
    """Yield photographs of MSRC, in an order drawn at random once."""
    parts = {"train": {"fit": 273, "held": 100}}
    config = DataConfig(
        root=str(root), format="voc", train="train", tags="truth", score=tuple(parts["train"]), parts=parts
    )
    found = list(scenes(config, "held" if part == "test" else "fit"))
    yield from sorted(found, key=lambda scene: derive_seed(0, scene.id, "first contact"))[:OF_MSRC]


def scenes(config: DataConfig, listed: str = "") -> Iterator[Scene]:
    """Yield the photographs that hold an object, reduced, with the largest."""
    dataset = open_dataset(config)
    for sample in open_truth(config, dataset, "train", listed):
        image = load_rgb(sample.sample.image_path)
        size = scaled_size(image.shape[:2], 1.0, max_side=SIDE)
        truth = sample.load_truth()
        objects = true_objects(truth, sample.load_objects())
        masks = [resize_labels(item.mask.astype(np.uint8), size).astype(bool) for item in objects]
        if not masks:
            continue
        largest = int(np.argmax([mask.sum() for mask in masks]))
        if LEAST_PIXELS <= masks[largest].sum() < 0.95 * masks[largest].size:
            class_id = objects[largest].class_id
            name = dataset.classes.names[class_id - 1]
            of_word = resize_labels((truth == class_id).astype(np.uint8), size).astype(bool)
            void = resize_labels((truth == UNDECIDED).astype(np.uint8), size).astype(bool)
            word = name if look_up(name) else ""
            yield Scene(sample.id, resize_image(image, size), masks[largest], word, of_word, void)


def label(scene: Scene, kind: str, seed: int) -> Drawn:
    """Return one label of the object, and one of the rest unless it is a box; nothing for a tag."""
    draw = numpy_generator_for(seed, scene.id, f"first contact, {kind}")
    thing, rest = TrueObject(1, scene.truth), TrueObject(0, ~scene.truth)
    if kind == "tags":
        return Drawn()
    if kind == "clicks":
        return Drawn(points=(inner_point(thing, draw), inner_point(rest, draw)))
    if kind == "strokes":
        return Drawn(scribbles=tuple(inner_stroke(item, draw, coverage=COVERAGE) for item in (thing, rest)))
    box, size = tight_box(thing), scene.truth.shape
    rows, columns = box.bottom - box.top, box.right - box.left
    up, left, down, right = draw.uniform(*LOOSE, 4) * (rows, columns, rows, columns)
    top, left = max(box.top - up, 0), max(box.left - left, 0)
    bottom, right = min(box.bottom + down, size[0]), min(box.right + right, size[1])
    return Drawn(boxes=(Box(1, *map(float, map(round, (top, left, bottom, right)))),))


def ours(scene: Scene, drawn: Drawn) -> Found:
    name = "object" if drawn != Drawn() else scene.word
    found = Photograph(scene.image).segment(Marks((name,), drawn))
    return Found(found.mask == 1, getattr(found, "reliability", None))


def network(scene: Scene, drawn: Drawn) -> Found:
    """The walk and the network that marks had before (``a2gnn``)."""
    found = Photograph(scene.image).segment(Marks(("object",), drawn), SegmentOptions("a2gnn"))
    return Found(found.mask == 1, found.reliability)


def grabcut(scene: Scene, drawn: Drawn) -> Found:
    """OpenCV's, five iterations: in the box, or from strokes and clicks as hints, the border as background.

    30 pixels around a stroke, 60 around a click are probable object, 6 around a click sure object.
    """
    image = scene.image
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
        return Found(np.ones(image.shape[:2], bool))
    return Found((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))


def walker_on_colours(scene: Scene, drawn: Drawn) -> Found:
    lab = cv2.cvtColor(scene.image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
    return walked(lab, drawn, beta=1000)


@torch.inference_mode()
def walker_on_features(scene: Scene, drawn: Drawn) -> Found:
    """Eight principal components of the embedded backbone's features, enlarged bilinearly."""
    features = embedded_backbone()(image_tensor(scene.image)[None])[0].flatten(1)
    features = features / features.norm(dim=0, keepdim=True).clamp(min=1e-6)
    shape = [-(-side // embedded_backbone().stride) for side in scene.image.shape[:2]]
    basis = torch.linalg.svd(features - features.mean(1, keepdim=True), full_matrices=False)
    maps = (basis.S[:8, None] * basis.Vh[:8]).reshape(8, *shape).numpy()
    rows, columns = scene.image.shape[:2]
    fine = np.stack([cv2.resize(each, (columns, rows), interpolation=cv2.INTER_LINEAR) for each in maps], -1)
    return walked(fine / fine.std(), drawn, beta=100)


def walked(channels: NDArray[np.floating], drawn: Drawn, *, beta: float) -> Found:
    """scikit-image's random walker; in a box its middle is the object, and what is outside the background."""
    size = channels.shape[:2]
    seeds = np.zeros(size, np.int32)
    if drawn.boxes:
        box = drawn.boxes[0]
        seeds[:] = 2
        seeds[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = 0
        row, column = (box.top + box.bottom) / 2, (box.left + box.right) / 2
        high, wide = (box.bottom - box.top) / 6, (box.right - box.left) / 6
        seeds[int(row - high) : int(row + high) + 1, int(column - wide) : int(column + wide) + 1] = 1
    else:
        strokes = strokes_of(drawn, size)
        seeds[strokes == 0], seeds[strokes == 1] = 2, 1
        edge = np.ones(size, bool)
        edge[1:-1, 1:-1] = False
        seeds[edge & (seeds == 0)] = 2
    if not (seeds == 2).any():
        return Found(np.ones(size, bool))
    return Found(random_walker(channels, seeds, beta=beta, mode="cg_j", tol=1e-3, channel_axis=-1) == 1)


def strokes_of(drawn: Drawn, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the label map of points and strokes, 3 pixels wide."""
    marks: list[Point | Scribble] = [*drawn.points, *drawn.scribbles]
    paths = [mark.path if isinstance(mark, Scribble) else [(mark.row, mark.column)] for mark in marks]
    return raster_lines(paths, [mark.class_id for mark in marks], size)


def measure(scene: Scene, kind: str, seed: int, method: Callable[[Scene, Drawn], Found]) -> dict[str, object]:
    drawn, start = label(scene, kind, seed), time.perf_counter()
    found = method(scene, drawn)
    seconds = time.perf_counter() - start
    truth = scene.of_word if kind == "tags" else scene.truth
    overlap = float((found.mask & truth).sum() / max(1, (found.mask | truth).sum()))
    return {"id": scene.id, "iou": overlap, "reliability": found.reliability, "seconds": seconds}


def summary(rows: list[dict[str, object]]) -> dict[str, object]:
    overlaps = np.array([row["iou"] for row in rows], float)
    told: dict[str, object] = {"objects": len(rows), "iou": round(float(overlaps.mean()), 4)}
    told |= {"good": int((overlaps >= GOOD).sum()), "seconds": round(float(np.mean([r["seconds"] for r in rows])), 2)}
    if rows[0]["reliability"] is not None:
        told["auc"] = round(float(roc_auc_score(overlaps >= GOOD, [float(r["reliability"]) for r in rows])), 3)
    return told


METHODS: dict[str, Callable[[Scene, Drawn], Found]] = {
    "weakseg": ours,
    "network": network,
    "grabcut": grabcut,
    "walker, colours": walker_on_colours,
    "walker, features": walker_on_features,
}
LACKS = {name: ("tags",) for name in METHODS if name != "weakseg"}


if __name__ == "__main__":
    main()
