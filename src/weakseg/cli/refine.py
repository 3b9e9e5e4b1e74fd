"""``weakseg refine``."""

from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.image_verb import ImageVerb
from weakseg.settings.refine import RefineConfig

if TYPE_CHECKING:
    from weakseg.pipeline.units import Job


def _job(given: Namespace, config: RefineConfig, device: str) -> "Job":
    from weakseg.steps.refine import RefineJob

    return RefineJob(given.seeds, given.out, config, given.background, device)


def _extend(parser: ArgumentParser) -> None:
    parser.add_argument("--background", type=bool, default=True, help="whether a pixel can be background")


main = ImageVerb(
    "refine",
    "Masks from seeds, by a dense CRF, as indexed PNG.",
    "  weakseg refine --seeds seeds --images photos --out masks\n"
    "  weakseg refine --seeds seeds --images photos --out masks --crf.bilateral_sigma_rgb 3",
    RefineConfig,
    "masks",
    _job,
    {"seeds": "folder of the seeds"},
    extend=_extend,
    shown=("--label_confidence", "--crf.iterations", "--crf.bilateral_sigma_rgb"),
).main
