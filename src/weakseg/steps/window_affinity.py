"""The step that trains a window affinity network."""

from dataclasses import asdict
from pathlib import Path

from weakseg.data.dataset import Dataset
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext, StepResult
from weakseg.settings.window_affinity import WindowAffinityConfig
from weakseg.stages.window_affinity import keep_window_affinity, train_window_affinity
from weakseg.steps.base import classifier_of, fitted, having, started, tagged, training
from weakseg.training.loop import FitPlace

FIRST = "first_affinity"


def window_affinity_step(dataset: Dataset, config: WindowAffinityConfig, seed: int, *, seeds: str = "seeds") -> Step:
    """Train the window affinity network on the seeds of the tagged images, those of the step ``seeds``.

    With ``config.start`` ``affinity`` it goes on with the network of the step ``first_affinity``; one that is not
    trained needs no seeds.
    """

    def run(context: StepContext, place: FitPlace) -> StepResult:
        folder, starts = context.inputs[seeds], _starts(context)
        samples = tagged(having(dataset.splits[TRAIN], folder, Kind.LABELS))
        return fitted(train_window_affinity(samples, folder, config=config, place=place, **starts), samples)

    def keep(context: StepContext, place: FitPlace) -> StepResult:
        keep_window_affinity(config, place, **_starts(context))
        return StepResult()

    needs = {**({seeds: Kind.LABELS} if config.trained else {}), **started(config)}
    needs |= {FIRST: Kind.MODEL} if config.start == "affinity" else {}
    done = training(train_window_affinity, run, seed) if config.trained else training(keep_window_affinity, keep, seed)
    return Step("affinity", Kind.MODEL, needs, {**asdict(config), "seed": seed}, done)


def _starts(context: StepContext) -> dict[str, Path | None]:
    """Return the model files that the network may start from."""
    first = context.inputs[FIRST] / MODEL_FILE if FIRST in context.inputs else None
    return {"classifier": classifier_of(context), "trained": first}
