"""``weakseg segment``."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from PIL import Image

from weakseg.api import SegmentOptions, segment
from weakseg.cli.common import add_settings, build_parser, conclude, parse, settings_of
from weakseg.errors import ConfigError
from weakseg.files import atomic_path
from weakseg.report import draw_labels


def main(words: Sequence[str]) -> int:
    """Segment one photograph from tags, boxes, points or scribbles."""
    given = parse(_parser(), words)
    for name, path in (("--out", given.out), ("--overlay", given.overlay)):
        allowed = {".png"} if name == "--out" else {".png", ".jpg", ".jpeg", ".webp"}
        if path is not None and path.suffix.lower() not in allowed:
            raise ConfigError(f"{name}: {path} must end in {' or '.join(sorted(allowed))}")
    marks = [[_mark(flag, text) for text in given[flag]] for flag in ("boxes", "points", "scribbles")]
    if not (given.tags or any(marks) or given.labels):
        raise ConfigError("segment: say what the photograph shows: --tags, --boxes, --points, --scribbles or --labels")
    result = segment(
        given.image,
        given.tags,
        boxes=[(name, places[0]) for name, places in _single("boxes", marks[0])],
        points=[(name, places[0]) for name, places in _single("points", marks[1])],
        scribbles=marks[2],
        labels=given.labels,
        method=given.method,
        options=settings_of(given, SegmentOptions),
    )
    out = given.out or Path(f"{given.image.stem}-mask.png")
    result.save(out)
    if given.overlay:
        with atomic_path(given.overlay) as temporary:
            Image.fromarray(draw_labels(result.image, result.mask)).save(temporary)
    shares = (f"{label} {tag}: {(result.mask == label).mean():.1%}" for label, tag in enumerate(result.tags, start=1))
    return conclude((), f"{out}: {', '.join(shares)} of the pixels")


def _parser() -> ArgumentParser:
    parser = build_parser(
        "segment",
        "Mask of one photograph from tags in the vocabulary of ImageNet, or from boxes, points or scribbles of any "
        "names, with no training.\nCoordinates are pixels: x to the right, y down, from the upper left corner.",
        '  weakseg segment cat.jpg --tags "tabby cat"\n'
        '  weakseg segment cat.jpg --tags "tabby cat" --method wsgcn\n'
        '  weakseg segment cat.jpg --boxes "cat 40,30,200,180"\n'
        '  weakseg segment cat.jpg --points "cat 120,90" --points "background 10,10"\n'
        '  weakseg segment cat.jpg --scribbles "cat 90,80 120,90 150,100" --scribbles "background 5,5 300,5"\n'
        "  weakseg segment cat.jpg --labels cat.json\n"
        "  weakseg segment street.jpg --tags car --tags bicycle --out mask.png --overlay look.png\n"
        "  weakseg segment cat.jpg --tags cat --seeds.strict 0.4",
    )
    parser.add_argument("image", type=Path, help="photograph")
    parser.add_argument("--tags", type=str, action="append", default=[], help="what it shows; repeat for several")
    parser.add_argument("--boxes", type=str, action="append", default=[], help='"NAME left,top,right,bottom"; repeat')
    parser.add_argument("--points", type=str, action="append", default=[], help='"NAME x,y"; repeat')
    parser.add_argument("--scribbles", type=str, action="append", default=[], help='"NAME x,y x,y ..."; repeat')
    parser.add_argument(
        "--labels",
        type=Path,
        help="instead of all these: label file of LabelMe, CVAT, Label Studio, COCO, VOC, YOLO, ScribbleSup, weakseg, "
        "or CSV, which calls the photograph by its file name; or folder of files with the photograph's name",
    )
    parser.add_argument(
        "--method",
        type=str,
        default="auto",
        help="cam (CRF), wsgcn or a2gnn (a graph network for this photograph, and CRF); auto: cam for tags, else a2gnn",
    )
    parser.add_argument("--out", type=Path, help="mask to write; default: IMAGE-mask.png in the working folder")
    parser.add_argument("--overlay", type=Path, help="picture of the mask on the photograph to write")
    add_settings(parser, SegmentOptions)
    return parser


def _mark(flag: str, text: str) -> tuple[str, list[list[float]]]:
    """Return the name and the places of ``NAME x,y x,y``; a name may have spaces."""
    words = text.split()
    places = [word for word in words if "," in word]
    name = " ".join(words[: len(words) - len(places)])
    try:
        found = [[float(number) for number in place.split(",")] for place in places]
    except ValueError:
        found = []
    if not name or not found or words[len(words) - len(places) :] != places:
        raise ConfigError(f'--{flag}: {text!r} is not a name and numbers with commas, such as "cat 40,30"')
    return name, found


def _single(flag: str, marks: list[tuple[str, list[list[float]]]]) -> list[tuple[str, list[list[float]]]]:
    """Return marks of one place each; several are a mistake."""
    for name, places in marks:
        if len(places) != 1:
            raise ConfigError(f"--{flag}: {name!r} has {len(places)} places; repeat the flag for each")
    return marks
