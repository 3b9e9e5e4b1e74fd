"""``weakseg seed``."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import read_class_file
from weakseg.cli.image_verb import ImageVerb
from weakseg.errors import ConfigError
from weakseg.settings.seed import SeedConfig

if TYPE_CHECKING:
    from weakseg.pipeline.units import Job


def _job(given: Namespace, config: SeedConfig, device: str) -> "Job":
    from weakseg.steps.seed import SeedJob

    background_id = 0
    if config.background_class:
        if given.classes is None:
            raise ConfigError("--classes: needed to find the class of --background_class")
        background_id = read_class_file(given.classes).id_of(config.background_class, "--background_class")
    return SeedJob(given.activations, given.out, config, background_id, device)


def _extend(parser: ArgumentParser) -> None:
    parser.add_argument("--classes", type=Path, help="class names, one a line; only for --background class")


main = ImageVerb(
    "seed",
    "Confident labels from activations, as indexed PNG; 255 where two readings of the activations disagree.",
    "  weakseg seed --activations act --images photos --out seeds\n"
    "  weakseg seed --activations act --images photos --out seeds --background power "
    "--strict 4 --lenient 32 --unary scores",
    SeedConfig,
    "seeds",
    _job,
    {"activations": "folder of the activations"},
    extend=_extend,
    shown=("--background", "--strict", "--lenient", "--unary", "--crf.iterations"),
).main
