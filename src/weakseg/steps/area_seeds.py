"""The step from activations, and saliency maps, to sparse seeds of classes and background."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import Activations
from weakseg.data.dataset import Dataset
from weakseg.data.saliency import load_map
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.area_seeds import AreaSeedConfig
from weakseg.settings.saliency import SaliencyConfig
from weakseg.stages.area_seeds import area_seeds
from weakseg.stages.seed_counts import count_seeds
from weakseg.steps.base import having, over_images
from weakseg.steps.saliency import SALIENCY


@dataclass(frozen=True)
class AreaSeedJob(ImageJob):
    """Activations, and the saliency map where the background is read off it, to seeds.

    Attributes:
        saliency: The maps, where the background is read off them.
        without_map: Ids of images whose background comes from activations nevertheless.
    """

    activations: Path
    saliency: Path | None
    out: Path
    config: AreaSeedConfig
    without_map: frozenset[str] = frozenset()
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the seeds."""
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        mapped = self.saliency is not None and sample.id not in self.without_map
        saliency = load_map(self.saliency / f"{sample.id}.png") if self.saliency and mapped else None
        seeds = area_seeds(activations, self.config, saliency=saliency, all_known=not sample.tags.unknown)
        seeds.save(self.output(sample.id))


def area_seeds_step(dataset: Dataset, config: AreaSeedConfig, saliency: SaliencyConfig) -> Step:
    """Read sparse seeds off the activations; what they hold, and where the background comes from, is counted and said.

    With maps of files, images without one use their activations; any other image whose map is missing fails.

    Args:
        dataset: Its training images.
        config: Of the seeds.
        saliency: What the step "saliency" has done, where the background is read off its maps.
    """
    samples = dataset.splits[TRAIN]
    wanted = config.background == "saliency"
    files = wanted and saliency.detector == "files"
    without_map = frozenset(sample.id for sample in samples if files and sample.saliency is None)

    def make(context: StepContext) -> AreaSeedJob:
        maps = context.inputs[SALIENCY] if wanted else None
        return AreaSeedJob(context.inputs["activations"], maps, context.folder, config, without_map, context.device)

    work = over_images(AreaSeedJob, make, samples, source=("activations", Kind.ACTIVATIONS))

    def run(context: StepContext) -> StepResult:
        result = work.run(context)
        made = having(samples, context.folder, Kind.LABELS)
        unmapped = [sample.id for sample in made if sample.id in without_map]
        counts = count_seeds(made, context.folder, dataset.classes, config.background, without_map=unmapped)
        counts.tell()
        said = {"seed_counts": counts.as_json(), "warnings": counts.warnings}
        return replace(result, summary={**result.summary, **said})

    needs = {"activations": Kind.ACTIVATIONS, **({SALIENCY: Kind.SALIENCY} if wanted else {})}
    return Step("seeds", Kind.LABELS, needs, asdict(config), replace(work, run=run), Role.SEEDS)
