"""The step that trains a tag classifier."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.nn.backbones import check_backbone
from weakseg.pipeline.plan import TRAIN, VAL, Kind, Role, Step, StepContext, StepResult
from weakseg.rng import derive_seed
from weakseg.settings.classify import ClassifierConfig
from weakseg.stages.accumulate import train_accumulating
from weakseg.stages.classify import train_classifier
from weakseg.steps.base import training
from weakseg.training.loop import FitPlace

logger = logging.getLogger(__name__)

HOLD_OUT = 0.1


def classifier_step(
    dataset: Dataset,
    config: ClassifierConfig,
    seed: int,
    *,
    train: Callable[..., list[dict[str, Any]]] = train_classifier,
    accumulating: Callable[..., list[dict[str, Any]]] = train_accumulating,
    role: Role = Role.START,
) -> Step:
    """Train the tag classifier; without a ``val`` split a tenth of the images is held out to measure its mAP.

    Args:
        dataset: Its tags.
        config: The classifier.
        seed: Of everything random.
        train: The training; another one than that of a plain classifier is a method's own, and so is its ``role``.
        accumulating: The one where activations are accumulated.
        role: In the plan.
    """
    check_backbone(config.backbone)
    decided = config.told(len(dataset.splits[TRAIN]))
    config = config.for_images(len(dataset.splits[TRAIN]))
    train = accumulating if config.accumulate else train

    def run(context: StepContext, place: FitPlace) -> StepResult:
        if decided:
            logger.info(decided)
        learned, measured = hold_out(dataset, seed)
        more = {"held": _without(dataset.splits[TRAIN], learned)} if config.accumulate else {}
        records = train(learned, measured, dataset.classes, config=config, place=place, **more)
        found = trained_classifier(records, config.warn_below)
        return StepResult({**found.summary, **({"decided": decided} if decided else {})})

    return Step("classifier", Kind.MODEL, {}, {**asdict(config), "seed": seed}, training(train, run, seed), role)


def trained_classifier(records: Sequence[Mapping[str, Any]], warn_below: float) -> StepResult:
    """Return what the training of a classifier reports; an mAP (percent) under ``warn_below`` is doubtful."""
    last = records[-1]
    told: dict[str, Any] = {name: last[name] for name in ("mAP", "loss", "accumulated") if name in last}
    return StepResult({**told, "warnings": _doubts(last["mAP"], warn_below)})


def hold_out(dataset: Dataset, seed: int) -> tuple[Sequence[WeakSample], Sequence[WeakSample]]:
    """Return images to train the classifier on and to measure it on; under ten images none are held out."""
    train, val = dataset.splits[TRAIN], dataset.splits.get(VAL, ())
    if val or len(train) < 1 / HOLD_OUT:
        return train, val
    ranked = sorted(train, key=lambda sample: derive_seed(seed, sample.id, "hold-out"))
    held = {sample.id for sample in ranked[: int(len(train) * HOLD_OUT)]}
    return [s for s in train if s.id not in held], [s for s in train if s.id in held]


def _without(samples: Sequence[WeakSample], others: Sequence[WeakSample]) -> list[WeakSample]:
    """Return samples that are none of the others."""
    ids = {sample.id for sample in others}
    return [sample for sample in samples if sample.id not in ids]


def _doubts(value: float, warn_below: float) -> list[str]:
    """Return, and log, what makes the activations of a classifier of this mAP doubtful."""
    if math.isnan(value):
        text = "classifier: mAP could not be measured (no tagged image held out); look at the activations before use"
    elif value < warn_below:
        text = (
            f"classifier: validation mAP is {value:.1f} %, under {warn_below:.0f} %: activations mean little. "
            "Check the tags, train longer, or add images"
        )
    else:
        return []
    logger.warning(text)
    return [text]
