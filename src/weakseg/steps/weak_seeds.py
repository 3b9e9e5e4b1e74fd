"""The step from whatever a photograph is labelled with to seeds."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.dataset import Dataset
from weakseg.data.regions import deciding
from weakseg.data.saliency import load_map
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.saliency_seeds import effects_of, save_effects, tell_effects
from weakseg.stages.weak_seeds import SeedParts, counted, weak_seeds
from weakseg.steps.base import over_images
from weakseg.steps.saliency import SALIENCY


@dataclass(frozen=True)
class WeakSeedJob(ImageJob):
    """Image and what is drawn on it to seeds; ``activations`` of its tags, and ``saliency``, where there are any."""

    activations: Path | None
    out: Path
    config: WeakSeedConfig
    device: str = "cpu"
    saliency: Path | None = None
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the seeds."""
        source, image, sample = self.activations, sample.load_image(), counted(sample, self.config.use)
        activations = Activations.load(source / f"{sample.id}.safetensors") if source else None
        if sample.shows_nothing:
            seeds = LabelMap(np.zeros(image.shape[:2], np.uint8))
        else:
            parts = SeedParts(saliency=load_map(self.saliency / f"{sample.id}.png") if self.saliency else None)
            seeds = weak_seeds(sample.drawn, image, activations, self.config, device=self.device, parts=parts)
            if parts.fusion:
                save_effects(self.out, sample.id, parts.fusion)
        seeds.save(self.output(sample.id))


def weak_seeds_step(
    dataset: Dataset,
    config: WeakSeedConfig,
    *,
    activations: bool,
    saliency: bool = False,
    name: str = "seeds",
    role: Role = Role.SEEDS,
) -> Step:
    """Make seeds of what is drawn on each image, and of its activations where the plan has them.

    Args:
        dataset: Its training images.
        config: How each kind of label is used.
        activations: Whether activations are read.
        saliency: Whether saliency maps join them; what the rules have done is then counted and said.
        name: Of the step.
        role: Of the seeds in the plan.
    """
    samples = dataset.splits[TRAIN]

    def make(context: StepContext) -> WeakSeedJob:
        inputs = context.inputs
        return WeakSeedJob(inputs.get("activations"), context.folder, config, context.device, inputs.get(SALIENCY))

    source = ("activations", Kind.ACTIVATIONS) if activations else None
    work = over_images(WeakSeedJob, make, samples, source=source)

    def run(context: StepContext) -> StepResult:
        result = work.run(context)
        fused = [sample for sample in samples if effects_of(context.folder, sample.id).exists()]
        told, warnings = tell_effects(fused, context.folder, name)
        return replace(result, summary={**result.summary, "fusion": told, "warnings": warnings})

    needs = {**dict([source] if source else []), **({SALIENCY: Kind.SALIENCY} if saliency else {})}
    settings = asdict(config)
    if not saliency:
        del settings["thresholds"]["fusion"]
    if any(one.drawn.regions and deciding(one.drawn) != "regions" for one in (counted(s, config.use) for s in samples)):
        settings["outlines"] = "over the seeds of the rest"
    return Step(name, Kind.LABELS, needs, settings, replace(work, run=run) if saliency else work, role)
