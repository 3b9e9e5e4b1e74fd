"""``weakseg label``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import add_run_options, build_parser, conclude, conclude_shard, out_path, parse, run_options
from weakseg.cli.overlays import add_overlays, check_overlays, save_overlays


def main(words: Sequence[str]) -> int:
    """Make masks of new tagged images."""
    parser = build_parser(
        "label",
        "Masks of new tagged images with the trained labeller of a run; nothing is trained.",
        "  weakseg label out --images more-photos --labels more-tags.csv --out more-masks "
        "--overlays looks\n"
        "  weakseg label comparison --method wsgcn-i --images more-photos --labels more-tags.csv --out more-masks",
    )
    parser.add_argument("run", type=Path, help="run folder, folder of a comparison, or published folder")
    parser.add_argument("--method", type=str, default="", help="which method of a comparison")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--labels", type=Path, required=True, help="their tags: CSV, JSON or JSONL")
    parser.add_argument(
        "--out", type=out_path, required=True, help="folder of the results; masks are in its folder 'masks'"
    )
    add_overlays(parser)
    add_run_options(parser)
    given = parse(parser, words)
    check_overlays(given.overlays, given.images, given.out)
    from weakseg.methods.label import label_images
    from weakseg.pipeline.runner import FAILURES_FILE

    options = run_options(given)
    result = label_images(given.run, given.images, given.labels, given.out, options, method=given.method)
    if result.shard:
        return conclude_shard({"": result.shard}, given.out, options)
    masks = result.masks or given.out
    failures = [*result.failures, *save_overlays(given.overlays, given.images, masks, options)]
    return conclude(failures, f"masks: {masks.resolve()}", listed=given.out / FAILURES_FILE)
