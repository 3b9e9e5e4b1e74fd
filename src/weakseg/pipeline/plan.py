"""A plan: steps in order, each with what it is, what it needs and what it produces; checked before anything runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from weakseg.errors import ConfigError
from weakseg.pipeline.engines import Engine
from weakseg.pipeline.share import Share
from weakseg.settings.rules import spoken

TRAIN, VAL = "train", "val"


class Kind(StrEnum):
    """What the files of a step hold."""

    MODEL = "model"
    ACTIVATIONS = "activations"
    SALIENCY = "saliency"
    PROPOSALS = "proposals"
    LABELS = "labels"
    SCORES = "scores"
    FEATURES = "features"
    INSTANCES = "instances"
    RELIABILITY = "reliability"
    RESULTS = "results"

    @property
    def suffix(self) -> str:
        """Suffix of the file of each image; empty for kinds that have none."""
        return SUFFIXES.get(self, "")


SUFFIXES = {
    Kind.ACTIVATIONS: ".safetensors",
    Kind.SCORES: ".safetensors",
    Kind.FEATURES: ".safetensors",
    Kind.LABELS: ".png",
    Kind.SALIENCY: ".png",
    Kind.PROPOSALS: ".proposals.json",
    Kind.INSTANCES: ".instances.json",
    Kind.RELIABILITY: ".reliability.json",
}


class Role(StrEnum):
    """What a step is in its plan, for those who read plans: figures, comparison, labelling of new images, report."""

    START = "start"
    """What several methods start from; its cost is not the method's own."""
    PART = "part"
    """Own work on the way to the result, or beside it, such as objects that are cut out of the masks."""
    SEEDS = "seeds"
    """Partial labels on that way."""
    PLAIN = "plain"
    """The result before its last refinement."""
    RESULT = "result"
    """The masks that the method is for."""
    AFTER = "after"
    """Made of the result: a segmenter, its predictions, and what follows."""
    CHECK = "check"
    """Compares with ground truth."""


@dataclass(frozen=True)
class Failure:
    """An image that a step could not do.

    Attributes:
        image_id: The image, or the name of the product of several.
        step: The step.
        reason: The error's message.
        passing: Whether the same may succeed at another time, so that the next call tries it again.
    """

    image_id: str
    step: str
    reason: str
    passing: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class StepContext:
    """What a step's work gets to see.

    Attributes:
        folder: Where the step writes.
        inputs: Folders of the steps that it needs, by their names.
        engine: Spreads work on images.
        device: ``"cpu"`` or ``"cuda"``.
    """

    folder: Path
    inputs: Mapping[str, Path]
    engine: Engine
    device: str


@dataclass(frozen=True)
class StepResult:
    """What a finished step reports: figures for the manifest, and the images that failed."""

    summary: Mapping[str, Any] = field(default_factory=dict)
    failures: Sequence[Failure] = ()


@dataclass(frozen=True)
class Work:
    """What a step does.

    Attributes:
        code: Full name of the job or training; part of the step's key, so that two steps that differ in nothing else
            are told apart.
        run: Does it, resuming where files are there already.
        apart: Whether the files of each image depend on those of no other image.
        share: Does a share of it alone, beside others that do theirs, and returns what failed; ``None``: nobody can.
        decides: Whether something is first decided of all images, once for all shares.
        shared: Whether all processes of a command take part; else the first one does it.
    """

    code: str
    run: Callable[[StepContext], StepResult]
    apart: bool = False
    share: Callable[[StepContext, Share], Sequence[Failure]] | None = None
    decides: bool = False
    shared: bool = False


@dataclass(frozen=True)
class Step:
    """One stage of a run.

    Attributes:
        name: Unique; the name of its folder.
        kind: What its files hold.
        needs: Earlier steps by name, with the kind that is expected of each.
        settings: Everything that the product depends on beside the needed steps and the data; JSON values.
        work: Does it.
        role: What it is in the plan.
        split: Whose images its files are of.
        repeat: Whether it is done anew in each run, because it depends on what no key covers (the ground truth).
    """

    name: str
    kind: Kind
    needs: Mapping[str, Kind]
    settings: Mapping[str, Any]
    work: Work
    role: Role = Role.PART
    split: str = TRAIN
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
        produced[step.name] = step.kind
    if len(results := [step.name for step in steps if step.role == Role.RESULT]) > 1:
        raise ConfigError(f"plan: {' and '.join(map(repr, results))} are both the result; give one another role")


def way_to(steps: Sequence[Step], name: str) -> list[Step]:
    """Return the step ``name`` and all that it needs, directly or not, in the order of the plan."""
    wanted = {name}
    for step in reversed(steps):
        if step.name in wanted:
            wanted |= set(step.needs)
    return [step for step in steps if step.name in wanted]


def steps_until(steps: Sequence[Step], name: str) -> list[Step]:
    """Return the step ``name`` and all that it needs; the whole plan where the name is empty.

    Raises:
        ConfigError: If the plan has no such step.
    """
    if name and name not in {step.name for step in steps}:
        raise ConfigError(f"until: there is no step {name!r}; choose {spoken(tuple(step.name for step in steps))}")
    return way_to(steps, name) if name else list(steps)


def result_of(steps: Sequence[Step]) -> Step | None:
    """Return the step that makes a plan's masks; ``None`` where none does."""
    return next((step for step in steps if step.role == Role.RESULT), None)
