"""``weakseg compare``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weakseg.cli.common import (
    add_run_options,
    build_parser,
    conclude,
    conclude_shard,
    out_path,
    parse,
    run_options,
    split_words,
)
from weakseg.crew import crew
from weakseg.methods import METHODS
from weakseg.methods.shared_recipe import load_recipes

if TYPE_CHECKING:
    from weakseg.methods.compare import Comparison
    from weakseg.report import Table


def main(words: Sequence[str]) -> int:
    """Carry out several methods on the same data, and compare them."""
    parser = build_parser(
        "compare",
        "Carry out several methods from the same classifier and activations: no step is computed twice. Prints a\n"
        "table, and writes results.json and report.html, with the methods side by side for each image.\n"
        "Stop it at any moment: the same command goes on where it stopped, and one with more methods or with other\n"
        "settings takes what is there.\n\n"
        f"RECIPE is a YAML file with sections of any of the methods, or a method's name: {', '.join(METHODS)}.\n"
        "Settings of one method stand under 'methods: {NAME: {SECTION: {SETTING: VALUE}}}'.\n"
        "Overrides: --SECTION.SETTING VALUE for each method that has it,\n"
        "--methods.NAME.SECTION.SETTING VALUE for one.\n"
        "'weakseg run METHOD --help-all' lists a method's settings.",
        "  weakseg compare recipes/cam_msrc.yaml --methods cam,supervised --out out --data.root msrc --segmenter\n"
        "  weakseg compare my.yaml --out out --seed 1 --methods.cam.seeds.strict 0.6\n"
        "  weakseg compare recipes/ablation_group_msrc.yaml --out out --data.root msrc --until activations",
    )
    parser.add_argument("recipe", type=str, help="recipe file, or name of a method")
    parser.add_argument("--methods", type=str, default="", help="names with commas; default: those under 'methods'")
    parser.add_argument("--out", type=out_path, required=True, help="folder of the comparison")
    parser.add_argument("--segmenter", action="store_true", help="train and apply segmenters too, not masks alone")
    parser.add_argument("--until", metavar="STEP", type=str, default="", help="the last step: activations, seeds, ...")
    add_run_options(parser, trains=True)
    own, overrides = split_words(words, with_value=("--methods", "--until"), switches=("--segmenter",))
    given = parse(parser, own)
    names = [name.strip() for name in given.methods.split(",") if name.strip()]
    recipes = load_recipes(given.recipe, names, overrides)
    from weakseg.methods.compare import compare_methods

    until, options = given.until, run_options(given)
    comparison = compare_methods(recipes, given.out, options, segmenter=given.segmenter, until=until)
    if comparison.shards:
        return conclude_shard(comparison.shards, given.out, options)
    return 0 if crew().follows else _conclude(comparison)


def _conclude(comparison: "Comparison") -> int:
    """Write the page of a comparison, print its table, and return the exit code."""
    from weakseg.methods.finished import COMPARISON_FILE
    from weakseg.pipeline.runner import FAILURES_FILE
    from weakseg.report import save
    from weakseg.report.compare import build_comparison_report, figures_table

    page = comparison.folder / "report.html"
    save(build_comparison_report(comparison), page)
    table = aligned(figures_table(comparison))
    done = f"{table}\nfigures: {comparison.folder / COMPARISON_FILE}\nreport: {page.resolve()}"
    return conclude(comparison.failures, done, listed=comparison.folder / FAILURES_FILE)


def aligned(table: "Table") -> str:
    """Return a table as text: numbers to the right, everything else to the left."""
    from weakseg.report.formatting import format_column, is_numeric

    columns = []
    for index, title in enumerate(table.columns):
        cells = [row[index] for row in table.rows]
        texts = (title, *format_column(cells))
        width = max(map(len, texts))
        columns.append([text.rjust(width) if is_numeric(cells) else text.ljust(width) for text in texts])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))
