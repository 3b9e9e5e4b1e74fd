"""The steps that train a segmenter on label maps, and apply it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.errors import StoreError
from weakseg.files import read_json_object, write_json
from weakseg.nn.backbones import check_backbone
from weakseg.nn.segmenters import check_training
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.grow import GrowthConfig, SeededConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.segment import InitConfig, SegmentConfig
from weakseg.stages.mask_counts import SMALL_SIDE
from weakseg.stages.predict import predict_image, predict_restricted
from weakseg.stages.seeded import check_seeded, train_seeded
from weakseg.stages.segment import load_predictor, load_segmenter, train_segmenter
from weakseg.steps.base import cached, fitted, having, over_images, prediction_split, training
from weakseg.training.loop import FitPlace

SEGMENTER, MASKS, PREDICTIONS = "segmenter", "masks", "predictions"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictJob(ImageJob):
    """Image to the segmenter's mask; ``model`` is a segmenter file, of weakseg or ONNX."""

    model: Path
    out: Path
    config: PredictConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Predict and save the mask."""
        model, _ = cached(load_predictor, self.model, self.device)
        predict_image(model, _image_of(sample), self.config).save(self.output(sample.id))


@dataclass(frozen=True)
class RestrictedJob(PredictJob):
    """Image to the segmenter's mask of background and the classes that are not known to be absent."""

    def one(self, sample: WeakSample) -> None:
        """Predict and save the mask, and beside it how many pixels the tags have changed."""
        model, _ = cached(load_segmenter, self.model, self.device)
        found = predict_restricted(model, _image_of(sample), self.config, sample.tags.possible | {0})
        write_json(changes_of(self.out, sample.id), {"pixels": found.pixels, "changed": found.changed})
        found.mask.save(self.output(sample.id))


def changes_of(folder: Path, image_id: str) -> Path:
    """Return the file that says how many pixels of a restricted mask the tags have changed."""
    return folder / "restricted" / f"{image_id}.json"


def _image_of(sample: WeakSample) -> NDArray[np.uint8]:
    """Return the photograph, and warn of a small one."""
    image = sample.load_image()
    if min(image.shape[:2]) < SMALL_SIDE:
        size = "{} x {}".format(*image.shape[:2])
        logger.warning("%s: of %s pixels the network sees mostly padding; its mask means little", sample.id, size)
    return image


def in_round(name: str, number: int) -> str:
    """Return what a step is called in a round, from 1: the first round's have no number."""
    return name if number == 1 else f"{name}_{number}"


def segmenter_step(
    dataset: Dataset,
    config: SegmentConfig,
    seed: int,
    *,
    targets: str = MASKS,
    number: int = 1,
    before: Mapping[str, Any] | None = None,
) -> Step:
    """Train the segmenter of a round on the step ``targets``: masks, or seeds, whose undecided pixels give no loss.

    Args:
        dataset: Its training images.
        config: Network and training.
        seed: Of everything random.
        targets: The step that has left the label maps.
        number: Of the round, from 1.
        before: What results say of the segmenter of the round before, where this one goes on with it.
    """
    check_training(config)
    check_backbone(config.model.backbone)
    earlier = in_round(SEGMENTER, number - 1)

    def run(context: StepContext, place: FitPlace) -> StepResult:
        masks = context.inputs[targets]
        samples = having(dataset.splits[TRAIN], masks, Kind.LABELS)
        started = config if before is None else _going_on(config, context.inputs[earlier] / MODEL_FILE, before)
        return fitted(train_segmenter(samples, masks, dataset.classes, config=started, place=place), samples)

    needs = {targets: Kind.LABELS, **({} if before is None else {earlier: Kind.MODEL})}
    settings = {**asdict(config), "seed": seed, **({} if before is None else {"before": dict(before)})}
    work = training(train_segmenter, run, seed)
    return Step(in_round(SEGMENTER, number), Kind.MODEL, needs, settings, work, Role.AFTER)


def _going_on(config: SegmentConfig, model: Path, told: Mapping[str, Any]) -> SegmentConfig:
    """Return settings of a segmenter that starts from the file of another one."""
    backbone = replace(config.model.backbone, weights="none", file="")
    init = InitConfig(str(model), told["trained_on"], told["pixel_masks"])
    return replace(config, model=replace(config.model, backbone=backbone), init=init)


def seeded_segmenter_step(dataset: Dataset, config: SeededConfig, growth: GrowthConfig, seed: int) -> Step:
    """Train the segmenter on the seeds of the step "seeds", and on the labels that grow from them."""
    check_seeded(config, growth)
    check_backbone(config.model.backbone)

    def run(context: StepContext, place: FitPlace) -> StepResult:
        seeds = context.inputs["seeds"]
        samples = having(dataset.splits[TRAIN], seeds, Kind.LABELS)
        records = train_seeded(samples, seeds, dataset.classes, config=config, growth=growth, place=place)
        return fitted(records, samples)

    settings = {**asdict(config), "growth": asdict(growth.completed), "seed": seed}
    return Step(SEGMENTER, Kind.MODEL, {"seeds": Kind.LABELS}, settings, training(train_seeded, run, seed))


def predictions_step(dataset: Dataset, config: PredictConfig, init: Mapping[str, Any], *, number: int = 1) -> Step:
    """Apply the segmenter of a round to ``val``, or to the training images where there is no ``val``.

    Args:
        dataset: Its images.
        config: How the segmenter is applied.
        init: What it has started from, which results say beside their settings.
        number: Of the round, from 1.
    """
    model = in_round(SEGMENTER, number)

    def make(context: StepContext) -> PredictJob:
        return PredictJob(context.inputs[model] / MODEL_FILE, context.folder, config, context.device)

    split = prediction_split(dataset)
    work = over_images(PredictJob, make, dataset.splits[split])
    settings = {**asdict(config), "init": dict(init)}
    name = in_round(PREDICTIONS, number)
    return Step(name, Kind.LABELS, {model: Kind.MODEL}, settings, work, Role.AFTER, split)


def restricted_step(
    dataset: Dataset,
    config: PredictConfig,
    model: str,
    init: Mapping[str, Any],
    *,
    name: str = MASKS,
    role: Role = Role.RESULT,
) -> Step:
    """Apply a segmenter to the training images; absent classes never appear, those of which nobody knows may.

    How many pixels that has changed is counted and said; an image of which all classes are absent is background.

    Args:
        dataset: Its training images.
        config: How the segmenter is applied.
        model: The step that trains it.
        init: What it has started from.
        name: Of the step.
        role: Of the masks in the plan.
    """
    samples = dataset.splits[TRAIN]

    def make(context: StepContext) -> RestrictedJob:
        return RestrictedJob(context.inputs[model] / MODEL_FILE, context.folder, config, context.device)

    work = over_images(RestrictedJob, make, samples)

    def run(context: StepContext) -> StepResult:
        for sample in samples:  # a mask without its count is made anew
            if not changes_of(context.folder, sample.id).exists():
                (context.folder / f"{sample.id}.png").unlink(missing_ok=True)
        result = work.run(context)
        told = _count_changes(having(samples, context.folder, Kind.LABELS), context.folder, name)
        return replace(result, summary={**result.summary, "restricted": told})

    settings = {**asdict(config), "init": dict(init), "restricted": "tags"}
    return Step(name, Kind.LABELS, {model: Kind.MODEL}, settings, replace(work, run=run), role)


def _count_changes(samples: Sequence[WeakSample], folder: Path, name: str) -> dict[str, int]:
    """Return, and log, what tags have changed in the masks of some images."""
    found = [_changes(changes_of(folder, sample.id)) for sample in samples]
    told = {
        "pixels": sum(pixels for pixels, _ in found),
        "changed": sum(changed for _, changed in found),
        "changed_images": sum(changed > 0 for _, changed in found),
        "all_absent": sum(not sample.tags.possible for sample in samples),
        "with_unknown": sum(bool(sample.tags.unknown) for sample in samples),
    }
    logger.info(
        "%s: tags forbid what the segmenter sees on %.2g %% of the pixels, on %d of %d images",
        name,
        100 * told["changed"] / told["pixels"],
        told["changed_images"],
        len(samples),
    )
    for count, text in (
        (told["all_absent"], "images without a class that may be there are background"),
        (told["with_unknown"], "images have classes of which nobody knows; these may appear"),
    ):
        if count:
            logger.info("%s: %d %s", name, count, text)
    return told


def _changes(path: Path) -> tuple[int, int]:
    """Return how many pixels the network looked at, and how many of them tags have changed.

    Raises:
        StoreError: If the file does not say.
    """
    told = read_json_object(path)
    pixels, changed = told.get("pixels"), told.get("changed")
    if type(pixels) is not int or type(changed) is not int or not 0 <= changed <= pixels or not pixels:
        raise StoreError(f"{path}: does not say what tags have changed; delete it, the next run makes it anew")
    return pixels, changed
