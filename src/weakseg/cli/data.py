"""``weakseg data``."""

from collections.abc import Mapping, Sequence

from weakseg.cli.common import SHOWN_FAILURES, build_parser, parse
from weakseg.data.check import DatasetReport, check_dataset
from weakseg.data.config import DataConfig
from weakseg.data.counts import DrawnCounts
from weakseg.data.dataset import open_dataset
from weakseg.errors import ConfigError
from weakseg.methods.recipes import load_recipe


def main(words: Sequence[str]) -> int:
    """Look at a data set."""
    parser = build_parser(
        "data",
        "Look at a data set: decode every image, count every tag and drawn label, name what is wrong.",
        "  weakseg data check --data.root photos --data.train tags.csv\n"
        "  weakseg data check --data.root VOC2012 --data.format voc --data.train train --data.val val\n"
        "  weakseg data check --recipe recipes/cam_msrc.yaml --data.root msrc",
    )
    parser.add_argument("action", type=str, help="check")
    parser.add_argument("--recipe", type=str, default="", help="take the data section of a recipe")
    parser.add_class_arguments(DataConfig, "data")
    given = parse(parser, words)
    if given.action != "check":
        raise ConfigError(f"data {given.action}: no such action; there is 'check'")
    config = load_recipe(given.recipe, _overrides(words)).data if given.recipe else given.data
    report = check_dataset(open_dataset(config))
    print(describe(report))
    return 1 if report.failures else 0


def _overrides(words: Sequence[str]) -> list[str]:
    """Return the flags of the data section, with their values, as they were typed."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    given = ((flag, () if "=" in flag else (value,)) for flag, value in pairs if flag.startswith("--data."))
    return [word for flag, value in given for word in (flag, *value)]


def _drawn_lines(names: Sequence[str], counts: DrawnCounts) -> list[str]:
    """Return a table of shapes by class and kind, and the images by strongest label; nothing where none is drawn."""
    if not counts.shapes:
        return []
    width = max(map(len, (*names, "background")))
    lines = ["  drawn" + " " * max(width - 5, 0) + "".join(f" {kind:>9}" for kind in counts.shapes)]
    for class_id, name in enumerate(("background", *names)):
        numbers = [count[class_id] for count in counts.shapes.values()]
        if class_id or any(numbers):
            lines.append(f"  {name:<{width}}" + "".join(f" {number:9d}" for number in numbers))
    if counts.ignored:
        lines.append(f"  and {counts.ignored} regions to be ignored")
    shares = ", ".join(f"{number} {kind}" for kind, number in counts.strongest.items())
    return [*lines, f"  images by strongest label: {shares}"]


def _dropped_lines(dropped: Mapping[str, str]) -> list[str]:
    shown = [f"  {where}: {reason}" for where, reason in list(dropped.items())[:SHOWN_FAILURES]]
    more = [f"  and {len(dropped) - SHOWN_FAILURES} more"] if len(dropped) > SHOWN_FAILURES else []
    return [f"\nleft out: {len(dropped)} drawn labels", *shown, *more] if dropped else []


def describe(report: DatasetReport) -> str:
    """Return the summary as text."""
    lines = [f"{report.num_images} images, {len(report.class_names)} classes"]
    if report.smallest and report.largest:
        lines.append(
            f"rows {report.smallest[0]}..{report.largest[0]}, columns {report.smallest[1]}..{report.largest[1]}"
        )
    width = max(map(len, report.class_names))
    for split, counts in report.splits.items():
        lines.append(f"\n{split}: {counts.num_images} images, {counts.num_untagged} without a tag")
        for name, present, unknown in zip(report.class_names, counts.present, counts.unknown, strict=True):
            lines.append(f"  {name:<{width}} {present:6d}" + (f"  ({unknown} unknown)" if unknown else ""))
        lines += _drawn_lines(report.class_names, report.drawn[split])
    lines += _dropped_lines(report.dropped)
    lines += [f"\nwarning: {text}" for text in report.warnings]
    lines += [f"failed: {f.image_id}: {f.reason}" for f in report.failures[:SHOWN_FAILURES]]
    if len(report.failures) > SHOWN_FAILURES:
        lines.append(f"and {len(report.failures) - SHOWN_FAILURES} more failed images")
    return "\n".join(lines)
