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
        "  weakseg seed --activations act --images photos --out seeds --settings.background power "
        "--settings.strict 4 --settings.lenient 32 --settings.unary scores",
    )
    parser.add_argument("--activations", type=Path, required=True, help="folder of the activations")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--out", type=Path, required=True, help="folder of the seeds")
    parser.add_argument("--classes", type=Path, help="class names, one a line; only for settings.background 'class'")
    add_settings(parser, SeedConfig)
    add_run_options(parser)
    given = parse(parser, words)
    options = run_options(given)
    background_id = 0
    if given.settings.background_class:
        if given.classes is None:
            raise ConfigError("--classes: needed to find settings.background_class")
        background_id = read_class_file(given.classes).id_of(
            given.settings.background_class, "settings.background_class"
        )
    samples = open_plain_folder(given.images)
    job = SeedJob(given.activations, given.out, given.settings, background_id, options.device)
    failures = map_images(job, samples, title="seed", workers=options.workers)
    return conclude(failures, f"{len(samples) - len(failures)} seeds: {given.out.resolve()}")
