"""``weakseg seed``."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import add_settings, read_class_file, settings_of
from weakseg.cli.image_verb import ImageVerb
from weakseg.errors import ConfigError
from weakseg.settings.activate import ExternalConfig
from weakseg.settings.seed import SeedConfig

if TYPE_CHECKING:
    from weakseg.pipeline.units import Job


def _job(given: Namespace, config: SeedConfig, device: str) -> "Job":
    from weakseg.steps.seed import SeedJob

    external = settings_of(given, ExternalConfig)
    if not given.external and external != ExternalConfig():
        raise ConfigError("--from_values, --from_ids: have a meaning with --external alone; add it")
    wanted = {"--background_class": bool(config.background_class), "--external": given.external}
    classes = read_class_file(given.classes) if given.classes else None
    if (flag := next((flag for flag, asked in wanted.items() if asked), None)) and classes is None:
        raise ConfigError(f"--classes: {flag} needs the class names; give a text file with one a line")
    name = config.background_class
    background_id = classes.id_of(name, "--background_class") if classes and name else 0
    read_as = (classes, external) if classes and given.external else None
    return SeedJob(given.activations, given.out, config, background_id, device, read_as)


def _extend(parser: ArgumentParser) -> None:
    parser.add_argument("--classes", type=Path, help="class names, one a line; for --background class, --external")
    parser.add_argument("--external", action="store_true", help="the activations are another program's (docs/data.md)")
    add_settings(parser, ExternalConfig)


main = ImageVerb(
    "seed",
    "Confident labels from activations, as indexed PNG; 255 where two readings of the activations disagree.",
    "  weakseg seed --activations act --images photos --out seeds\n"
    "  weakseg seed --activations act --images photos --out seeds --background power "
    "--strict 4 --lenient 32 --unary scores\n"
    "  weakseg seed --activations clip-cams --external --classes classes.txt --images photos --out seeds",
    SeedConfig,
    "seeds",
    _job,
    {"activations": "folder of the activations"},
    extend=_extend,
    shown=("--background", "--strict", "--lenient", "--unary", "--crf.iterations"),
).main
