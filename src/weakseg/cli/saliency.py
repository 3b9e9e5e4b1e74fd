"""``weakseg saliency``."""

from typing import TYPE_CHECKING

from jsonargparse import Namespace

from weakseg.cli.image_verb import ImageVerb
from weakseg.errors import ConfigError
from weakseg.settings.saliency import SaliencyConfig

if TYPE_CHECKING:
    from weakseg.pipeline.units import Job


def _job(given: Namespace, config: SaliencyConfig, device: str) -> "Job":
    from weakseg.steps.saliency import SaliencyJob, check_weights, with_weights

    if config.detector == "files":
        raise ConfigError("--detector: 'files' detects nothing; name a detector")
    check_weights(config)
    return SaliencyJob(given.out, with_weights(config), device)


main = ImageVerb(
    "saliency",
    "Maps of what draws the eye in each photograph, as 8-bit PNG, white most.\n"
    "U2-Net-p learned from masks of pixels of other photographs; weakseg weights get u2netp fetches it.",
    "  weakseg saliency --images photos --detector u2netp --out maps\n"
    "  weakseg saliency --images photos --detector spectral --out maps",
    SaliencyConfig,
    "maps",
    _job,
    shown=("--detector", "--file"),
).main
