"""``weakseg queue``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import add_overwrite, build_parser, check_output, out_path, parse

FIRST = 20


def main(words: Sequence[str]) -> int:
    """Say what to draw next on the photographs of a run."""
    parser = build_parser(
        "queue",
        "Say what to draw next on the photographs of a run: which photograph, class and kind of label (tag, click,\n"
        "stroke, box), by the gain in mIoU that is expected of a second of drawing. Photographs that a person has\n"
        "accepted never come. No true mask is looked at, and the run stays as it is.",
        "  weakseg queue out\n"
        "  weakseg queue out --labels weakseg.json --verdicts checked.csv --first 50 --out queue.csv\n"
        "  weakseg queue comparison --method irnet --kinds box,click",
    )
    parser.add_argument("run", type=Path, help="run folder, or folder of a comparison")
    parser.add_argument("--method", type=str, default="", help="which method of a comparison")
    parser.add_argument("--labels", type=Path, help="what has been drawn and accepted since: weakseg.json")
    parser.add_argument("--verdicts", type=Path, help="what has been accepted and rejected: checked.csv of a report")
    parser.add_argument("--kinds", type=str, default="", help="labels that may be drawn, by commas; default: all")
    parser.add_argument("--first", type=int, default=FIRST, help="how many to list; 0: all")
    parser.add_argument("--out", type=out_path, help="CSV file of the list")
    add_overwrite(parser)
    given = parse(parser, words)
    check_output("--out", given.out, overwrite=given.overwrite)
    from weakseg.cli.queueing import queue

    print(queue(given))
    return 0
