"""``weakseg refine``."""

from jsonargparse import ArgumentParser

from weakseg.cli.image_verb import ImageVerb
from weakseg.pipeline.jobs import RefineJob
from weakseg.settings.refine import RefineConfig


def _extend(parser: ArgumentParser) -> None:
    parser.add_argument("--background", type=bool, default=True, help="whether a pixel can be background")


main = ImageVerb(
    "refine",
    "Masks from seeds, by a dense CRF, as indexed PNG.",
    "  weakseg refine --seeds seeds --images photos --out masks\n"
    "  weakseg refine --seeds seeds --images photos --out masks --crf.bilateral_sigma_rgb 3",
    RefineConfig,
    "masks",
    lambda given, config, device: RefineJob(given.seeds, given.out, config, given.background, device),
    {"seeds": "folder of the seeds"},
    extend=_extend,
).main
