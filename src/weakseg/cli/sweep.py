"""``weakseg sweep``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from weakseg.cli.common import build_parser, parse


def main(words: Sequence[str]) -> int:
    """Try thresholds, with and without a CRF, on photographs whose masks somebody has checked."""
    parser = build_parser(
        "sweep",
        "Try background thresholds, with and without a CRF, on those photographs of a run that have checked masks,\n"
        "and say what to set. Nothing is trained, and nothing is written. For methods that read seeds off activations\n"
        "(cam, group, oaa, mlgcn, and their variants in a comparison).",
        "  weakseg sweep out --checked checked-masks\n  weakseg sweep comparison --method cam --checked checked-masks",
    )
    parser.add_argument("run", type=Path, help="run folder, or folder of a comparison")
    parser.add_argument("--checked", type=Path, required=True, help="folder of checked masks, ID.png")
    parser.add_argument("--method", type=str, default="", help="which method of a comparison")
    parser.add_argument(
        "--void",
        type=Literal["auto", "none"] | int,
        default="auto",
        help="value of checked masks that says nothing; auto: 255, unless it may be the object; none: no value",
    )
    parser.add_argument(
        "--palette", type=Path, help="colours of checked masks (labelmap.txt); default: beside, or above"
    )
    given = parse(parser, words)
    from weakseg.cli.sweeping import sweep

    print(sweep(given))
    return 0
