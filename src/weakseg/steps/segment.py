"""The steps that train a segmenter on label maps, and apply it."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.nn.backbones import check_backbone
from weakseg.nn.segmenters import check_training
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.predict import PredictConfig
from weakseg.settings.segment import SegmentConfig
from weakseg.stages.mask_counts import SMALL_SIDE
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import load_segmenter, train_segmenter
from weakseg.steps.base import cached, fitted, having, over_images, prediction_split, training
from weakseg.training.loop import FitPlace

SEGMENTER = "segmenter"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictJob(ImageJob):
    """Image to the segmenter's mask; ``model`` is a segmenter file."""

    model: Path
    out: Path
    config: PredictConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Predict and save the mask."""
        model, _ = cached(load_segmenter, self.model, self.device)
        image = sample.load_image()
        if min(image.shape[:2]) < SMALL_SIDE:
            size = "{} x {}".format(*image.shape[:2])
            logger.warning("%s: of %s pixels the network sees mostly padding; its mask means little", sample.id, size)
        predict_image(model, image, self.config).save(self.output(sample.id))


def segmenter_step(dataset: Dataset, config: SegmentConfig, seed: int, *, targets: str = "masks") -> Step:
    """Train the segmenter on masks, or on seeds, whose undecided pixels give no loss; those of the step ``targets``."""
    check_training(config)
    check_backbone(config.model.backbone)

    def run(context: StepContext, place: FitPlace) -> StepResult:
        masks = context.inputs[targets]
        samples = having(dataset.splits[TRAIN], masks, Kind.LABELS)
        return fitted(train_segmenter(samples, masks, dataset.classes, config=config, place=place), samples)

    settings = {**asdict(config), "seed": seed}
    work = training(train_segmenter, run, seed)
    return Step(SEGMENTER, Kind.MODEL, {targets: Kind.LABELS}, settings, work, Role.AFTER)


def predictions_step(dataset: Dataset, config: PredictConfig, init: Mapping[str, Any]) -> Step:
    """Apply the segmenter to ``val``, or to the training images where there is no ``val``.

    Args:
        dataset: Its images.
        config: How the segmenter is applied.
        init: What it has started from, which results say beside their settings.
    """

    def make(context: StepContext) -> PredictJob:
        return PredictJob(context.inputs[SEGMENTER] / MODEL_FILE, context.folder, config, context.device)

    split = prediction_split(dataset)
    work = over_images(PredictJob, make, dataset.splits[split])
    settings = {**asdict(config), "init": dict(init)}
    return Step("predictions", Kind.LABELS, {SEGMENTER: Kind.MODEL}, settings, work, Role.AFTER, split)
