"""The step that leaves a saliency map of each training image, and what results say of it."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.saliency import save_map
from weakseg.data.saliency_check import check_saliency
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.nn.published import find_weights, place_of
from weakseg.pipeline.keys import digest_of_files
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult, way_to
from weakseg.pipeline.units import ImageJob
from weakseg.settings.saliency import FROM_WEIGHTS, LEARNED_FROM_MASKS, SaliencyConfig
from weakseg.stages.mask_counts import named
from weakseg.stages.saliency import detect_saliency, load_u2netp
from weakseg.steps.base import over_images

SALIENCY = "saliency"
CHECKED = 500  # maps of which it is said whether they look inverted, or had to be resized

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SaliencyJob(ImageJob):
    """Image to its saliency map, by a detector, which no device makes faster, or from its file."""

    out: Path
    config: SaliencyConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.SALIENCY.suffix

    def one(self, sample: WeakSample) -> None:
        """Detect or read the map, and save it."""
        given = self.config.detector == "files"
        found = sample.load_saliency() if given else detect_saliency(sample.load_image(), self.config)
        save_map(self.output(sample.id), found)


def saliency_step(dataset: Dataset, config: SaliencyConfig, *, every: bool = True) -> Step:
    """Leave the saliency map of each training image as 8-bit PNG of the photograph's size.

    Its key covers the detector and the content of its weights, or of the maps.

    Args:
        dataset: Its training images.
        config: The detector.
        every: Whether each image must have a map where these are files; else at least one.
    """
    given = config.detector == "files"
    every_sample = dataset.splits[TRAIN]
    samples = [sample for sample in every_sample if sample.saliency is not None] if given else every_sample
    config = with_weights(config)
    work = over_images(SaliencyJob, lambda context: SaliencyJob(context.folder, config), samples)

    def run(context: StepContext) -> StepResult:
        if given:
            _check_maps(every_sample, every=every)
        elif config.file:
            load_u2netp(Path(config.file))  # what cannot be read is no image's fault
        result = work.run(context)
        warnings = _doubts(samples) if given else []
        for text in warnings:
            logger.warning("%s", text)
        return replace(result, summary={**result.summary, "warnings": warnings})

    maps = {sample.id: sample.saliency for sample in samples if sample.saliency is not None} if given else {}
    settings = {**asdict(config), **({"maps": digest_of_files(maps)} if given else {})}
    return Step(SALIENCY, Kind.SALIENCY, {}, settings, replace(work, run=run), Role.START)


def with_weights(config: SaliencyConfig) -> SaliencyConfig:
    """Return settings that name the file of the weights, there or not, where the detector has some."""
    cached = config.detector in FROM_WEIGHTS and not config.file
    return replace(config, file=str(place_of(config.detector))) if cached else config


def check_weights(config: SaliencyConfig) -> None:
    """Refuse a detector whose published weights are not on this machine; a file that is named is looked at elsewhere.

    Raises:
        ConfigError: If they are not there.
        CheckpointError: If they are damaged.
    """
    if config.detector in FROM_WEIGHTS and not config.file:
        find_weights(config.detector)


def saliency_of(steps: Sequence[Step], name: str) -> dict[str, Any]:
    """Return what results say of the saliency maps that a step's products depend on; empty where there are none.

    Args:
        steps: Of the plan.
        name: Of the step.
    """
    found = next((step for step in way_to(steps, name) if step.kind == Kind.SALIENCY), None)
    if found is None or found.name == name:
        return {}
    detector, file = found.settings["detector"], found.settings["file"]
    return {"detector": detector, "weights": Path(file).name, "learned_from_masks": detector in LEARNED_FROM_MASKS}


def _check_maps(samples: Sequence[WeakSample], *, every: bool) -> None:
    missing = [sample.id for sample in samples if sample.saliency is None]
    remedy = "add them as ID.png to the folder of data.saliency, name a detector by saliency.detector, or set seeds"
    if missing and every:
        raise DataError(
            f"saliency: no map of {len(missing)} of {len(samples)} training images: {named(missing)}; {remedy}."
            "background to threshold"
        )
    if len(missing) == len(samples):
        raise DataError(f"saliency: no training image has a map; {remedy}.background to activations")


def _doubts(samples: Sequence[WeakSample]) -> list[str]:
    """Return what is worth a warning of maps from files."""
    report = check_saliency(samples[:: 1 + len(samples) // CHECKED])
    resized = f"saliency: {report.resized} of {report.maps} maps are of another size than the photograph, and resized"
    return [*([resized] if report.resized else []), *report.warnings]
