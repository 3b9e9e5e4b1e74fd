"""The step that trains a boundary network."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext, StepResult
from weakseg.settings.boundary import BoundaryConfig
from weakseg.stages.boundary import train_boundary
from weakseg.steps.base import classifier_of, fitted, having, started, tagged, training
from weakseg.training.loop import FitPlace


def boundary_step(dataset: Dataset, config: BoundaryConfig, seed: int) -> Step:
    """Train the boundary network on the seeds of the tagged images."""

    def run(context: StepContext, place: FitPlace) -> StepResult:
        seeds = context.inputs["seeds"]
        samples = tagged(having(dataset.splits[TRAIN], seeds, Kind.LABELS))
        return fitted(
            train_boundary(samples, seeds, config=config, place=place, classifier=classifier_of(context)), samples
        )

    needs = {"seeds": Kind.LABELS, **started(config)}
    return Step("boundary", Kind.MODEL, needs, {**asdict(config), "seed": seed}, training(train_boundary, run, seed))
