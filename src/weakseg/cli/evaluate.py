"""``weakseg evaluate``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from weakseg.cli.common import add_overwrite, build_parser, check_output, out_path, parse
from weakseg.settings.evaluate import Match, UndecidedPolicy


def main(words: Sequence[str]) -> int:
    """Compare masks, or instances, with ground truth."""
    parser = build_parser(
        "evaluate",
        "Compare masks with ground truth: one confusion matrix over all images, absent classes left out of the mean.\n"
        "With --objects, or a COCO file as --truth, compare instances: mean average precision by mask IoU.",
        "  weakseg evaluate --predictions masks --truth SegmentationClass --classes classes.txt\n"
        "  weakseg evaluate --predictions masks --truth SegmentationClass --classes classes.txt --list val.txt\n"
        "  weakseg evaluate --predictions found --truth SegmentationClass --objects SegmentationObject \\\n"
        "      --classes classes.txt\n"
        "  weakseg evaluate --predictions found --truth instances.json --classes classes.txt",
    )
    parser.add_argument(
        "--predictions", type=Path, required=True, help="folder of the masks (ID.png), or of the instances"
    )
    parser.add_argument("--truth", type=Path, required=True, help="folder of the true masks (ID.png), or COCO file")
    parser.add_argument("--objects", type=Path, help="folder of the true objects' numbers (ID.png): score instances")
    parser.add_argument(
        "--match", choices=get_args(Match), default="best", help="of instances: what each is compared with"
    )
    parser.add_argument("--classes", type=Path, required=True, help="class names, one a line")
    parser.add_argument("--list", type=Path, help="image ids, one a line; default: every true mask")
    parser.add_argument(
        "--void",
        type=Literal["auto", "none"] | int,
        default="auto",
        help="value of true masks that says nothing; auto: 255, unless it may be the object; none: no value",
    )
    parser.add_argument("--palette", type=Path, help="colours of true masks (labelmap.txt); default: beside, or above")
    parser.add_argument(
        "--undecided", choices=get_args(UndecidedPolicy), default="error", help="of masks: what 255 counts as"
    )
    parser.add_argument("--out", type=out_path, help="JSON file to write")
    add_overwrite(parser)
    given = parse(parser, words)
    check_output("--out", given.out, overwrite=given.overwrite)
    from weakseg.cli.scores import evaluate_instances, evaluate_masks

    return (evaluate_instances if given.objects or given.truth.suffix == ".json" else evaluate_masks)(given)
