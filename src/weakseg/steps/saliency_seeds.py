"""The step from activations and saliency maps to seeds."""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import Activations
from weakseg.data.dataset import Dataset
from weakseg.data.saliency import load_map
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.seed import SeedConfig
from weakseg.stages.saliency_seeds import effects_of, saliency_seeds, save_effects, tell_effects
from weakseg.stages.seed_counts import count_seeds
from weakseg.steps.base import having, over_images
from weakseg.steps.saliency import SALIENCY

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SaliencySeedJob(ImageJob):
    """Activations and saliency map to seeds; ``saliency`` is the step's folder, ``None``: maps are the images' own."""

    activations: Path
    saliency: Path | None
    out: Path
    config: SeedConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the seeds, and beside them what the rules have done."""
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        saliency = load_map(self.saliency / f"{sample.id}.png") if self.saliency else sample.load_saliency()
        found = saliency_seeds(activations, saliency, self.config)
        save_effects(self.out, sample.id, found.effects)
        found.labels.save(self.output(sample.id))


def saliency_seeds_step(dataset: Dataset, config: SeedConfig) -> Step:
    """Make seeds of activations and saliency maps; what they hold, and what the rules have done, is counted and said.

    An image without a map fails.
    """
    samples = dataset.splits[TRAIN]

    def make(context: StepContext) -> SaliencySeedJob:
        inputs = context.inputs
        return SaliencySeedJob(inputs["activations"], inputs[SALIENCY], context.folder, config, context.device)

    work = over_images(SaliencySeedJob, make, samples, source=("activations", Kind.ACTIVATIONS))

    def run(context: StepContext) -> StepResult:
        for sample in samples:  # seeds without what the rules have done are made anew
            if not effects_of(context.folder, sample.id).exists():
                (context.folder / f"{sample.id}.png").unlink(missing_ok=True)
        result = work.run(context)
        made = having(samples, context.folder, Kind.LABELS)
        told, warnings = tell_effects(made, context.folder, "seeds")
        counts = count_seeds(made, context.folder, dataset.classes, SALIENCY)
        counts.tell()
        if config.unused:
            logger.warning("%s", config.unused)
            warnings.append(config.unused)
        said = {"fusion": told, "seed_counts": counts.as_json(), "warnings": [*warnings, *counts.warnings]}
        return replace(result, summary={**result.summary, **said})

    needs = {"activations": Kind.ACTIVATIONS, SALIENCY: Kind.SALIENCY}
    settings = {"max_side": config.max_side, "fusion": asdict(config.fusion)}
    return Step("seeds", Kind.LABELS, needs, settings, replace(work, run=run), Role.SEEDS)
