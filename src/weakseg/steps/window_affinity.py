"""The step that trains a window affinity network."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext, StepResult
from weakseg.settings.window_affinity import WindowAffinityConfig
from weakseg.stages.window_affinity import train_window_affinity
from weakseg.steps.base import classifier_of, fitted, having, started, tagged, training
from weakseg.training.loop import FitPlace


def window_affinity_step(dataset: Dataset, config: WindowAffinityConfig, seed: int, *, seeds: str = "seeds") -> Step:
    """Train the window affinity network on the seeds of the tagged images, those of the step ``seeds``."""

    def run(context: StepContext, place: FitPlace) -> StepResult:
        folder = context.inputs[seeds]
        samples = tagged(having(dataset.splits[TRAIN], folder, Kind.LABELS))
        classifier = classifier_of(context)
        return fitted(
            train_window_affinity(samples, folder, config=config, place=place, classifier=classifier), samples
        )

    needs = {seeds: Kind.LABELS, **started(config)}
    work = training(train_window_affinity, run, seed)
    return Step("affinity", Kind.MODEL, needs, {**asdict(config), "seed": seed}, work)
