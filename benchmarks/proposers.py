"""What a proposer of masks costs, on the way of one box through A2GNN, and by itself.

    python benchmarks/proposers.py [--repeats 5] [--threads 1] [--only path size]

``path``: one box on each of three photographs of skimage (astronaut, coffee, chelsea, a cat), as ``weakseg segment``
makes its mask, by GrabCut (``own``) and by a tiny SAM 2 of random weights (``proposed``); and that network's own time,
encoding and one prompt. ``ratio``: (proposed - network) / own, where 1.2 is allowed; own includes GrabCut. ``strict``:
the same with the time of GrabCut taken off ``own``. ``more``: a second box on the same photograph, nothing encoded
again, against a second box by GrabCut. Medians of ``--repeats``, the first of each left out; all that is compared runs
in every repeat.

``size``: a SAM 2 of published size (hiera tiny, 1,024 pixels), random weights: seconds to load, encode a photograph and
answer a box, a point, and a box with 5 points; weights in MiB; how far memory rises while it encodes.

Prints and appends one JSON line a row to benchmarks/results/proposers.jsonl. Random weights say nothing of quality.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from rows import append_rows, peak_mb

from weakseg import Photograph, SegmentOptions, read_marks
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.box_seeds import box_seeds, look_of
from weakseg.stages.proposers import build_proposer

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from tiny_sam import save_tiny, tiny_sam2

PLACES = {"astronaut": ((60, 10, 380, 510), (300, 200, 400, 300)), "coffee": ((90, 40, 430, 330), (10, 10, 80, 90))}
PLACES["chelsea"] = ((110, 20, 400, 290), (180, 90, 260, 150))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["path", "size"], choices=["path", "size"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        if "path" in given.only:
            tell([of_path(name, Path(folder) / "tiny", given.repeats) for name in PLACES])
        if "size" in given.only:
            tell([of_size(Path(folder) / "published", given.repeats)])


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
    start = time.perf_counter()
    proposer = build_proposer(config)
    loading = time.perf_counter() - start
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


def proposing(folder: Path) -> BoxSeedConfig:
    return BoxSeedConfig(proposer="sam2", proposer_file=str(folder))


def medians(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each run, all of them once in every repeat."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found[1:]) for name, found in seconds.items()}


if __name__ == "__main__":
    main()
