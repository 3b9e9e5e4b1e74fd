"""The steps between activations and masks that several methods share."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Literal

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.jobs import DecodeJob, ReadingJob, WalkJob, WeakSeedJob, release_models
from weakseg.pipeline.plan import Kind, Step, StepContext, StepResult
from weakseg.pipeline.steps import having, image_step
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.boundary import BoundaryConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.seed import SeedConfig
from weakseg.settings.walk import WalkConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.settings.window_affinity import WindowAffinityConfig
from weakseg.stages.affinity import train_affinity
from weakseg.stages.boundary import train_boundary
from weakseg.stages.window_affinity import train_window_affinity
from weakseg.training.loop import FitPlace

READINGS = ("foreground", "background")


def boundary_step(dataset: Dataset, config: BoundaryConfig, seed: int) -> Step:
    """Train the boundary network on the seeds of the tagged images."""

    def work(context: StepContext) -> StepResult:
        release_models()
        seeds = context.inputs["seeds"]
        samples = tagged(having(dataset.splits["train"], seeds, ".png"))
        place = FitPlace(context.folder, seed, context.device)
        classifier = context.inputs["classifier"] / MODEL_FILE if "classifier" in context.inputs else None
        records = train_boundary(samples, seeds, config=config, place=place, classifier=classifier)
        return StepResult({"loss": records[-1]["loss"], "images": len(samples)})

    needs = {"seeds": Kind.SEEDS, **_start(config.start)}
    return Step("boundary", Kind.BOUNDARY, needs, {**asdict(config), "seed": seed}, work)


def reading_steps(dataset: Dataset, config: SeedConfig) -> list[Step]:
    """Compute the CRF's marginals of the strict and of the lenient reading of the activations."""
    return [
        _reading_step(dataset, config, name, value)
        for name, value in zip(READINGS, (config.strict, config.lenient), strict=True)
    ]


def affinity_step(dataset: Dataset, config: AffinityConfig, seed: int) -> Step:
    """Train the affinity network on both readings of the tagged images."""

    def work(context: StepContext) -> StepResult:
        release_models()
        strict, lenient = (context.inputs[name] for name in READINGS)
        samples = tagged(having(having(dataset.splits["train"], strict, ".safetensors"), lenient, ".safetensors"))
        place = FitPlace(context.folder, seed, context.device)
        classifier = context.inputs["classifier"] / MODEL_FILE if "classifier" in context.inputs else None
        records = train_affinity(samples, strict, lenient, config=config, place=place, classifier=classifier)
        return StepResult({"loss": records[-1]["loss"], "images": len(samples)})

    needs = {**dict.fromkeys(READINGS, Kind.SCORES), **_start(config.start)}
    return Step("affinity", Kind.AFFINITY, needs, {**asdict(config), "seed": seed}, work)


def walk_step(dataset: Dataset, config: WalkConfig) -> Step:
    """Let background and activations walk on the learned affinities."""

    def job(context: StepContext) -> WalkJob:
        model = context.inputs["affinity"] / MODEL_FILE
        return WalkJob(model, context.inputs["activations"], context.folder, config, context.device)

    needs = {"activations": Kind.ACTIVATIONS, "affinity": Kind.AFFINITY}
    return image_step("walk", Kind.SCORES, needs, asdict(config), dataset.splits["train"], job)


def weak_seeds_step(dataset: Dataset, config: WeakSeedConfig, *, activations: bool, name: str = "seeds") -> Step:
    """Make seeds of what is drawn on each image, and of its activations where the plan has them."""

    def job(context: StepContext) -> WeakSeedJob:
        return WeakSeedJob(context.inputs.get("activations"), context.folder, config, context.device)

    needs = {"activations": Kind.ACTIVATIONS} if activations else {}
    settings = asdict(config)
    if config.tags_as == "confident":  # finished steps stay valid where the thresholds change no result
        del settings["tags_as"], settings["thresholds"]
    return image_step(name, Kind.SEEDS, needs, settings, dataset.splits["train"], job)


def window_affinity_step(dataset: Dataset, config: WindowAffinityConfig, seeds: str, seed: int) -> Step:
    """Train the window affinity network on the seeds of the tagged images."""

    def work(context: StepContext) -> StepResult:
        release_models()
        samples = tagged(having(dataset.splits["train"], context.inputs[seeds], ".png"))
        place = FitPlace(context.folder, seed, context.device)
        classifier = context.inputs["classifier"] / MODEL_FILE if "classifier" in context.inputs else None
        records = train_window_affinity(
            samples, context.inputs[seeds], config=config, place=place, classifier=classifier
        )
        return StepResult({"loss": records[-1]["loss"], "images": len(samples)})

    needs = {seeds: Kind.SEEDS, **_start(config.start)}
    return Step("affinity", Kind.AFFINITY, needs, {**asdict(config), "seed": seed}, work)


def decode_steps(dataset: Dataset, config: DecodeConfig, source: str, *, within_boxes: bool = False) -> list[Step]:
    """Make label maps of the scores of the step ``source``: ``labels`` without the CRF, then ``masks``."""
    plain = replace(config, crf=replace(config.crf, iterations=0))
    return [
        _decode_step(dataset, plain, source, "labels", within_boxes),
        _decode_step(dataset, config, source, "masks", within_boxes),
    ]


def tagged(samples: Sequence[WeakSample]) -> list[WeakSample]:
    """Return the samples with a tag: nothing can be learned of pairs where all is background."""
    kept = [sample for sample in samples if sample.tags.present]
    if not kept:
        raise DataError("data: no training image has a tag; pairs of pixels need some class")
    return kept


def _start(start: Literal["classifier", "pretrained"]) -> dict[str, Kind]:
    return {"classifier": Kind.CLASSIFIER} if start == "classifier" else {}


def _reading_step(dataset: Dataset, config: SeedConfig, name: str, value: float) -> Step:
    def job(context: StepContext) -> ReadingJob:
        return ReadingJob(context.inputs["activations"], context.folder, config, value, context.device)

    settings = {**asdict(config), "value": value}
    return image_step(name, Kind.SCORES, {"activations": Kind.ACTIVATIONS}, settings, dataset.splits["train"], job)


def _decode_step(dataset: Dataset, config: DecodeConfig, source: str, name: str, within_boxes: bool) -> Step:
    def job(context: StepContext) -> DecodeJob:
        return DecodeJob(context.inputs[source], context.folder, config, within_boxes, context.device)

    settings = {**asdict(config), **({"within_boxes": True} if within_boxes else {})}
    return image_step(name, Kind.MASKS, {source: Kind.SCORES}, settings, dataset.splits["train"], job)
