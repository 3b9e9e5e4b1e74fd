"""How long a person waits for the mask of a photograph of 375 x 500 pixels after each click.

    OMP_NUM_THREADS=2 python benchmarks/click_times.py --image PHOTOGRAPH [--repeats 7]

The backbone is loaded and everything has run once before. Each repeat makes a new ``weakseg.Photograph``, clicks on the
object and beside it (first mask), and then three more times. Prints and appends one JSON line to
benchmarks/results/click_times.jsonl: median and best seconds of the first mask and of further ones, the same of
processor time, and what a mask's reliability alone takes. Other work on the machine makes medians worse; the best is
nearest to what an idle one takes.
"""

import argparse
import json
import logging
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rows import append_rows

from weakseg import Photograph, read_marks
from weakseg.data.image import load_rgb
from weakseg.ops.resample import resize_image
from weakseg.photograph.config import SegmentOptions
from weakseg.stages.mask_cues import Looked, mask_cues
from weakseg.stages.reliability import reliability_of

SIZE = (375, 500)
CLICKS = (
    ("object", (250, 190)),
    ("background", (30, 40)),
    ("object", (270, 220)),
    ("background", (450, 330)),
    ("object", (230, 160)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--method", default="auto", choices=("auto", "a2gnn"))
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    cv2.setNumThreads(torch.get_num_threads())
    image, options = resize_image(load_rgb(given.image), SIZE), SegmentOptions(given.method)
    waits(image, options)
    found = np.array([waits(image, options) for _ in range(given.repeats)])  # (repeats, marks, wall and processor)
    row: dict[str, object] = {"method": given.method, "cores": torch.get_num_threads(), "repeats": given.repeats}
    for name, part in (("first", found[:, :1]), ("further", found[:, 1:])):
        for index, kind in enumerate(("seconds", "processor")):
            row |= {
                f"{name}_{kind}": round(float(np.median(part[..., index])), 3),
                f"{name}_{kind}_best": round(float(part[..., index].min()), 3),
            }
    row["reliability_best"] = round(judged(image, options), 3)
    print(json.dumps(row))
    append_rows("click_times", [row])


def waits(image: NDArray[np.uint8], options: SegmentOptions) -> list[tuple[float, float]]:
    """Return seconds and processor seconds of the masks of one photograph."""
    photograph, told = Photograph(image), []
    for count in range(2, len(CLICKS) + 1):
        start = time.perf_counter(), time.process_time()
        photograph.segment(read_marks(points=CLICKS[:count]), options)
        told.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return told


def judged(image: NDArray[np.uint8], options: SegmentOptions) -> float:
    """Return the best of five of the seconds that reliability alone takes."""
    found = Photograph(image).segment(read_marks(points=CLICKS[:2]), options)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        reliability_of("points", mask_cues(1, Looked(image, found.labels, found.seeds)))
        took.append(time.perf_counter() - start)
    return min(took)


if __name__ == "__main__":
    main()
