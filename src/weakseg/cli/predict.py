"""``weakseg predict``."""

import logging
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from weakseg.cli.image_verb import ImageVerb
from weakseg.cli.overlays import add_overlays, check_overlays, save_overlays
from weakseg.settings.predict import PredictConfig

if TYPE_CHECKING:
    from weakseg.pipeline.options import RunOptions
    from weakseg.pipeline.plan import Failure
    from weakseg.pipeline.units import Job

logger = logging.getLogger(__name__)


def _job(given: Namespace, config: PredictConfig, device: str) -> "Job":
    from weakseg.methods.finished import segmenter_of
    from weakseg.nn.exported.described import SUFFIX
    from weakseg.stages.segment import load_predictor
    from weakseg.steps.segment import PredictJob

    check_overlays(given.overlays, given.images, given.out)
    model = segmenter_of(given.model, given.method)
    load_predictor(model)  # a bad model is one error, not one for each image
    if model.suffix.lower() == SUFFIX and device != "cpu":
        logger.warning("%s: onnxruntime runs the network on the CPU; only what follows it is done on the GPU", model)
    return PredictJob(model, given.out, config, device)


def _extend(parser: ArgumentParser) -> None:
    parser.add_argument("--method", type=str, default="", help="which method, where --model is that of a comparison")
    add_overlays(parser)


def _finish(given: Namespace, options: "RunOptions") -> "list[Failure]":
    return save_overlays(given.overlays, given.images, given.out, options)


main = ImageVerb(
    "predict",
    "Masks of images with a trained segmenter, as indexed PNG.",
    "  weakseg predict --model out --images photos --out masks --overlays looks\n"
    "  weakseg predict --model out/segmenter/model.safetensors --images photos --out masks --crf true\n"
    "  weakseg predict --model comparison --method wsgcn-i --images photos --out masks",
    PredictConfig,
    "masks",
    _job,
    {"model": "trained segmenter: its file (.onnx, too), the folder of its run or comparison, or a published folder"},
    extend=_extend,
    shown=("--scales", "--flip", "--crf", "--max_side"),
    finish=_finish,
).main
