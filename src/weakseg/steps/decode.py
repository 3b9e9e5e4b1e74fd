"""The steps from scores to masks, without and with a dense CRF."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import Scores
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig
from weakseg.stages.decode import decode_image, keep_to_boxes
from weakseg.steps.base import over_images

NAMES = {Role.PLAIN: "before_crf", Role.RESULT: "masks"}


@dataclass(frozen=True)
class DecodeJob(ImageJob):
    """Image and scores to a mask; ``within_boxes``: where boxes are drawn, a class appears in its boxes alone."""

    scores: Path
    out: Path
    config: DecodeConfig
    within_boxes: bool = False
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the mask."""
        scores = Scores.load(self.scores / f"{sample.id}.safetensors")
        mask = decode_image(scores, sample.load_image(), self.config, device=self.device)
        boxes = sample.drawn.boxes if self.within_boxes else ()
        (keep_to_boxes(mask, boxes) if boxes else mask).save(self.output(sample.id))


def decode_steps(dataset: Dataset, config: DecodeConfig, source: str, *, within_boxes: bool = False) -> list[Step]:
    """Make label maps of the scores of the step ``source``: ``before_crf``, then ``masks``."""
    plain = replace(config, crf=CrfParams(iterations=0))
    configs = {Role.PLAIN: plain, Role.RESULT: config}
    return [_decode_step(dataset, one, source, role, within_boxes) for role, one in configs.items()]


def _decode_step(dataset: Dataset, config: DecodeConfig, source: str, role: Role, within_boxes: bool) -> Step:
    def make(context: StepContext) -> DecodeJob:
        return DecodeJob(context.inputs[source], context.folder, config, within_boxes, context.device)

    work = over_images(DecodeJob, make, dataset.splits[TRAIN], source=(source, Kind.SCORES))
    settings = {**asdict(config), "within_boxes": within_boxes}
    return Step(NAMES[role], Kind.LABELS, {source: Kind.SCORES}, settings, work, role)
