"""``weakseg report``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import build_parser, conclude, parse


def main(words: Sequence[str]) -> int:
    """Write the report of a run folder."""
    parser = build_parser("report", "Write the HTML report of a run folder, finished or not.", "  weakseg report out")
    parser.add_argument("run", type=Path, help="run folder")
    return conclude((), f"report: {write_report(parse(parser, words).run).resolve()}")


def write_report(run: Path) -> Path:
    """Write ``report.html`` into a run folder and return its path."""
    from weakseg.report import save
    from weakseg.report.run import build_run_report

    path = run / "report.html"
    save(build_run_report(run), path)
    return path
