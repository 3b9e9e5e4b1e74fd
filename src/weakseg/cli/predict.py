"""``weakseg predict``."""

from jsonargparse import Namespace

from weakseg.cli.image_verb import ImageVerb
from weakseg.pipeline.jobs import PredictJob
from weakseg.settings.segment import PredictConfig
from weakseg.stages.segment import load_segmenter


def _job(given: Namespace, config: PredictConfig, device: str) -> PredictJob:
    load_segmenter(given.model)  # a bad model is one error, not one for each image
    return PredictJob(given.model, given.out, config, device)


main = ImageVerb(
    "predict",
    "Masks of images with a trained segmenter, as indexed PNG.",
    "  weakseg predict --model out/segmenter/model.safetensors --images photos --out masks --crf true",
    PredictConfig,
    "masks",
    _job,
    {"model": "trained segmenter"},
).main
