"""``weakseg refine``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import (
    add_run_options,
    add_settings,
    build_parser,
    conclude,
    parse,
    run_options,
    settings_of,
    settle,
)
from weakseg.data.dataset import open_plain_folder
from weakseg.pipeline.engine import map_images
from weakseg.pipeline.jobs import RefineJob
from weakseg.stages.refine import RefineConfig


def main(words: Sequence[str]) -> int:
    """Make masks of seeds."""
    parser = build_parser(
        "refine",
        "Masks from seeds, by a dense CRF, as indexed PNG.",
        "  weakseg refine --seeds seeds --images photos --out masks\n"
        "  weakseg refine --seeds seeds --images photos --out masks --crf.bilateral_sigma_rgb 3",
    )
    parser.add_argument("--seeds", type=Path, required=True, help="folder of the seeds")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--out", type=Path, required=True, help="folder of the masks")
    parser.add_argument("--background", type=bool, default=True, help="whether a pixel can be background")
    add_settings(parser, RefineConfig)
    add_run_options(parser)
    given = parse(parser, words)
    options = run_options(given)
    samples = open_plain_folder(given.images)
    config = settings_of(given, RefineConfig)
    settle(given.out, config, seeds=given.seeds, images=given.images)
    job = RefineJob(given.seeds, given.out, config, given.background, options.device)
    failures = map_images(job, samples, title="refine", workers=options.workers)
    return conclude(failures, f"{len(samples) - len(failures)} masks: {given.out.resolve()}")
