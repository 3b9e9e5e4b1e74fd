"""The step from seeds to masks."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import LabelMap
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.refine import RefineConfig
from weakseg.settings.weak_seeds import Use
from weakseg.stages.refine import refine_image
from weakseg.stages.weak_seeds import counted, keep_outlines
from weakseg.steps.base import over_images
from weakseg.steps.decided import decide_masks, decided_masks, telling


@dataclass(frozen=True)
class RefineJob(ImageJob):
    """Image and seeds to a mask; a pixel can be what some seed is, or background where the data has one.

    What is outlined stays as it is, where regions are among the labels that count.
    """

    seeds: Path
    out: Path
    config: RefineConfig
    with_background: bool = True
    device: str = "cpu"
    use: Use = "tags"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the mask."""
        seeds = LabelMap.load(self.seeds / f"{sample.id}.png")
        image = sample.load_image()
        mask = refine_image(seeds, image, self.config, with_background=self.with_background, device=self.device)
        keep_outlines(mask, counted(sample, self.use).drawn).save(self.output(sample.id))


def masks_step(dataset: Dataset, config: RefineConfig, *, with_background: bool = True, use: Use = "tags") -> Step:
    """Make masks of seeds; ``use`` says which labels count, and what of these is outlined stays as it is."""
    outlined = any(counted(sample, use).drawn.regions for sample in dataset.splits[TRAIN])

    def make(context: StepContext) -> RefineJob:
        seeds, out = context.inputs["seeds"], context.folder
        told = decide_masks(config, dataset.splits[TRAIN], seeds, out, with_background=with_background)
        return RefineJob(seeds, out, decided_masks(config, told), with_background, context.device, use)

    decides = config.check_crf and config.crf.iterations > 0
    work = over_images(RefineJob, make, dataset.splits[TRAIN], source=("seeds", Kind.LABELS))
    work = telling(work, decides=decides)
    settings = {**asdict(config), "with_background": with_background, **({"outlines": True} if outlined else {})}
    return Step("masks", Kind.LABELS, {"seeds": Kind.LABELS}, settings, work, Role.RESULT)
