"""``weakseg data``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weakseg.cli.common import (
    SHOWN_FAILURES,
    add_overwrite,
    build_parser,
    check_output,
    out_path,
    parse,
    settings_of,
)
from weakseg.data.config import DataConfig, SimulationConfig
from weakseg.errors import ConfigError
from weakseg.methods.recipes import METHODS_KEY, load_recipe, read_settings
from weakseg.methods.shared_recipe import load_recipes

if TYPE_CHECKING:
    from weakseg.data.check import DatasetReport, UnreadableImage
    from weakseg.data.counts import DrawnCounts
    from weakseg.data.saliency_check import SaliencyReport

DATA = ("root", "format", "train", "val", "classes", "truth", "drawn", "class_map")
SHOWN = (*(f"--data.{name}" for name in DATA), "--kind", "--split")


def main(words: Sequence[str]) -> int:
    """Look at a data set, or simulate weak labels from its true masks."""
    parser = build_parser(
        "data",
        "Look at a data set: decode every image, count every tag and drawn label, name what is wrong. Or simulate the "
        "weak labels that people might draw, from true masks, for experiments.",
        "  weakseg data check --data.root photos --data.train tags.csv\n"
        "  weakseg data check --data.root VOC2012 --data.format voc --data.train train --data.val val\n"
        "  weakseg data check --recipe recipes/cam_msrc.yaml --data.root msrc\n"
        "  weakseg data simulate --kind scribbles --out scribbles.json --data.root VOC2012 --data.format voc "
        "--data.train train",
    )
    parser.add_argument("action", type=str, help="check or simulate")
    parser.add_argument("--out", type=str, default="", help="simulate: JSON file that gets the labels")
    add_overwrite(parser)
    parser.add_class_arguments(SimulationConfig, nested_key=None)
    parser.add_argument("--recipe", type=str, default="", help="take the data section of a recipe")
    parser.add_class_arguments(DataConfig, "data")
    given = parse(parser, words, shown=SHOWN)
    if given.action not in ("check", "simulate"):
        raise ConfigError(f"data {given.action}: no such action; there are 'check' and 'simulate'")
    if (given.action == "simulate") != bool(given.out):
        raise ConfigError("data: give --out FILE with 'simulate', and only then")
    if given.overwrite and not given.out:
        raise ConfigError("--overwrite: 'check' writes nothing; leave it out")
    config = _data_of(given.recipe, _overrides(words)) if given.recipe else given.data
    if given.action == "simulate":
        check_output("--out", out := out_path(given.out), overwrite=given.overwrite)
        return _simulate(config, settings_of(given, SimulationConfig), out)
    from weakseg.data.check import check_dataset
    from weakseg.data.dataset import open_dataset
    from weakseg.data.truth import check_truth

    dataset = open_dataset(config)
    report = check_dataset(dataset)
    print(describe(report))
    check_truth(config, dataset)
    unusable = report.saliency.failures if report.saliency else {}
    return 1 if report.failures or unusable else 0


def _data_of(source: str, overrides: Sequence[str]) -> DataConfig:
    """Return the data section of a recipe of one method or of several."""
    if Path(source).is_file() and METHODS_KEY in read_settings(Path(source)):
        return next(iter(load_recipes(source, overrides=overrides).values())).data
    return load_recipe(source, overrides).data


def _overrides(words: Sequence[str]) -> list[str]:
    """Return the flags of the data section, with their values, as they were typed."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    given = ((flag, () if "=" in flag else (value,)) for flag, value in pairs if flag.startswith("--data."))
    return [word for flag, value in given for word in (flag, *value)]


def _drawn_lines(names: Sequence[str], counts: "DrawnCounts") -> list[str]:
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
    lines.append(f"  images by strongest label: {shares}")
    if counts.partly:
        rest = ", ".join(f"{number} from {kind}" for kind, number in counts.partly.items())
        lines.append(f"  outlined in part: outlines stay as they are, the rest is completed: {rest}")
    return lines


def _saliency_lines(saliency: "SaliencyReport | None") -> list[str]:
    if saliency is None:
        return []
    resized = f", {saliency.resized} of another size than the photograph, and resized" if saliency.resized else ""
    lines = [f"\nsaliency: {saliency.maps} maps for {saliency.images} images{resized}"]
    shown = [f"  left out: {reason}" for reason in list(saliency.failures.values())[:SHOWN_FAILURES]]
    more = len(saliency.failures) - SHOWN_FAILURES
    return [*lines, *shown, *([f"  and {more} more that cannot be used"] if more > 0 else [])]


def _dropped_lines(dropped: Mapping[str, str]) -> list[str]:
    shown = [f"  {where}: {reason}" for where, reason in list(dropped.items())[:SHOWN_FAILURES]]
    more = [f"  and {len(dropped) - SHOWN_FAILURES} more"] if len(dropped) > SHOWN_FAILURES else []
    return [f"\nleft out: {len(dropped)} drawn labels", *shown, *more] if dropped else []


def _simulate(data: DataConfig, config: SimulationConfig, out: Path) -> int:
    """Write simulated labels, print what they would cost, and return the exit code."""
    from weakseg.data.effort import total_effort
    from weakseg.data.simulated import save_simulated, simulate_split

    split = simulate_split(data, config)
    save_simulated(out, split.kind, split.classes, split.images)
    effort = total_effort(image.effort for image in split.images)
    masks = sum(image.mask_seconds for image in split.images)
    print(f"{len(split.images)} images with {split.kind} in {out}")
    print(f"effort: {effort.seconds / 3600:.2f} hours, {effort.clicks} clicks, {effort.length_px:.0f} px drawn")
    print(f"        (true masks: {masks / 3600:.2f} hours; published timings, see weakseg.data.effort)")
    if split.without_truth:
        print(f"left out: {split.without_truth} images that have no ground truth")
    for line in _failures(split.failures):
        print(line)
    return 1 if split.failures else 0


def _failures(failures: "Sequence[UnreadableImage]") -> list[str]:
    """Return a line for each of the first failures, and how many there are beyond."""
    more = len(failures) - SHOWN_FAILURES
    lines = [f"failed: {f.image_id}: {f.reason}" for f in failures[:SHOWN_FAILURES]]
    return [*lines, f"and {more} more failed images"] if more > 0 else lines


def describe(report: "DatasetReport") -> str:
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
    for name, members in report.lists.items():
        shares = ", ".join(f"{number} of {split or 'no split'}" for split, number in members.items() if number)
        lines.append(f"\nscored on {name}: {shares}")
    lines += _saliency_lines(report.saliency)
    lines += _dropped_lines(report.dropped)
    lines += [f"\nwarning: {text}" for text in report.warnings]
    return "\n".join([*lines, *_failures(report.failures)])
