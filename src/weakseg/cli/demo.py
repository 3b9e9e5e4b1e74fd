"""``weakseg demo``."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from weakseg.cli.common import add_overwrite, build_parser, check_output, conclude, out_path, parse
from weakseg.photograph.config import SegmentOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from weakseg.photograph.segmentation import Segmentation


TAGS = {
    "cat": ("tabby cat",),
    "coffee": ("cup",),
    "rocket": ("missile",),
    "motorcycle": ("moped",),
    "astronaut": ("space shuttle",),
}
OBJECT, REST = "object", "background"
BOXES = {  # left, top, right, bottom
    "cat": (0, 0, 375, 300),
    "coffee": (172, 18, 408, 310),
    "rocket": (308, 127, 338, 408),
    "motorcycle": (90, 100, 680, 455),
    "astronaut": (350, 0, 475, 290),
}
POINTS = {  # x, y on the object and on the background
    "cat": ((240, 120), (430, 150)),
    "coffee": ((290, 130), (560, 350)),
    "rocket": ((322, 250), (220, 100)),
    "motorcycle": ((370, 320), (400, 470)),
    "astronaut": ((405, 130), (330, 60)),
}
SCRIBBLES = {  # a line on the object, lines on the background
    "cat": ([(60, 80), (200, 60), (250, 150), (260, 260)], [(410, 20), (430, 280)]),
    "coffee": (
        [(190, 80), (290, 180), (220, 270)],
        [(30, 60), (60, 330), (400, 385), (560, 300), (560, 40), (440, 60)],
    ),
    "rocket": ([(322, 140), (322, 400)], [(20, 400), (60, 200), (250, 60), (400, 60), (580, 200), (620, 400)]),
    "motorcycle": (
        [(140, 230), (330, 230), (450, 200), (620, 330)],
        [(700, 480), (50, 470), (40, 60), (350, 60), (700, 60), (690, 200)],
    ),
    "astronaut": (
        [(410, 20), (400, 150), (400, 240)],
        [(320, 30), (200, 150), (200, 400), (340, 470), (480, 470), (440, 380)],
    ),
}

NEXT = "draw on your own photographs in a browser: weakseg page FOLDER --classes NAME,NAME"


def main(words: Sequence[str]) -> int:
    """Segment the photographs of scikit-image from each kind of label, and write masks and a report."""
    parser = build_parser(
        "demo",
        "Segment real photographs from tags, boxes, scribbles and points, with no training and no download, and "
        "write a report.",
        "  weakseg demo\n  weakseg demo --out /tmp/demo",
    )
    parser.add_argument("--out", type=out_path, default=Path("weakseg-demo"), help="folder of the masks and the report")
    add_overwrite(parser)
    given = parse(parser, words)
    check_output("--out", out := given.out, overwrite=given.overwrite, folder=True)
    from weakseg.pipeline.options import RunOptions
    from weakseg.pipeline.store import Store
    from weakseg.progress import track
    from weakseg.report import save
    from weakseg.report.demo import build_demo_report

    begun, found = monotonic(), {}
    with Store(out, others=True), track("demo", len(TAGS)) as advance:
        for name, masks in RunOptions(device="cpu").resolve().make_engine().map(_segment, list(TAGS), title="demo"):
            found[name] = masks
            for method, result in masks.items():
                result.save(out / method / f"{name}.png")
            advance(1)
    save(build_demo_report({name: found[name] for name in TAGS}), out / "report.html")
    seconds = monotonic() - begun
    told = f"{len(found)} photographs in {seconds:.0f} s; open {(out / 'report.html').resolve()}"
    return conclude((), f"{told}\n{NEXT}")


def photograph(name: str) -> "NDArray[np.uint8]":
    """Return one of the photographs, RGB uint8; all are in the installed package."""
    import skimage.data

    from weakseg.data.image import as_rgb

    load = getattr(skimage.data, "stereo_motorcycle" if name == "motorcycle" else name)
    return as_rgb(load()[0] if name == "motorcycle" else load())


def _segment(name: str) -> "dict[str, Segmentation]":
    """Return what both methods make of the seeds of tags, and what drawn labels of each kind give."""
    from weakseg.photograph.marks import read_marks
    from weakseg.photograph.photograph import Photograph

    photo, (on, off), (line, beside) = Photograph(photograph(name), name=name), POINTS[name], SCRIBBLES[name]
    shown = read_marks(TAGS[name])
    return {
        "cam": photo.segment(shown),
        "wsgcn": photo.segment(shown, SegmentOptions("wsgcn")),
        "boxes": photo.segment(read_marks(boxes=[(OBJECT, BOXES[name])])),
        "scribbles": photo.segment(read_marks(scribbles=[(OBJECT, line), (REST, beside)])),
        "points": photo.segment(read_marks(points=[(OBJECT, on), (REST, off)])),
    }
