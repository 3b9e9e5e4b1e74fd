"""``weakseg demo``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np
import skimage.data
from joblib import Parallel, delayed
from numpy.typing import NDArray

from weakseg.api import Segmentation, SegmentOptions, segment
from weakseg.cli.common import build_parser, conclude, parse
from weakseg.data.image import as_rgb
from weakseg.pipeline.engine import default_workers, one_thread
from weakseg.progress import track
from weakseg.report import save
from weakseg.report.demo import build_demo_report
from weakseg.stages.refine import refine_image

TAGS = {
    "cat": ("tabby cat",),
    "coffee": ("cup",),
    "rocket": ("missile",),
    "motorcycle": ("moped",),
    "astronaut": ("space shuttle",),
}


def main(words: Sequence[str]) -> int:
    """Segment the photographs of scikit-image from tags, and write masks and a report."""
    parser = build_parser(
        "demo",
        "Segment real photographs from their tags, with no training and no download, and write a report.",
        "  weakseg demo\n  weakseg demo --out /tmp/demo",
    )
    parser.add_argument("--out", type=Path, default=Path("weakseg-demo"), help="folder of the masks and the report")
    out = parse(parser, words).out
    begun, results = monotonic(), {}
    parallel = Parallel(n_jobs=min(default_workers(), len(TAGS)), return_as="generator")
    with track("demo", len(TAGS)) as advance:
        for name, masks in zip(TAGS, parallel(delayed(_segment)(name) for name in TAGS), strict=True):
            results[name] = masks
            for method, result in masks.items():
                result.save(out / method / f"{name}.png")
            advance(1)
    save(build_demo_report(results), out / "report.html")
    seconds = monotonic() - begun
    return conclude((), f"{len(results)} photographs in {seconds:.0f} s; open {(out / 'report.html').resolve()}")


def photograph(name: str) -> NDArray[np.uint8]:
    """Return one of the photographs, RGB uint8; all are in the installed package."""
    load = getattr(skimage.data, "stereo_motorcycle" if name == "motorcycle" else name)
    return as_rgb(load()[0] if name == "motorcycle" else load())


def _segment(name: str) -> dict[str, Segmentation]:
    """Return what both methods make of the same seeds."""
    one_thread()
    completed = segment(photograph(name), TAGS[name], method="wsgcn")
    refined = refine_image(completed.seeds, completed.image, SegmentOptions().masks)
    return {"cam": replace(completed, labels=refined), "wsgcn": completed}
