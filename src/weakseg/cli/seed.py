"""``weakseg seed``."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.common import add_settings, read_class_file, settings_of
from weakseg.cli.image_verb import ImageVerb, every_image
from weakseg.errors import ConfigError
from weakseg.settings.activate import ExternalConfig
from weakseg.settings.seed import SeedConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weakseg.data.sample import WeakSample
    from weakseg.pipeline.options import RunOptions
    from weakseg.pipeline.plan import Failure
    from weakseg.pipeline.units import Job

BESIDE = {"saliency": "folder of saliency maps, ID.png; for --background saliency"}

logger = logging.getLogger(__name__)


def _job(given: Namespace, config: SeedConfig, device: str) -> "Job":
    from weakseg.steps.saliency_seeds import SaliencySeedJob
    from weakseg.steps.seed import SeedJob

    if (config.background == "saliency") != bool(given.saliency):
        raise ConfigError("--saliency: give the folder of the maps with --background saliency, and only then")
    external = settings_of(given, ExternalConfig)
    if not given.external and external != ExternalConfig():
        raise ConfigError("--from_values, --from_ids: have a meaning with --external alone; add it")
    wanted = {"--background_class": bool(config.background_class), "--external": given.external}
    classes = read_class_file(given.classes) if given.classes else None
    if (flag := next((flag for flag, asked in wanted.items() if asked), None)) and classes is None:
        raise ConfigError(f"--classes: {flag} needs the class names; give a text file with one a line")
    if given.saliency:
        if given.external:
            raise ConfigError("--external: activations of another program are not joined with saliency; leave it out")
        if config.unused:
            logger.warning("%s", config.unused)
        return SaliencySeedJob(given.activations, None, given.out, config, device)
    name = config.background_class
    background_id = classes.id_of(name, "--background_class") if classes and name else 0
    read_as = (classes, external) if classes and given.external else None
    return SeedJob(given.activations, given.out, config, background_id, device, read_as)


def _samples(given: Namespace) -> "Sequence[WeakSample]":
    """Return the images, with their saliency maps where a folder of these is given."""
    from weakseg.data.saliency import find_saliency

    samples = every_image(given)
    if not given.saliency:
        return samples
    return [replace(sample, saliency=find_saliency(given.saliency, sample.id)) for sample in samples]


def _finish(given: Namespace, options: "RunOptions") -> "list[Failure]":
    """Say what the rules of saliency have done."""
    from weakseg.stages.saliency_seeds import effects_of, tell_effects

    if given.saliency:
        fused = [sample for sample in every_image(given) if effects_of(given.out, sample.id).exists()]
        tell_effects(fused, given.out, "seeds")
    return []


def _extend(parser: ArgumentParser) -> None:
    parser.add_argument("--classes", type=Path, help="class names, one a line; for --background class, --external")
    parser.add_argument("--external", action="store_true", help="the activations are another program's (docs/data.md)")
    for name, text in BESIDE.items():
        parser.add_argument(f"--{name}", type=Path, help=text)
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
    beside=BESIDE,
    samples=_samples,
    extend=_extend,
    finish=_finish,
    shown=("--background", "--strict", "--lenient", "--unary", "--crf.iterations"),
).main
