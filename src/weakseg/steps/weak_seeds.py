"""The step from whatever a photograph is labelled with to seeds."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.weak_seeds import counted, weak_seeds
from weakseg.steps.base import over_images


@dataclass(frozen=True)
class WeakSeedJob(ImageJob):
    """Image and what is drawn on it to seeds; ``activations`` of its tags where there are any."""

    activations: Path | None
    out: Path
    config: WeakSeedConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the seeds."""
        source, image, sample = self.activations, sample.load_image(), counted(sample, self.config.use)
        activations = Activations.load(source / f"{sample.id}.safetensors") if source else None
        if sample.shows_nothing:
            seeds = LabelMap(np.zeros(image.shape[:2], np.uint8))
        else:
            seeds = weak_seeds(sample.drawn, image, activations, self.config, device=self.device)
        seeds.save(self.output(sample.id))


def weak_seeds_step(
    dataset: Dataset, config: WeakSeedConfig, *, activations: bool, name: str = "seeds", role: Role = Role.SEEDS
) -> Step:
    """Make seeds of what is drawn on each image, and of its activations where the plan has them."""

    def make(context: StepContext) -> WeakSeedJob:
        return WeakSeedJob(context.inputs.get("activations"), context.folder, config, context.device)

    source = ("activations", Kind.ACTIVATIONS) if activations else None
    work = over_images(WeakSeedJob, make, dataset.splits[TRAIN], source=source)
    return Step(name, Kind.LABELS, dict([source] if source else []), asdict(config), work, role)
