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
from weakseg.settings.decode import DecodeConfig, Fusion
from weakseg.stages.decode import decode_image, fuse_walked, keep_to_boxes
from weakseg.steps.base import over_images

NAMES = {Role.PLAIN: "before_crf", Role.RESULT: "masks"}


@dataclass(frozen=True)
class DecodeJob(ImageJob):
    """Image and scores to a mask; ``within_boxes``: where boxes are drawn, a class appears in its boxes alone.

    ``walked`` are scores of a walk that join in, as ``fusion`` says.
    """

    scores: Path
    out: Path
    config: DecodeConfig
    within_boxes: bool = False
    walked: Path | None = None
    fusion: Fusion | None = None
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the mask."""
        scores = Scores.load(self.scores / f"{sample.id}.safetensors")
        if self.walked is not None and self.fusion is not None:
            walked = Scores.load(self.walked / f"{sample.id}.safetensors")
            scores = fuse_walked(scores, walked, self.config, self.fusion)
        mask = decode_image(scores, sample.load_image(), self.config, device=self.device)
        boxes = sample.drawn.boxes if self.within_boxes else ()
        (keep_to_boxes(mask, boxes) if boxes else mask).save(self.output(sample.id))


def decode_steps(
    dataset: Dataset, config: DecodeConfig, source: str, *, within_boxes: bool = False, fusion: Fusion | None = None
) -> list[Step]:
    """Make label maps of the scores of the step ``source``: ``before_crf``, then ``masks``.

    With a ``fusion`` the scores of the step ``walk`` join in.
    """
    plain = replace(config, crf=CrfParams(iterations=0))
    configs = {Role.PLAIN: plain, Role.RESULT: config}
    return [_decode_step(dataset, one, source, role, within_boxes, fusion) for role, one in configs.items()]


def _decode_step(
    dataset: Dataset, config: DecodeConfig, source: str, role: Role, within_boxes: bool, fusion: Fusion | None
) -> Step:
    def make(context: StepContext) -> DecodeJob:
        scores, walked = context.inputs[source], context.inputs["walk"] if fusion else None
        return DecodeJob(scores, context.folder, config, within_boxes, walked, fusion, context.device)

    work = over_images(DecodeJob, make, dataset.splits[TRAIN], source=(source, Kind.SCORES))
    settings = {**asdict(config), "within_boxes": within_boxes, **({"fusion": asdict(fusion)} if fusion else {})}
    needs = {source: Kind.SCORES, **({"walk": Kind.SCORES} if fusion else {})}
    return Step(NAMES[role], Kind.LABELS, needs, settings, work, role)
