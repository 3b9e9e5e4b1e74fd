"""The step that trains an affinity network, and the walk on its affinities."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import Activations
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.walk import WalkConfig
from weakseg.stages.affinity import find_features, load_affinity, train_affinity
from weakseg.stages.walk import walk_activations
from weakseg.steps.base import cached, classifier_of, fitted, having, over_images, started, tagged, training
from weakseg.steps.seed import READINGS
from weakseg.training.loop import FitPlace


@dataclass(frozen=True)
class AffinityWalkJob(ImageJob):
    """Image and activations to walked scores; ``model`` is an affinity network."""

    model: Path
    activations: Path
    out: Path
    config: WalkConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.SCORES.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the scores."""
        model = cached(load_affinity, self.model, self.device)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        features = find_features(model, sample.load_image())
        walk_activations(activations, features, self.config).save(self.output(sample.id))


def affinity_step(dataset: Dataset, config: AffinityConfig, seed: int, *, name: str = "affinity") -> Step:
    """Train the affinity network on both readings of the tagged images."""

    def run(context: StepContext, place: FitPlace) -> StepResult:
        strict, lenient = (context.inputs[name] for name in READINGS)
        samples = tagged(having(having(dataset.splits[TRAIN], strict, Kind.SCORES), lenient, Kind.SCORES))
        classifier = classifier_of(context)
        return fitted(
            train_affinity(samples, strict, lenient, config=config, place=place, classifier=classifier), samples
        )

    needs = {**dict.fromkeys(READINGS, Kind.SCORES), **started(config)}
    return Step(name, Kind.MODEL, needs, {**asdict(config), "seed": seed}, training(train_affinity, run, seed))


def affinity_walk_step(dataset: Dataset, config: WalkConfig) -> Step:
    """Let background and activations walk on the learned affinities."""

    def make(context: StepContext) -> AffinityWalkJob:
        model = context.inputs["affinity"] / MODEL_FILE
        return AffinityWalkJob(model, context.inputs["activations"], context.folder, config, context.device)

    work = over_images(AffinityWalkJob, make, dataset.splits[TRAIN], source=("activations", Kind.ACTIVATIONS))
    needs = {"activations": Kind.ACTIVATIONS, "affinity": Kind.MODEL}
    return Step("walk", Kind.SCORES, needs, asdict(config), work)
