"""What steps share: work on images, trainings, models that are kept for further images, and who takes part."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import nn

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.files import write_bytes
from weakseg.nn.backbones import check_backbone
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, VAL, Failure, Kind, Step, StepContext, StepResult, Work
from weakseg.pipeline.share import Share
from weakseg.pipeline.spread import run_units
from weakseg.pipeline.units import ImageJob, Job
from weakseg.settings.networks import StartedConfig
from weakseg.stages.features import forget_features
from weakseg.stages.proposers import forget_proposers
from weakseg.training.loop import FitPlace

Loaded = TypeVar("Loaded")
Source = tuple[str, Kind]
MakeJob = Callable[[StepContext], Job]
Train = Callable[[StepContext, FitPlace], StepResult]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageWork:
    """Work on images, alone or in groups; an error if every one of them failed.

    Attributes:
        job: Makes, of what the step gets to see, what is done.
        samples: The images.
        source: Step, and its kind, that must have left a file of an image; ``None``: all images take part.
    """

    job: MakeJob
    samples: Sequence[WeakSample]
    source: Source | None = None

    def __call__(self, context: StepContext) -> StepResult:
        """Do it."""
        samples, title = self.samples, context.folder.name
        if self.source:
            name, kind = self.source
            samples = having(samples, context.inputs[name], kind)
        job = self.job(context)
        units = job.units(samples)
        warnings: list[str] = []
        failures = run_units(job, units, title=title, engine=context.engine, warn=warnings.append)
        for warning in warnings:
            logger.warning(warning)
        products = sum(len(unit.products) for unit in units)
        if not products:
            raise DataError(f"{title}: of {len(samples)} images none takes part; see failures.csv for what is missing")
        if len(failures) == products:
            raise DataError(f"{title}: every image failed; the first, {failures[0].image_id}: {failures[0].reason}")
        told = {"images": products - len(failures)} | ({"warnings": warnings} if warnings else {})
        return StepResult(told, failures)

    def part(self, context: StepContext, share: Share) -> Sequence[Failure]:
        """Do a share of it, as far as the step before has left files, and return what failed; there may be nothing."""
        samples = share.part(self.samples)
        if self.source:
            name, kind = self.source
            samples = [sample for sample in samples if (context.inputs[name] / f"{sample.id}{kind.suffix}").exists()]
        if not samples:
            return ()
        job = self.job(context)
        return run_units(job, job.units(samples), title=context.folder.name, engine=context.engine, share=share)


def over_images(job: type[Job], make: MakeJob, samples: Sequence[WeakSample], *, source: Source | None = None) -> Work:
    """Return work that maps a job over images.

    Args:
        job: Class of the job, whose name is part of the step's key.
        make: Makes the job of what the step gets to see.
        samples: The images.
        source: See ``ImageWork``.
    """
    work, apart = ImageWork(make, samples, source), issubclass(job, ImageJob)
    return Work(code_of(job), work, apart=apart, share=work.part if apart else None)


def training(train: Callable[..., Any], run: Train, seed: int) -> Work:
    """Return work that trains a model, in all processes of a command, with the memory of idle ones given back first.

    Args:
        train: The training, whose name is part of the step's key.
        run: Calls it.
        seed: Of everything random.
    """

    def work(context: StepContext) -> StepResult:
        release_models(context)
        return run(context, FitPlace(context.folder, seed, context.device))

    return Work(code_of(train), work, shared=True)


def fitted(records: Sequence[Mapping[str, Any]], samples: Sequence[WeakSample]) -> StepResult:
    """Return what a training reports: its last loss, and how many images it has seen."""
    return StepResult({"loss": records[-1]["loss"], "images": len(samples)})


def code_of(function: Callable[..., Any]) -> str:
    """Return the full name of a class or function."""
    return f"{function.__module__}.{function.__qualname__}"


def having(samples: Sequence[WeakSample], folder: Path, kind: Kind) -> list[WeakSample]:
    """Return the samples that the step before could do; the others are in its list of failures."""
    kept = [sample for sample in samples if (folder / f"{sample.id}{kind.suffix}").exists()]
    if not kept:
        raise DataError(f"{folder}: the step before left nothing for any image; see failures.csv for the reasons")
    return kept


def tagged(samples: Sequence[WeakSample]) -> list[WeakSample]:
    """Return the samples with a tag: nothing can be learned of pairs where all is background."""
    kept = [sample for sample in samples if sample.tags.present]
    if not kept:
        raise DataError("data: no training image has a tag; pairs of pixels need some class")
    return kept


def prediction_split(dataset: Dataset) -> str:
    """Return the split that a segmenter is applied to."""
    return VAL if dataset.splits.get(VAL) else TRAIN


def classifier_of(context: StepContext) -> Path | None:
    """Return the file of the plan's classifier, where the step needs it."""
    return context.inputs["classifier"] / MODEL_FILE if "classifier" in context.inputs else None


def started(config: StartedConfig) -> dict[str, Kind]:
    """Return what a training needs for where its backbone starts from.

    Raises:
        ConfigError: If the backbone of the settings does not exist, whether it is used or not.
    """
    check_backbone(config.backbone)
    return {"classifier": Kind.MODEL} if config.start == "classifier" else {}


def given_model(step: Step, model: Path, digest: str) -> Step:
    """Return a training step that takes what it trained before; what only the training needed falls out of the plan."""

    def take(context: StepContext) -> StepResult:
        write_bytes(context.folder / MODEL_FILE, model.read_bytes())
        return StepResult()

    def share(context: StepContext, part: Share) -> Sequence[Failure]:
        take(context)  # each shard: the file is the same
        return ()

    return replace(step, needs={}, settings={"model": digest}, work=Work(code_of(given_model), take, share=share))


def release_models(context: StepContext) -> None:
    """Give back the memory of models that jobs keep, here and in idle processes."""
    context.engine.release()
    forget_models()


def forget_models() -> None:
    """Give back the memory of the models that are kept in this process."""
    _cached.cache_clear()
    forget_proposers()
    forget_features()


def cached(load: Callable[[Path], Loaded], path: Path, device: str) -> Loaded:
    """Return a model, or a tuple that begins with one, as ``load`` makes it of a file, on the device.

    The last one is kept for further images.
    """
    return cast(Loaded, _cached(load, path, path.stat().st_mtime_ns, device))


@lru_cache(maxsize=1)
def _cached(load: Callable[[Path], Any], path: Path, _written_ns: int, device: str) -> Any:
    found = load(path)
    model: nn.Module = found[0] if isinstance(found, tuple) else found
    model.to(device)
    return found
