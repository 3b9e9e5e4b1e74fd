"""``weakseg seed``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import (
    add_run_options,
    add_settings,
    build_parser,
    conclude,
    parse,
    read_class_file,
    run_options,
    settings_of,
    settle,
)
from weakseg.data.dataset import open_plain_folder
from weakseg.errors import ConfigError
from weakseg.pipeline.engine import map_images
from weakseg.pipeline.jobs import SeedJob
from weakseg.stages.seed import SeedConfig


def main(words: Sequence[str]) -> int:
    """Read seeds off activations."""
    parser = build_parser(
        "seed",
        "Confident labels from activations, as indexed PNG; 255 where two readings of the activations disagree.",
        "  weakseg seed --activations act --images photos --out seeds\n"
        "  weakseg seed --activations act --images photos --out seeds --background power "
        "--strict 4 --lenient 32 --unary scores",
    )
    parser.add_argument("--activations", type=Path, required=True, help="folder of the activations")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--out", type=Path, required=True, help="folder of the seeds")
    parser.add_argument("--classes", type=Path, help="class names, one a line; only for --background 'class'")
    add_settings(parser, SeedConfig)
    add_run_options(parser)
    given = parse(parser, words)
    options, config = run_options(given), settings_of(given, SeedConfig)
    background_id = 0
    if config.background_class:
        if given.classes is None:
            raise ConfigError("--classes: needed to find --background_class")
        background_id = read_class_file(given.classes).id_of(config.background_class, "--background_class")
    samples = open_plain_folder(given.images)
    settle(given.out, config, activations=given.activations, images=given.images)
    job = SeedJob(given.activations, given.out, config, background_id, options.device)
    failures = map_images(job, samples, title="seed", workers=options.workers)
    return conclude(failures, f"{len(samples) - len(failures)} seeds: {given.out.resolve()}")
