"""The steps from scores to masks, without and with a dense CRF."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import LabelMap, Scores
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig, Fusion
from weakseg.settings.weak_seeds import Use
from weakseg.stages.decode import decode_image, fuse_walked, keep_to_boxes
from weakseg.stages.weak_seeds import counted, keep_outlines
from weakseg.steps.base import over_images

NAMES = {Role.PLAIN: "before_crf", Role.RESULT: "masks"}


@dataclass(frozen=True)
class Kept:
    """Which drawn labels masks keep to.

    Attributes:
        boxes: Where boxes are drawn a class appears in its boxes alone.
        use: Which labels count: what is outlined stays as it is, where that is among them.
    """

    boxes: bool = False
    use: Use = "tags"

    def settings(self, dataset: Dataset) -> dict[str, bool]:
        """Return what counts of it for training images."""
        outlined = any(counted(sample, self.use).drawn.regions for sample in dataset.splits[TRAIN])
        return {"within_boxes": self.boxes, **({"outlines": True} if outlined else {})}

    def keep(self, mask: LabelMap, sample: WeakSample) -> LabelMap:
        """Return the mask that keeps to them."""
        if self.boxes and sample.drawn.boxes:
            mask = keep_to_boxes(mask, sample.drawn.boxes)
        return keep_outlines(mask, counted(sample, self.use).drawn)


@dataclass(frozen=True)
class DecodeJob(ImageJob):
    """Image and scores to a mask. ``walked`` are scores of a walk that join in, as ``fusion`` says."""

    scores: Path
    out: Path
    config: DecodeConfig
    kept: Kept = Kept()
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
        self.kept.keep(mask, sample).save(self.output(sample.id))


def decode_steps(
    dataset: Dataset, config: DecodeConfig, source: str, *, kept: Kept = Kept(), fusion: Fusion | None = None
) -> list[Step]:
    """Make label maps of the scores of the step ``source``: ``before_crf``, then ``masks``.

    With a ``fusion`` the scores of the step ``walk`` join in.
    """
    plain = replace(config, crf=CrfParams(iterations=0))
    configs = {Role.PLAIN: plain, Role.RESULT: config}
    return [_decode_step(dataset, one, source, role, kept, fusion) for role, one in configs.items()]


def _decode_step(
    dataset: Dataset, config: DecodeConfig, source: str, role: Role, kept: Kept, fusion: Fusion | None
) -> Step:
    def make(context: StepContext) -> DecodeJob:
        scores, walked = context.inputs[source], context.inputs["walk"] if fusion else None
        return DecodeJob(scores, context.folder, config, kept, walked, fusion, context.device)

    work = over_images(DecodeJob, make, dataset.splits[TRAIN], source=(source, Kind.SCORES))
    settings = {**asdict(config), **kept.settings(dataset), **({"fusion": asdict(fusion)} if fusion else {})}
    needs = {source: Kind.SCORES, **({"walk": Kind.SCORES} if fusion else {})}
    return Step(NAMES[role], Kind.LABELS, needs, settings, work, role)
