"""The steps from activations to seeds, and to the readings that an affinity network learns from."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import Activations
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.activate import ExternalConfig
from weakseg.settings.rules import check_settings
from weakseg.settings.seed import SeedConfig
from weakseg.stages.external import ExternalMaps
from weakseg.stages.seed import reading_scores, seed_image
from weakseg.steps.base import over_images
from weakseg.steps.decided import decide_seeds, decided_seeds, telling
from weakseg.steps.saliency_seeds import saliency_seeds_step

READINGS = ("foreground", "background")
OF_ACTIVATIONS = {"activations": Kind.ACTIVATIONS}


@dataclass(frozen=True)
class SeedJob(ImageJob):
    """Image and activations to seeds; ``external``: classes, and how files of another program are read."""

    activations: Path
    out: Path
    config: SeedConfig
    background_id: int = 0
    device: str = "cpu"
    external: tuple[Classes, ExternalConfig] | None = None
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the seeds."""
        image = sample.load_image()
        if self.external:
            maps = ExternalMaps(self.activations, *self.external)
            activations = maps.load(sample, (image.shape[0], image.shape[1]), every=True)
        else:
            activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        seeds = seed_image(activations, image, self.config, background_id=self.background_id, device=self.device)
        seeds.save(self.output(sample.id))


@dataclass(frozen=True)
class ReadingJob(ImageJob):
    """Image and activations to the CRF's marginals of one reading; ``value`` is its background score or exponent."""

    activations: Path
    out: Path
    config: SeedConfig
    value: float
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.SCORES.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the marginals."""
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        image = sample.load_image()
        scores = reading_scores(activations, image, self.config, self.value, device=self.device)
        scores.save(self.output(sample.id))


def seeds_step(dataset: Dataset, config: SeedConfig) -> Step:
    """Read seeds off the activations, and off saliency maps where these are the background."""
    if config.background == "saliency":
        return saliency_seeds_step(dataset, config)
    class_id = background_id(dataset, config)

    samples = dataset.splits[TRAIN]
    left = config.background == "threshold" and ("auto" in (config.strict, config.lenient) or config.check_crf)

    def make(context: StepContext) -> SeedJob:
        activations = context.inputs["activations"]
        told = decide_seeds(config, samples, activations, context.folder) if left else {}
        return SeedJob(activations, context.folder, decided_seeds(config, told), class_id, context.device)

    work = over_images(SeedJob, make, samples, source=("activations", Kind.ACTIVATIONS))
    settings = {name: value for name, value in asdict(config).items() if name != "fusion"}
    return Step("seeds", Kind.LABELS, OF_ACTIVATIONS, settings, telling(work, decides=left), Role.SEEDS)


def reading_steps(dataset: Dataset, config: SeedConfig) -> list[Step]:
    """Compute the CRF's marginals of the strict and of the lenient reading of the activations.

    Raises:
        ConfigError: If their background is no constant and no power.
    """
    check_settings("readings", config, background=("threshold", "power"))
    return [_reading_step(dataset, config, name, value) for name, value in zip(READINGS, config.numbers, strict=True)]


def background_id(dataset: Dataset, config: SeedConfig) -> int:
    """Return the id of the class that is the background, or 0."""
    return dataset.classes.id_of(config.background_class, "seeds.background_class") if config.background_class else 0


def _reading_step(dataset: Dataset, config: SeedConfig, name: str, value: float) -> Step:
    def make(context: StepContext) -> ReadingJob:
        return ReadingJob(context.inputs["activations"], context.folder, config, value, context.device)

    work = over_images(ReadingJob, make, dataset.splits[TRAIN], source=("activations", Kind.ACTIVATIONS))
    settings = {name: value for name, value in asdict(config).items() if name != "fusion"}
    return Step(name, Kind.SCORES, OF_ACTIVATIONS, {**settings, "value": value}, work)
