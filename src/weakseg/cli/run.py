"""``weakseg run``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weakseg.cli.common import (
    ALL_FLAG,
    HELP_FLAGS,
    add_run_options,
    build_parser,
    conclude,
    conclude_shard,
    out_path,
    parse,
    run_options,
    split_words,
)
from weakseg.cli.short_help import short_help
from weakseg.crew import crew
from weakseg.files import read_json
from weakseg.methods import METHODS
from weakseg.methods.recipes import load_recipe, recipe_parser

SHOWN = (
    "--data.root",
    "--data.format",
    "--data.train",
    "--data.val",
    "--data.truth",
    "--data.drawn",
    "--seed",
    "--classifier.fit.epochs",
    "--growing.fit.epochs",
    "--segmenter.fit.epochs",
    "--rounds",
)


def main(words: Sequence[str]) -> int:
    """Carry out a recipe, and write its report."""
    parser = build_parser(
        "run",
        "Carry out a recipe: check the data, train the labeller, make masks, train the segmenter, score, report.\n"
        "Stop it at any moment; the same command goes on where it stopped. With other settings it makes anew what\n"
        "they touch.\n\n"
        f"RECIPE is a YAML file, or a method with its defaults: {', '.join(METHODS)}.\n"
        "Any setting can be overridden: --SECTION.SETTING VALUE. 'weakseg run RECIPE --help' shows the most important\n"
        "ones, 'weakseg run RECIPE --help-all' all.",
        "  weakseg run cam --out out --data.root photos --data.train tags.csv\n"
        "  weakseg run recipes/cam_msrc.yaml --out out --data.root msrc --segmenter.fit.epochs 4",
    )
    parser.add_argument("recipe", type=str, help="recipe file, or name of a method")
    parser.add_argument("--out", type=out_path, required=True, help="run folder")
    parser.add_argument("--until", metavar="STEP", type=str, default="", help="the last step: classifier, masks, ...")
    add_run_options(parser, trains=True)
    own, overrides = split_words(words, with_value=("--until",))
    if own and not own[0].startswith("-") and not {*HELP_FLAGS, ALL_FLAG}.isdisjoint(own):
        settings = recipe_parser(load_recipe(own[0]).method)
        print(settings.format_help() if ALL_FLAG in own else short_help(parser, settings, SHOWN))
        return 0
    given = parse(parser, own)
    recipe = load_recipe(given.recipe, overrides)
    from weakseg.methods.run import run_recipe
    from weakseg.pipeline.runner import FAILURES_FILE
    from weakseg.report.run import write_run_report

    options = run_options(given)
    result = run_recipe(recipe, given.out, options)
    if result.shard:
        return conclude_shard({"": result.shard}, given.out, options)
    if crew().follows:
        return 0
    if options.until:
        done = f"done until {options.until}; without --until it goes on from there"
        return conclude(result.failures, done, listed=given.out / FAILURES_FILE)
    page = write_run_report(given.out, result.dataset)
    told = f"{_scores(given.out)}{_trust(given.out)}report: {page.resolve()}"
    return conclude(result.failures, told, listed=given.out / FAILURES_FILE)


def _scores(out: Path) -> str:
    """Return two lines for each scored product: figures and protocol."""
    from weakseg.evaluation.protocol import describe_protocol, scored_on
    from weakseg.steps.evaluate import RESULTS_FILE

    results = read_json(out / "evaluation" / RESULTS_FILE)
    maps = [
        f"{s['name']} ({scored_on(s['protocol'])}): {s['mean_iou']:.1f} mIoU, coverage {s['coverage']:.1f} %\n"
        f"  {describe_protocol(s)}\n"
        for s in results["scores"]
    ]
    return "".join([*maps, *map(_objects, results["objects"])])


def _trust(out: Path) -> str:
    """Return a line on how many masks are to be trusted, where that is known."""
    from weakseg.steps.reliability import LIST_FILE, RELIABILITY, all_doubts

    if not (doubts := all_doubts(out / RELIABILITY)):
        return ""
    good = sum(one.trusted for one in doubts)
    return f"masks to trust: {good} of {len(doubts)}, by an estimate; {out / LIST_FILE} has each\n"


def _objects(score: Mapping[str, Any]) -> str:
    from weakseg.evaluation.instance_protocol import describe_objects
    from weakseg.evaluation.protocol import scored_on

    shown = {f"at IoU {name}": value for name, value in score["mean_ap_region"].items()}
    shown |= {"COCO AP": score["coco"]["ap"]}
    figures = ", ".join(f"{name} {'absent' if value is None else f'{value:.1f}'}" for name, value in shown.items())
    return f"{score['name']} ({scored_on(score['protocol'])}): mAP^r {figures}\n  {describe_objects(score)}\n"
