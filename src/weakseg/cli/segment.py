"""``weakseg segment``."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
from weakseg.cli.proposers import add_proposer, with_proposer
from weakseg.errors import ConfigError, DataError
from weakseg.photograph.config import SegmentOptions, group_options
from weakseg.pipeline.plan import Failure

if TYPE_CHECKING:
    from weakseg.photograph.photograph import Photograph
    from weakseg.photograph.segmentation import Segmentation

logger = logging.getLogger(__name__)

TOGETHER = "--together"
OVERLAYS = (".png", ".jpg", ".jpeg", ".webp")
NamedPlaces = tuple[str, list[list[float]]]


class Files(NamedTuple):
    """A photograph, and what is made of it."""

    image: Path
    mask: Path
    overlay: Path | None


def main(words: Sequence[str]) -> int:
    """Segment photographs from tags, boxes, points or scribbles."""
    parser = _parser()
    if TOGETHER in words:
        seeds = group_options().seeds
        parser.set_defaults({"seeds.strict": seeds.strict, "seeds.lenient": seeds.lenient})
    given = parse(parser, words, shown=("--method",))
    files = _files(given)
    given.tags = [tag for text in given.tags for part in text.split(",") if (tag := part.strip())]
    marks = [[_mark(flag, text) for text in given[flag]] for flag in ("boxes", "points", "scribbles")]
    if not (given.tags or any(marks) or given.labels):
        raise ConfigError("segment: say what the photograph shows: --tags, --boxes, --points, --scribbles or --labels")
    options = with_proposer(settings_of(given, SegmentOptions), given)
    if len(files) > 1:
        if any(marks) or given.labels:
            raise ConfigError(
                "segment: several photographs share --tags alone; give one photograph with --boxes, --points, "
                "--scribbles or --labels"
            )
        return _segment_several(files, given.tags, options, together=given.together)
    if given.together:
        raise ConfigError(f"--together: {given.images[0]} is one photograph; give two or more that show the same")
    _check_photograph(files[0].image)
    return conclude((), _save(files[0], _segmented(given, marks, options)))


def _files(given: Namespace) -> list[Files]:
    """Return what is read and written.

    Raises:
        ConfigError: If a file cannot be written, holds another format than its name says, is there, or is one of the
            photographs, or if two photographs would have the same.
    """
    images, out, overlay = given.images, given.out, given.overlay
    if len(images) == 1:
        files = [Files(images[0], out or Path(f"{images[0].stem}-mask.png"), overlay)]
    else:
        for flag, folder in (("--out", out), ("--overlay", overlay)):
            if folder is not None and folder.suffix.lower() in OVERLAYS:
                raise ConfigError(f"{flag}: {folder} is one file for {len(images)} photographs; give a folder")
            check_output(flag, folder, overwrite=True, folder=True)
        files = [
            Files(image, (out or Path()) / f"{image.stem}-mask.png", overlay and overlay / f"{image.stem}-overlay.jpg")
            for image in images
        ]
    of_stem: dict[str, Path] = {}
    for file in files:
        if (other := of_stem.setdefault(file.image.stem, file.image)) is not file.image:
            raise ConfigError(f"segment: {other} and {file.image} would have one mask, {file.mask}; rename one")
        _check_output("--out", file.mask, (".png",), given)
        _check_output("--overlay", file.overlay, OVERLAYS, given)
    return files


def _check_output(flag: str, path: Path | None, suffixes: Sequence[str], given: Namespace) -> None:
    """Refuse a file that cannot be written, that holds another format than its name says, or that is there."""
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"{flag}: {path} must end in {' or '.join(suffixes)}")
    if path.is_file() and any(image.exists() and path.samefile(image) for image in given.images):
        raise ConfigError(f"{flag}: {path} is the photograph itself; give another file")
    check_output(flag, path, overwrite=given.overwrite)


def _segment_several(files: Sequence[Files], tags: Sequence[str], options: SegmentOptions, *, together: bool) -> int:
    """Write masks of photographs that share tags, alone or together; those that cannot be read fail by name."""
    from weakseg.photograph.group import grouped, segment_together
    from weakseg.photograph.marks import read_marks

    marks, failures = read_marks(tags), list[Failure]()
    for group in grouped(files) if together else [[file] for file in files]:
        opened = _opened(group, failures)
        photographs = [photograph for _, photograph in opened]
        if together and len(photographs) > 1:
            results = segment_together(photographs, tags, options)
        else:
            results = [photograph.segment(marks, options) for photograph in photographs]
            if together and photographs:
                logger.warning(
                    "%s is segmented alone: no other photograph of its group can be read", opened[0][0].image
                )
        for (file, _), result in zip(opened, results, strict=True):
            print(_save(file, result))
    return conclude(failures, f"{len(files) - len(failures)} of {len(files)} photographs")


def _opened(files: Sequence[Files], failures: list[Failure]) -> "list[tuple[Files, Photograph]]":
    """Return the photographs that can be read; the others are added to the failures."""
    from weakseg.photograph.photograph import Photograph

    found = []
    for file in files:
        try:
            _check_photograph(file.image)
            found.append((file, Photograph(file.image)))
        except DataError as error:
            failures.append(Failure(str(file.image), "segment", str(error)))
    return found


def _check_photograph(path: Path) -> None:
    if not path.is_file():
        what = "is a folder; give one photograph" if path.is_dir() else "no such image; check the path"
        raise DataError(f"{path}: {what}")


def _save(files: Files, result: "Segmentation") -> str:
    """Write a mask and its overlay, and return what the mask covers."""
    result.save(files.mask)
    if files.overlay:
        from weakseg.photograph.overlay import save_overlay

        save_overlay(files.overlay, result.image, result.mask)
    told = (f"{label} {text}" for label, text in enumerate(result.told(), start=1))
    return f"{files.mask}: {', '.join(told)}"


def _segmented(given: Namespace, marks: list[list[NamedPlaces]], options: SegmentOptions) -> "Segmentation":
    """Return the mask that the marks of the command line, or of its label file, ask for."""
    from weakseg.api import segment, segment_labelled

    if given.labels:
        if given.tags or any(marks):
            raise ConfigError(
                f"labels: {given.labels} says what the photograph shows; give that, and no tags, boxes, points or "
                "scribbles"
            )
        return segment_labelled(given.images[0], given.labels, options=options)
    boxes, points = ([(n, p[0]) for n, p in _single(f, m)] for f, m in zip(("boxes", "points"), marks, strict=False))
    return segment(given.images[0], given.tags, boxes=boxes, points=points, scribbles=marks[2], options=options)


def _parser() -> ArgumentParser:
    parser = build_parser(
        "segment",
        "Masks of photographs from tags in the vocabulary of ImageNet, or from boxes, points or scribbles of any "
        "names, with no training.\nCoordinates are pixels: x to the right, y down, from the upper left corner.",
        '  weakseg segment cat.jpg --tags "tabby cat"\n'
        '  weakseg segment cat.jpg --tags "tabby cat" --method wsgcn\n'
        '  weakseg segment cat1.jpg cat2.jpg cat3.jpg --tags "tabby cat" --together --out masks\n'
        '  weakseg segment cat.jpg --boxes "cat 40,30,200,180"\n'
        '  weakseg segment cat.jpg --points "cat 120,90" --points "background 10,10"\n'
        '  weakseg segment cat.jpg --scribbles "cat 90,80 120,90 150,100" --scribbles "background 5,5 300,5"\n'
        "  weakseg segment cat.jpg --labels cat.json\n"
        "  weakseg segment street.jpg --tags car --tags bicycle --out mask.png --overlay look.png\n"
        "  weakseg segment cat.jpg --tags cat --seeds.strict 0.4",
    )
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="photograph; several share --tags")
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
    parser.add_argument(
        TOGETHER,
        action="store_true",
        help="photographs that show the same help each other; groups of 8 at most",
    )
    parser.add_argument(
        "--out", type=out_path, help="mask, or folder of several; default: IMAGE-mask.png in the working folder"
    )
    parser.add_argument("--overlay", type=Path, help="picture of the mask on the photograph, or folder of several")
    add_proposer(parser, device=False)
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
