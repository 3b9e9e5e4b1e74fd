"""The step from activations, and saliency maps, to sparse seeds of classes and background."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import Activations
from weakseg.data.dataset import Dataset
from weakseg.data.saliency_check import check_saliency
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.pipeline.keys import digest_of_files
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.area_seeds import AreaSeedConfig
from weakseg.stages.area_seeds import area_seeds, count_seeds
from weakseg.steps.base import having, over_images

CHECKED = 500  # maps of which it is said whether they look inverted


@dataclass(frozen=True)
class AreaSeedJob(ImageJob):
    """Activations, and the saliency map where the background is read off it, to seeds."""

    activations: Path
    out: Path
    config: AreaSeedConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the seeds."""
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        mapped = self.config.background == "saliency" and sample.saliency is not None
        saliency = sample.load_saliency() if mapped else None
        seeds = area_seeds(activations, self.config, saliency=saliency, all_known=not sample.tags.unknown)
        seeds.save(self.output(sample.id))


def area_seeds_step(dataset: Dataset, config: AreaSeedConfig) -> Step:
    """Read sparse seeds off the activations; what they hold, and where the background comes from, is counted and said.

    Saliency maps count by their content.
    """
    samples = dataset.splits[TRAIN]
    wanted = config.background == "saliency"
    maps = {sample.id: sample.saliency for sample in samples if wanted and sample.saliency is not None}

    def make(context: StepContext) -> AreaSeedJob:
        return AreaSeedJob(context.inputs["activations"], context.folder, config, context.device)

    work = over_images(AreaSeedJob, make, samples, source=("activations", Kind.ACTIVATIONS))

    def run(context: StepContext) -> StepResult:
        if wanted and not maps:
            raise DataError(
                "seeds.background: no training image has a saliency map; add maps to the folder of data.saliency, or "
                "set seeds.background to activations"
            )
        result = work.run(context)
        counts = count_seeds(having(samples, context.folder, Kind.LABELS), context.folder, dataset.classes, config)
        counts.tell()
        doubts = check_saliency(
            [sample for sample in samples if sample.id in maps][:: 1 + len(maps) // CHECKED]
        ).warnings
        said = {"seed_counts": counts.as_json(), "warnings": [*counts.warnings, *doubts]}
        return replace(result, summary={**result.summary, **said})

    settings = {**asdict(config), **({"saliency": digest_of_files(maps)} if wanted else {})}
    needs = {"activations": Kind.ACTIVATIONS}
    return Step("seeds", Kind.LABELS, needs, settings, replace(work, run=run), Role.SEEDS)
