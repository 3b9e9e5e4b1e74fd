"""``weakseg export``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import add_overwrite, build_parser, check_output, out_path, parse
from weakseg.errors import ConfigError

Format = Literal["coco", "coco-results", "voc", "segmentation-mask"]


def main(words: Sequence[str]) -> int:
    """Write objects or masks as other programs read them."""
    given = parse(_parser(), words)
    _check(given)
    from weakseg.cli.exported import export

    return export(given)


def _parser() -> ArgumentParser:
    parser = build_parser(
        "export",
        "Write objects (ID.instances.json) or masks (ID.png) as other programs read them.\n"
        "SOURCE is a run folder, or a folder of such files; a run's objects are taken where it has some, else its "
        "masks.\n\n"
        "  coco          a data set: images, annotations, categories. All pixels of a class of a mask are one object\n"
        "  coco-results  a list of detections, for evaluation servers, with the numbers of the data set --like\n"
        "  voc           SegmentationClass and, of objects, SegmentationObject, as indexed PNGs, with their lists\n"
        "  segmentation-mask  the same in colours: its zipped content is CVAT's 'Segmentation mask 1.1'",
        "  weakseg export out --format coco --out objects.json\n"
        "  weakseg export out --product masks --format coco --polygons --out masks.json\n"
        "  weakseg export out --format segmentation-mask --out for_cvat\n"
        "  weakseg export found --images photos --classes classes.txt --format coco --score 0.5 --out found.json\n"
        "  weakseg export found --classes classes.txt --format coco-results --like val.json --out results.json",
    )
    parser.add_argument("source", type=Path, help="folder of a run, of a comparison, or of objects or masks")
    parser.add_argument("--method", type=str, default="", help="which method of a comparison")
    parser.add_argument("--format", choices=get_args(Format), required=True, help="what to write")
    parser.add_argument(
        "--out", type=out_path, required=True, help="JSON file to write; of voc and segmentation-mask: folder"
    )
    add_overwrite(parser)
    parser.add_argument("--product", type=str, default="", help="of a run: step to export, such as predictions")
    parser.add_argument("--images", type=Path, help="folder of the images, for their names; a run knows its own")
    parser.add_argument("--classes", type=Path, help="class names, one a line; a run knows its own")
    parser.add_argument("--score", type=float, default=0.0, help="leave out objects of a lower score")
    parser.add_argument("--polygons", action="store_true", help="of coco: polygons, not runs; the same pixels")
    parser.add_argument(
        "--like", type=Path, help="of coco-results: COCO file with the numbers of images and categories"
    )
    return parser


def _check(given: Namespace) -> None:
    """Refuse flags that do not go together."""
    for flag, only in (("polygons", "coco"), ("like", "coco-results")):
        if given[flag] and given.format != only:
            raise ConfigError(f"--{flag}: is for --format {only}, got {given.format}; leave it out")
    if given.format == "coco-results" and given.like is None:
        raise ConfigError("--like: coco-results need it: the COCO file whose numbers of images and categories count")
    if not 0 <= given.score <= 1:
        raise ConfigError(f"--score: must lie in [0, 1], got {given.score}")
    if given.format.startswith("coco") and given.out.suffix != ".json":
        raise ConfigError(f"--out: {given.out} must end in .json")
    check_output("--out", given.out, overwrite=given.overwrite, folder=not given.format.startswith("coco"))
