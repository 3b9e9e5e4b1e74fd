"""``weakseg segment``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import (
    add_overwrite,
    add_settings,
    build_parser,
    check_output,
    conclude,
    out_path,
    parse,
    settings_of,
)
from weakseg.errors import ConfigError, DataError
from weakseg.photograph.config import SegmentOptions

if TYPE_CHECKING:
    from weakseg.photograph.photograph import Segmentation

OVERLAYS = (".png", ".jpg", ".jpeg", ".webp")
NamedPlaces = tuple[str, list[list[float]]]


def main(words: Sequence[str]) -> int:
    """Segment one photograph from tags, boxes, points or scribbles."""
    given = parse(_parser(), words, shown=("--method",))
    out = given.out or Path(f"{given.image.stem}-mask.png")
    _check_outputs(given, out)
    given.tags = [tag for text in given.tags for part in text.split(",") if (tag := part.strip())]
    marks = [[_mark(flag, text) for text in given[flag]] for flag in ("boxes", "points", "scribbles")]
    if not (given.tags or any(marks) or given.labels):
        raise ConfigError("segment: say what the photograph shows: --tags, --boxes, --points, --scribbles or --labels")
    if not given.image.is_file():
        what = "is a folder; give one photograph" if given.image.is_dir() else "no such image; check the path"
        raise DataError(f"{given.image}: {what}")
    result = _segmented(given, marks, settings_of(given, SegmentOptions))
    result.save(out)
    if given.overlay:
        from weakseg.report.overlay import save_overlay

        save_overlay(given.overlay, result.image, result.mask)
    shares = (f"{label} {tag}: {(result.mask == label).mean():.1%}" for label, tag in enumerate(result.tags, start=1))
    return conclude((), f"{out}: {', '.join(shares)} of the pixels")


def _check_outputs(given: Namespace, out: Path) -> None:
    """Refuse files that cannot be written, that hold another format than their name says, or that are there."""
    for name, path, suffixes in (("--out", out, (".png",)), ("--overlay", given.overlay, OVERLAYS)):
        if path is None:
            continue
        if path.suffix.lower() not in suffixes:
            raise ConfigError(f"{name}: {path} must end in {' or '.join(suffixes)}")
        if path.is_file() and given.image.exists() and path.samefile(given.image):
            raise ConfigError(f"{name}: {path} is the photograph itself; give another file")
        check_output(name, path, overwrite=given.overwrite)


def _segmented(given: Namespace, marks: list[list[NamedPlaces]], options: SegmentOptions) -> "Segmentation":
    """Return the mask that the marks of the command line, or of its label file, ask for."""
    from weakseg.api import segment, segment_labelled

    if given.labels:
        if given.tags or any(marks):
            raise ConfigError(
                f"labels: {given.labels} says what the photograph shows; give that, and no tags, boxes, points or "
                "scribbles"
            )
        return segment_labelled(given.image, given.labels, options=options)
    boxes, points = ([(n, p[0]) for n, p in _single(f, m)] for f, m in zip(("boxes", "points"), marks, strict=False))
    return segment(given.image, given.tags, boxes=boxes, points=points, scribbles=marks[2], options=options)


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
    parser.add_argument(
        "--tags", type=str, action="append", default=[], help="what it shows; repeat, or separate by commas"
    )
    parser.add_argument("--boxes", type=str, action="append", default=[], help='"NAME left,top,right,bottom"; repeat')
    parser.add_argument("--points", type=str, action="append", default=[], help='"NAME x,y"; repeat')
    parser.add_argument("--scribbles", type=str, action="append", default=[], help='"NAME x,y x,y ..."; repeat')
    parser.add_argument(
        "--labels",
        type=Path,
        help="instead of all these: label file of LabelMe, CVAT, Label Studio, COCO, VOC, YOLO, ScribbleSup, weakseg, "
        "or CSV, which calls the photograph by its file name; or folder of files with the photograph's name",
    )
    parser.add_argument("--out", type=out_path, help="mask to write; default: IMAGE-mask.png in the working folder")
    parser.add_argument("--overlay", type=Path, help="picture of the mask on the photograph to write")
    add_overwrite(parser, "--out and --overlay")
    add_settings(parser, SegmentOptions)
    return parser


def _mark(flag: str, text: str) -> NamedPlaces:
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


def _single(flag: str, marks: list[NamedPlaces]) -> list[NamedPlaces]:
    """Return marks of one place each; several are a mistake."""
    for name, places in marks:
        if len(places) != 1:
            raise ConfigError(f"--{flag}: {name!r} has {len(places)} places; repeat the flag for each")
    return marks
