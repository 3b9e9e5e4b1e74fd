"""A plan: steps in order, each with what it needs and what it produces; checked before anything runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from weakseg.errors import ConfigError


class Kind(StrEnum):
    """What a step produces."""

    CLASSIFIER = "classifier"
    ACTIVATIONS = "activations"
    SEEDS = "seeds"
    BOUNDARY = "boundary"
    AFFINITY = "affinity"
    SCORES = "scores"
    MASKS = "masks"
    INSTANCES = "instances"
    SEGMENTER = "segmenter"
    PREDICTIONS = "predictions"
    EVALUATION = "evaluation"


@dataclass(frozen=True)
class Failure:
    """An image that a step could not do.

    Attributes:
        image_id: The image.
        step: The step.
        reason: The error's message.
    """

    image_id: str
    step: str
    reason: str


@dataclass(frozen=True)
class StepContext:
    """What a step's work gets to see.

    Attributes:
        folder: Where the step writes.
        inputs: Folders of the steps that it needs, by their names.
        workers: Processes to use for work on single images.
        device: ``"cpu"`` or ``"cuda"``.
    """

    folder: Path
    inputs: Mapping[str, Path]
    workers: int
    device: str


@dataclass(frozen=True)
class StepResult:
    """What a finished step reports: figures for the manifest, and the images that failed."""

    summary: Mapping[str, Any] = field(default_factory=dict)
    failures: Sequence[Failure] = ()


@dataclass(frozen=True)
class Step:
    """One stage of a run.

    Attributes:
        name: Unique; the name of its folder.
        produces: Kind of its product.
        needs: Earlier steps by name, with the kind that is expected of each.
        settings: Everything that the product depends on beside the needed steps and the data; JSON values.
        work: Does it, resuming where files are there already.
        repeat: Whether it is done anew in each run, because it depends on what no key covers (the ground truth).
    """

    name: str
    produces: Kind
    needs: Mapping[str, Kind]
    settings: Mapping[str, Any]
    work: Callable[[StepContext], StepResult]
    repeat: bool = False


def check_plan(steps: Sequence[Step]) -> None:
    """Raise ``ConfigError`` unless each step's needs are products, of the right kind, of earlier steps."""
    produced: dict[str, Kind] = {}
    for step in steps:
        if step.name in produced:
            raise ConfigError(f"plan: two steps are called {step.name!r}")
        for name, kind in step.needs.items():
            if name not in produced:
                raise ConfigError(f"plan: step {step.name!r} needs {name!r}, which no earlier step produces")
            if produced[name] != kind:
                raise ConfigError(f"plan: step {step.name!r} wants {kind} from {name!r}, which gives {produced[name]}")
        produced[step.name] = step.produces
