"""``weakseg report``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import build_parser, conclude, parse


def main(words: Sequence[str]) -> int:
    """Write the report of a run folder."""
    parser = build_parser("report", "Write the HTML report of a run folder, finished or not.", "  weakseg report out")
    parser.add_argument("run", type=Path, help="run folder")
    run = parse(parser, words).run
    from weakseg.report.run import write_run_report

    return conclude((), f"report: {write_run_report(run).resolve()}")
