"""What a proposer of masks costs, on the way of one box through A2GNN, and by itself.

    python benchmarks/proposers.py [--repeats 5] [--threads 1] [--only path size]
    python benchmarks/proposers.py --only ideal --msrc /path/to/msrc [--most 40]

``path``: one box on each of three photographs of skimage (astronaut, coffee, chelsea, a cat), as ``weakseg segment``
makes its mask, by GrabCut (``own``) and by a tiny SAM 2 of random weights (``proposed``); and that network's own
time, encoding and one prompt. ``ratio``: (proposed - network) / own, where 1.2 is allowed; own includes GrabCut.
``strict``: the same with the time of GrabCut taken off ``own``. ``more``: a second box on the same photograph,
nothing encoded again, against a second box by GrabCut. Processor seconds, medians of ``--repeats``, the first of each
left out; all that is compared runs in every repeat.

``size``: a SAM 2 of published size (hiera tiny, 1,024 pixels), random weights: processor seconds to load, encode a
photograph and answer a box, a point, and a box with 5 points; weights in MiB; how far memory rises while it encodes.

``ideal``: what seeds of a proposer could bring at best, since there are no weights here: masks as of ``weakseg
segment`` from tight boxes around all objects of photographs of MSRC's ``held``, by GrabCut, by true masks (``1.0``),
and by true masks whose outlines waver, at random, until their IoU is about 0.9, 0.8 or 0.7. Mean IoU of each class of
each photograph, void left out: of the seeds (``seeds``) and of the mask that A2GNN makes of them (``mask``), which is
``above_grabcut`` by so many points, with the standard error of that. Nothing is chosen by it.

Prints and appends one JSON line a row to benchmarks/results/proposers.jsonl. Random weights say nothing of quality.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from rows import append_rows, peak_mb
from scipy import ndimage

from weakseg import Photograph, SegmentOptions, read_marks
from weakseg.data.annotations import Drawn
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.simulate_drawn import tight_box, true_objects
from weakseg.data.truth import EvalSample, open_truth
from weakseg.photograph.marks import Marks
from weakseg.rng import derive_seed, numpy_generator_for
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.box_seeds import box_seeds, look_of
from weakseg.stages.proposers import Proposals, build_proposer
from weakseg.stages.proposers.look import Look

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from tiny_sam import save_tiny, tiny_sam2

Mask = NDArray[np.bool_]

LEVELS, VOID = (1.0, 0.9, 0.8, 0.7), 255
PLACES = {"astronaut": ((60, 10, 380, 510), (300, 200, 400, 300)), "coffee": ((90, 40, 430, 330), (10, 10, 80, 90))}
PLACES["chelsea"] = ((110, 20, 400, 290), (180, 90, 260, 150))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["path", "size"], choices=["path", "size", "ideal"])
    parser.add_argument("--msrc", type=Path, help="folder with true masks")
    parser.add_argument("--most", type=int, default=40, help="photographs of ideal")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        if "path" in given.only:
            tell([of_path(name, Path(folder) / "tiny", given.repeats) for name in PLACES])
        if "size" in given.only:
            tell([of_size(Path(folder) / "published", given.repeats)])
        if "ideal" in given.only:
            tell(of_ideal(given.msrc, given.most))


def tell(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(json.dumps(row), flush=True)
    append_rows("proposers", rows)


def of_path(name: str, folder: Path, repeats: int) -> dict[str, Any]:
    """Return times of a box on a photograph, with and without a network."""
    image = np.ascontiguousarray(getattr(skimage.data, name)())
    first, second = (("thing", place) for place in PLACES[name])
    config = proposing(save_tiny(tiny_sam2(), folder))
    plain = SegmentOptions()
    options = replace(plain, drawn=replace(plain.drawn, seeds=replace(plain.drawn.seeds, boxes=config)))
    one, two = read_marks(boxes=[first]), read_marks(boxes=[first, second])
    held: dict[str, Photograph] = {}

    def cold(which: str, how: SegmentOptions) -> None:
        held[which] = Photograph(image)
        held[which].segment(one, how)

    runs: dict[str, Callable[[], object]] = {
        "own": lambda: cold("own", plain),
        "proposed": lambda: cold("proposed", options),
        "network": lambda: box_seeds(one.drawn.boxes, image, config),
        "grabcut": lambda: box_seeds(one.drawn.boxes, image, plain.drawn.seeds.boxes),
        "own more": lambda: held["own"].segment(two, plain),
        "proposed more": lambda: held["proposed"].segment(two, options),
    }
    found = medians(runs, repeats)
    return {
        "case": "path",
        "photograph": name,
        **{f"{which} s".replace(" ", "_"): round(seconds, 4) for which, seconds in found.items()},
        "ratio": round((found["proposed"] - found["network"]) / found["own"], 3),
        "strict": round((found["proposed"] - found["network"]) / (found["own"] - found["grabcut"]), 3),
        "more": round(found["proposed more"] / found["own more"], 3),
    }


def of_size(folder: Path, repeats: int) -> dict[str, Any]:
    """Return what a network of published size needs."""
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    torch.manual_seed(0)
    model = Sam2Model(Sam2Config())
    weights = sum(value.nbytes for value in model.state_dict().values()) / 2**20
    save_tiny((model, Sam2Processor(Sam2ImageProcessor())), folder)
    del model
    config, image = proposing(folder), np.ascontiguousarray(skimage.data.coffee())
    start = time.process_time()
    proposer = build_proposer(config)
    loading = time.process_time() - start
    look = look_of(image, config)
    encoded = look.encoded
    box, points = np.array([[40.0, 90, 330, 430]]), np.linspace(60, 300, 10).reshape(1, 5, 2)
    signs = np.ones((1, 5), np.int64)
    found = medians(
        {
            "encode": lambda: proposer.encode(image),
            "box": lambda: proposer.propose(encoded, box, None, None),
            "point": lambda: proposer.propose(encoded, None, points[:, :1], signs[:, :1]),
            "box and points": lambda: proposer.propose(encoded, box, points, signs),
        },
        repeats,
    )
    kept = sum(value.nbytes for value in encoded.maps) / 2**20
    return {
        "case": "size",
        "network": "sam2.1 hiera tiny, random weights",
        "load_s": round(loading, 2),
        **{f"{which}_s".replace(" ", "_"): round(seconds, 4) for which, seconds in found.items()},
        "weights_mb": round(weights),
        "kept_mb": round(kept, 1),
        "rise_mb": round(peak_mb(lambda: proposer.encode(image))),
    }


@dataclass(frozen=True)
class GivenMask:
    """A proposer that knows the mask of each box."""

    masks: dict[tuple[float, ...], Mask]
    side: int = 10_000
    takes_points: ClassVar[bool] = False
    needs_rest: ClassVar[bool] = False

    def encode(self, image: NDArray[np.uint8]) -> None:
        return None

    def propose(self, encoded: None, boxes: NDArray[np.float64] | None, points: None, signs: None) -> Proposals:
        assert boxes is not None
        found = np.array([[self.masks[tuple(box)]] for box in boxes.tolist()])
        return Proposals(found, np.ones(found.shape[:2]))


def of_ideal(root: Path, most: int) -> list[dict[str, Any]]:
    """Return how well photographs are segmented by GrabCut and by proposers that are right to some degree."""
    parts = {"train": {"fit": 273, "held": 100}}  # as recipes/networks/msrc.yaml has them
    config = DataConfig(
        root=str(root), format="voc", train="train", tags="truth", score=tuple(parts["train"]), parts=parts
    )
    samples = open_truth(config, open_dataset(config), "train", "held")
    drawn = sorted(samples, key=lambda sample: derive_seed(0, sample.id, "proposers"))[:most]
    scores: dict[str, list[tuple[float, float]]] = {}
    for sample in drawn:
        for name, found in ideal_scores(sample).items():
            scores.setdefault(name, []).extend(found)
    base = np.array(scores["grabcut"])[:, 1]
    return [{"case": "ideal", "by": name, **of_proposer(np.array(found), base)} for name, found in scores.items()]


def of_proposer(found: NDArray[np.float64], base: NDArray[np.float64]) -> dict[str, Any]:
    """Return means over masks, and how far they are above those by GrabCut, with the error of that difference."""
    (seeds, mask), beyond = found.mean(0), found[:, 1] - base
    error = float(beyond.std(ddof=1) / len(beyond) ** 0.5)
    told = {"seeds": seeds, "mask": mask, "above_grabcut": beyond.mean(), "error": error}
    return {name: round(100 * float(value), 2) for name, value in told.items()} | {"masks": len(found)}


def ideal_scores(sample: EvalSample) -> dict[str, list[tuple[float, float]]]:
    """Return IoU of seeds and mask for each class of a photograph, by who has proposed."""
    truth, image = sample.load_truth(), sample.sample.load_image()
    objects = true_objects(truth)
    ids = sorted({one.class_id for one in objects})
    boxes = [replace(tight_box(one), class_id=ids.index(one.class_id) + 1) for one in objects]
    marks, photograph, plain = Marks(tuple(map(str, ids)), Drawn(tuple(boxes))), Photograph(image), SegmentOptions()
    options = {"grabcut": plain}
    for level in LEVELS if ids else ():
        seeds = replace(plain.drawn.seeds, boxes=BoxSeedConfig(proposer="sam2", proposer_file=f"iou/{level}"))
        options[str(level)] = replace(plain, drawn=replace(plain.drawn, seeds=seeds))
        masks = [
            wavering(one.mask, level, numpy_generator_for(0, sample.id, f"waver {n}")) for n, one in enumerate(objects)
        ]
        given = {(b.top, b.left, b.bottom, b.right): mask for b, mask in zip(boxes, masks, strict=True)}
        photograph.seed_parts(seeds).look = Look(image, seeds.boxes, partial(GivenMask, given))
    found = {name: photograph.segment(marks, how) for name, how in options.items()} if ids else {}
    return {
        name: [
            (iou(one.seeds.labels == n, truth, class_id), iou(one.mask == n, truth, class_id))
            for n, class_id in enumerate(ids, start=1)
        ]
        for name, one in found.items()
    }


def wavering(mask: Mask, level: float, generator: np.random.Generator) -> Mask:
    """Return a mask whose outline is moved by smooth noise, until its IoU with the true one is as wanted."""
    if level == 1.0:
        return mask
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    noise = ndimage.gaussian_filter(generator.standard_normal(mask.shape), 8.0)
    noise /= noise.std()
    low, high = 0.0, 200.0
    for _ in range(20):
        middle = (low + high) / 2
        moved = (inside - outside + middle * noise) > 0
        moved &= box_of(mask)
        if (moved & mask).sum() / (moved | mask).sum() > level:
            low = middle
        else:
            high = middle
    return ((inside - outside + low * noise) > 0) & box_of(mask)


def box_of(mask: Mask) -> Mask:
    """Return the pixels of the tight box of a mask."""
    return _span(mask.any(1))[:, None] & _span(mask.any(0))[None]


def _span(row: Mask) -> Mask:
    at = np.flatnonzero(row)
    found = np.zeros(len(row), np.bool_)
    found[at[0] : at[-1] + 1] = True
    return found


def iou(found: Mask, truth: NDArray[np.uint8], class_id: int) -> float:
    known = truth != VOID
    wanted = truth == class_id
    return float((found & wanted).sum() / ((found | wanted) & known).sum())


def proposing(folder: Path) -> BoxSeedConfig:
    return BoxSeedConfig(proposer="sam2", proposer_file=str(folder))


def medians(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each run, all of them once in every repeat."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(found[1:]) for name, found in seconds.items()}


if __name__ == "__main__":
    main()
