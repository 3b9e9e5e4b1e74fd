"""``weakseg data``."""

from collections.abc import Sequence

from weakseg.cli.common import SHOWN_FAILURES, build_parser, parse
from weakseg.data.check import DatasetReport, check_dataset
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.errors import ConfigError
from weakseg.methods.recipes import load_recipe


def main(words: Sequence[str]) -> int:
    """Look at a data set."""
    parser = build_parser(
        "data",
        "Look at a data set: decode every image, count every tag, name what is wrong.",
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
    lines += [f"\nwarning: {text}" for text in report.warnings]
    lines += [f"failed: {f.image_id}: {f.reason}" for f in report.failures[:SHOWN_FAILURES]]
    if len(report.failures) > SHOWN_FAILURES:
        lines.append(f"and {len(report.failures) - SHOWN_FAILURES} more failed images")
    return "\n".join(lines)
