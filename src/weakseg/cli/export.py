"""``weakseg export``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import add_overwrite, build_parser, check_output, out_path, parse
from weakseg.errors import ConfigError

Format = Literal[
    "coco", "coco-results", "voc", "segmentation-mask", "cvat", "yolo-segments", "yolo-boxes", "labelme", "labelstudio"
]
DESCRIPTION = (
    "Write objects (ID.instances.json) or masks (ID.png) for other programs.\n"
    "Of a run its objects are taken where it has some, else its masks.\n\n"
    "  coco          a data set: images, annotations, categories. All pixels of a class of a mask are one object\n"
    "  coco-results  a list of detections, for evaluation servers, with the numbers of the data set --like\n"
    "  voc           SegmentationClass and, of objects, SegmentationObject, as indexed PNGs, with their lists\n"
    "  segmentation-mask  the same in colours: its zipped content is CVAT's 'Segmentation mask 1.1'\n"
    "  cvat          CVAT's XML 'CVAT 1.1' for images: masks of objects, or with --polygons polygons\n"
    "  yolo-segments      images, labels (outlines) and data.yaml, as Ultralytics trains on them\n"
    "  yolo-boxes         the same with boxes; of masks one around each part of a class\n"
    "  labelme            a JSON file beside a copy of each photograph; undecided pixels are '__ignore__'\n"
    "  labelstudio        tasks.json with predictions (brush), and labelstudio.xml, the labelling configuration"
)
EXAMPLES = (
    "  weakseg export out --format coco --out objects.json\n"
    "  weakseg export out --format segmentation-mask --palette labelmap.txt --out for_cvat\n"
    "  weakseg export out --format yolo-segments --out for_yolo\n"
    "  weakseg export out --format labelstudio --url-prefix '/data/local-files/?d=photos/' --out tasks\n"
    "  weakseg export found --images photos --classes classes.txt --format coco --score 0.5 --out found.json"
)
LOCAL_FILES = "/data/local-files/?d="
FILES = {"coco": ".json", "coco-results": ".json", "cvat": ".xml"}  # all others are folders
YOLO = ("yolo-segments", "yolo-boxes")
ONLY: dict[str, tuple[str, ...]] = {  # what flags are for, all others apart
    "polygons": ("coco", "cvat", "labelme"),
    "palette": ("voc", "segmentation-mask", "cvat"),
    "like": ("coco-results",),
    "holes": ("yolo-segments",),
    "undecided": YOLO,
    "photographs": (*YOLO, "labelme"),
    "url_prefix": ("labelstudio",),
}


def main(words: Sequence[str]) -> int:
    """Write objects or masks as other programs read them."""
    given = parse(_parser(), words)
    _check(given)
    from weakseg.cli.exported import export

    return export(given)


def _parser() -> ArgumentParser:
    parser = build_parser("export", DESCRIPTION, EXAMPLES)
    parser.add_argument("source", type=Path, help="folder of a run, comparison, objects or masks")
    parser.add_argument("--method", type=str, default="", help="which method of a comparison")
    parser.add_argument("--format", choices=get_args(Format), required=True, help="what to write")
    parser.add_argument("--out", type=out_path, required=True, help="folder; file for coco(-results) and cvat")
    add_overwrite(parser)
    parser.add_argument("--product", type=str, default="", help="of a run: step to export, such as predictions")
    parser.add_argument("--images", type=Path, help="folder of the images; a run knows its own")
    parser.add_argument("--classes", type=Path, help="class names, one a line; a run knows its own")
    parser.add_argument("--score", type=float, default=0.0, help="leave out objects of a lower score")
    parser.add_argument("--polygons", action="store_true", help="of coco, cvat and labelme: polygons")
    parser.add_argument("--palette", type=Path, help="labelmap.txt whose colours classes keep")
    parser.add_argument("--like", type=Path, help="of coco-results: COCO file whose numbers count")
    _add_choices(parser)
    return parser


def _add_choices(parser: ArgumentParser) -> None:
    """Add what formats cannot hold, and where they look for photographs."""
    parser.add_argument(
        "--holes",
        choices=("bridge", "refuse"),
        default="bridge",
        help="of yolo-segments: bridge them, or leave these out",
    )
    parser.add_argument(
        "--undecided",
        choices=("refuse", "background"),
        default="refuse",
        help="of yolo: leave such photographs out",
    )
    parser.add_argument(
        "--photographs",
        choices=("copy", "leave"),
        default="copy",
        help="of yolo, labelme: beside labels",
    )
    parser.add_argument(
        "--url-prefix",
        type=str,
        default=LOCAL_FILES,
        help="of labelstudio: before photographs' quoted names",
    )


def _check(given: Namespace) -> None:
    """Refuse flags that do not go together."""
    defaults = _parser().get_defaults()
    for flag, only in ONLY.items():
        if given[flag] != defaults[flag] and given.format not in only:
            raise ConfigError(
                f"--{flag.replace('_', '-')}: is for --format {' or '.join(only)}, got {given.format}; leave it out"
            )
    if given.format == "coco-results" and given.like is None:
        raise ConfigError("--like: coco-results need it: the COCO file whose numbers of images and categories count")
    if not 0 <= given.score <= 1:
        raise ConfigError(f"--score: must lie in [0, 1], got {given.score}")
    suffix = FILES.get(given.format)
    if suffix and given.out.suffix != suffix:
        raise ConfigError(f"--out: {given.out} must end in {suffix}")
    check_output("--out", given.out, overwrite=given.overwrite, folder=suffix is None)
