"""The step that trains the integral-attention network on what a classifier has accumulated."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext, StepResult
from weakseg.settings.integral import IntegralConfig
from weakseg.stages.accumulated import ACCUMULATED_FILE, AccumulatedMaps
from weakseg.stages.integral import train_integral
from weakseg.steps.base import classifier_of, fitted, started, training
from weakseg.training.loop import FitPlace

INTEGRAL = "integral"


def integral_step(dataset: Dataset, config: IntegralConfig, seed: int) -> Step:
    """Train the integral-attention network on the activations that the classifier has accumulated."""

    def run(context: StepContext, place: FitPlace) -> StepResult:
        samples, classes, classifier = dataset.splits[TRAIN], dataset.classes, classifier_of(context)
        store = AccumulatedMaps.open(context.inputs["classifier"] / ACCUMULATED_FILE, classes, samples)
        return fitted(
            train_integral(samples, store, classes, config=config, place=place, classifier=classifier), samples
        )

    needs = {"classifier": Kind.MODEL, **started(config)}
    return Step(INTEGRAL, Kind.MODEL, needs, {**asdict(config), "seed": seed}, training(train_integral, run, seed))
