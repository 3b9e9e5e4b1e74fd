"""How good grown labels are, from one fixed segmenter, over neighbours and thresholds; nothing is trained.

    python benchmarks/growth_quality.py RUN [--method dgcn] [--images 0] [--neighbors 6 8 9 12 14]
        [--thresholds 0 0.3 0.5 0.7 0.9] [--background 1 0.7 0.9]

RUN is the folder of a finished run of ``dgcn`` or ``dsrg``, or of a comparison, whose training images have true masks.
Labels grow on each whole image from the run's seeds with its first segmenter, and are compared with the truth, pixel by
pixel, void left out: how many are decided, how many of these are right, mean IoU of the decided ones; how much of
small, medium and large objects (below 2 and 10 % of the image, and above) has its label, and how much of objects that
no seed of their class lies in. Rows are settings: ``cut``, neighbours, threshold of classes, of the background (1: it
does not grow); seeds alone, regions and propagation come first. Appends one JSON line a row, with classes, to
benchmarks/results/growth_quality.jsonl.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rows import append_rows
from scipy.ndimage import label as connected_regions

from weakseg.data.dataset import open_dataset
from weakseg.data.truth import EvalSample, open_truth
from weakseg.evaluation.protocol import usable_truth
from weakseg.methods.finished import open_finished
from weakseg.nn.segmenters import HEADS, Segmenter
from weakseg.ops.growing import Thresholds, accepted, cell_seeds, cut_claims
from weakseg.ops.resample import resize_labels
from weakseg.progress import track
from weakseg.settings.grow import BoundaryConfig, GrowthConfig
from weakseg.stages.grow import Grower, Scene, present_seeds
from weakseg.stages.mask_counts import load_mask
from weakseg.stages.seeded import see_image
from weakseg.stages.segment import load_segmenter

SIZES = {"small": (0.0, 0.02), "medium": (0.02, 0.1), "large": (0.1, 1.01)}  # shares of the image
UNSEEDED = "without seed"
HEAD = f"{'growth':<26} {'decided':>7} {'right':>6} {'IoU':>5} {'small':>6} {'medium':>6} {'large':>6} {'unseeded':>8}"
WIDTHS = (7, 6, 5, 6, 6, 6, 8)
Objects = dict[str, list[NDArray[np.bool_]]]
Found = Iterator[tuple[str, NDArray[np.int64]]]


@dataclass
class Tally:
    """Pixels of all images under one setting; parts are sizes of objects, and objects without a seed of their own."""

    confusion: NDArray[np.int64]
    parts: dict[str, NDArray[np.int64]] = field(default_factory=lambda: dict.fromkeys((*SIZES, UNSEEDED), np.zeros(3)))

    def add(self, labels: NDArray[np.uint8], truth: NDArray[np.uint8], objects: Objects) -> None:
        """Count an image; ``objects`` are masks by part."""
        count = len(self.confusion) - 1  # the last column: undecided
        known = truth != 255
        predicted = np.where(labels == 255, count, labels).astype(np.int64)[known]
        codes = truth[known].astype(np.int64) * (count + 1) + predicted
        self.confusion += np.bincount(codes, minlength=(count + 1) ** 2).reshape(self.confusion.shape)
        for part, masks in objects.items():
            right = sum(int((labels[mask] == truth[mask]).sum()) for mask in masks)
            self.parts[part] = self.parts[part] + [right, sum(int(mask.sum()) for mask in masks), len(masks)]

    def as_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return percentages; of each class what is decided rightly of all that is there, and of all that says it."""
        square, all_of = self.confusion[:-1, :-1], self.confusion.sum(1)[:-1]
        decided, right, said = square.sum(), np.diag(square), square.sum(0)
        union = square.sum(1) + said - right
        shares = {part: float(100 * hit / max(size, 1)) for part, (hit, size, _) in self.parts.items()}
        return {
            "decided": float(100 * decided / max(all_of.sum(), 1)),
            "right": float(100 * right.sum() / max(decided, 1)),
            "mean_iou_of_decided": float(100 * (right / np.maximum(union, 1))[square.sum(1) > 0].mean()),
            "objects": shares,
            "num_objects": {part: int(number) for part, (_, _, number) in self.parts.items()},
            "recall": dict(zip(names, np.round(100 * right / np.maximum(all_of, 1), 2).tolist(), strict=True)),
            "precision": dict(zip(names, np.round(100 * right / np.maximum(said, 1), 2).tolist(), strict=True)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--method", default="", help="of a comparison")
    parser.add_argument("--images", type=int, default=0, help="0: all")
    parser.add_argument("--neighbors", type=int, nargs="*", default=[6, 8, 9, 12, 14])
    parser.add_argument("--thresholds", type=float, nargs="*", default=[0.0, 0.3, 0.5, 0.7, 0.9])
    parser.add_argument("--background", type=float, nargs="*", default=[1.0, 0.7, 0.9])
    given = parser.parse_args()
    torch.set_num_threads(1)
    finished = open_finished(given.run, given.method)
    dataset = open_dataset(finished.recipe.data)
    truth = usable_truth(open_truth(finished.recipe.data, dataset, "train"))[0]
    truth = truth[:: max(1, len(truth) // given.images)][: given.images] if given.images else truth
    names = ("background", *dataset.classes.names)
    tallies: dict[str, Tally] = {}
    with track("growth", len(truth)) as advance:
        for sample in truth:
            _add(sample, finished, given, tallies, len(names))
            advance(1)
    found = [{"setting": name, **tally.as_json(names)} for name, tally in tallies.items()]
    append_rows("growth_quality", found, images=len(truth), method=finished.recipe.method)
    print(HEAD)
    for row in found:
        shares = [row["decided"], row["right"], row["mean_iou_of_decided"], *row["objects"].values()]
        words = " ".join(f"{v:{w}.1f}" for v, w in zip(shares, WIDTHS, strict=True))
        print(f"{row['setting']:<26} {words}")


def _add(sample: EvalSample, finished: Any, given: argparse.Namespace, tallies: dict[str, Tally], labels: int) -> None:
    """Grow an image under every setting, and count."""
    seeds = load_mask(finished.step_folder("seeds"), sample.id, labels - 1)
    truth = sample.load_truth()
    objects = _objects(sample, truth, seeds)
    for name, cells in _grown(sample, finished, given, seeds):
        tally = tallies.setdefault(name, Tally(np.zeros((labels + 1, labels + 1), np.int64)))
        tally.add(resize_labels(cells.astype(np.uint8), (truth.shape[0], truth.shape[1])), truth, objects)


def _objects(sample: EvalSample, truth: NDArray[np.uint8], seeds: NDArray[np.uint8]) -> Objects:
    """Return masks of true objects by size, and of those without a seed; where nobody told them apart, of regions."""
    numbers = sample.load_objects()
    masks = []
    for label in set(np.unique(truth).tolist()) - {0, 255}:
        own = truth == label
        parts = numbers * own if numbers is not None else connected_regions(own, np.ones((3, 3)))[0]
        masks += [(parts == n, label) for n in set(np.unique(parts).tolist()) - {0}]
    found: Objects = {name: [] for name in (*SIZES, UNSEEDED)}
    for mask, label in masks:
        size = next(name for name, (low, high) in SIZES.items() if low <= mask.mean() < high)
        found[size].append(mask)
        if not (seeds[mask] == label).any():
            found[UNSEEDED].append(mask)
    return found


@cache
def _model(path: Path) -> Segmenter:
    return load_segmenter(path)[0]


def _grown(sample: EvalSample, finished: Any, given: argparse.Namespace, labels: NDArray[np.uint8]) -> Found:
    """Yield name and ``(h, w)`` labels of each setting."""
    recipe = finished.recipe
    model = _model(finished.model_of("segmenter"))
    corners = HEADS[recipe.growing.model.head].corners_aligned
    own = recipe.growth if recipe.growth.on_graph else GrowthConfig()
    seen_by = see_image(model, sample.sample, labels, recipe.growing, own)
    boundary = replace(recipe.growing.boundary, weight=0.0)
    for kind in ("none", "regions", "propagation"):
        yield kind, Grower(GrowthConfig(kind), boundary, corners).batch(*seen_by)[0].labels.numpy()
    seen = Grower(own, BoundaryConfig(weight=0.0), corners).seen(*seen_by)[0]
    present, kept = present_seeds(seen.labels, seen.tags)
    size = (seen.probs.shape[1], seen.probs.shape[2])
    scene = Scene(cell_seeds(kept, size, corners=corners), present, seen.probs, seen.features)
    probs, seeds = scene.flat
    label_ids = [label for label in (0, *present) if bool((seeds == label).any())]
    for neighbors in given.neighbors:
        graph = scene.graph(GrowthConfig(neighbors=neighbors, link_weight=own.link_weight))
        claims = cut_claims(graph, probs, seeds, label_ids)
        for threshold in given.thresholds:
            for background in given.background:
                grown = accepted(claims, probs, seeds, Thresholds(threshold, background))
                yield f"cut {neighbors:>2} {threshold:.2f} {background:.2f}", grown.reshape(size).numpy()


if __name__ == "__main__":
    main()
