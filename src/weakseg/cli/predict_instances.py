"""``weakseg predict-instances``."""

import logging
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from weakseg.cli.image_verb import ImageVerb
from weakseg.settings.instance_segment import InstancePredictConfig

if TYPE_CHECKING:
    from weakseg.pipeline.units import Job

logger = logging.getLogger(__name__)


def _job(given: Namespace, config: InstancePredictConfig, device: str) -> "Job":
    from weakseg.methods.finished import segmenter_of
    from weakseg.nn.exported.described import SUFFIX
    from weakseg.stages.instance_segment import load_detector
    from weakseg.steps.instance_segment import InstancePredictJob

    model = segmenter_of(given.model)
    load_detector(model)  # a bad model is one error, not one for each image
    if model.suffix.lower() == SUFFIX and device != "cpu":
        logger.warning("%s: an ONNX file and what follows it are run on the CPU, and not on %s", model, device)
        device = "cpu"
    return InstancePredictJob(model, given.out, config, device)


main = ImageVerb(
    "predict-instances",
    "Objects of images with a trained instance segmenter: pixels, class, score and box of each (ID.instances.json).",
    "  weakseg predict-instances --model segmenter/model.safetensors --images photos --out found\n"
    "  weakseg predict-instances --model segmenter/model.safetensors --images photos --out found --score 0.5",
    InstancePredictConfig,
    "files of instances",
    _job,
    {"model": "trained instance segmenter: its file (.onnx, too), or a published folder"},
    shown=("--score", "--nms", "--most", "--crf", "--max_side"),
).main
