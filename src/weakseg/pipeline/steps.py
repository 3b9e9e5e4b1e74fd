"""The steps that methods are composed of."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weakseg.artifacts import UNDECIDED
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.data.truth import InstanceSample, open_instance_truth, open_truth
from weakseg.errors import DataError
from weakseg.evaluation.instance_protocol import InstanceScore, score_instances
from weakseg.evaluation.protocol import Score, export_truth, score_activations, score_maps, usable_truth
from weakseg.files import write_json
from weakseg.instances import SUFFIX
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.engine import ImageJob, map_images
from weakseg.pipeline.jobs import ActivateJob, PredictJob, RefineJob, SeedJob, release_models
from weakseg.pipeline.plan import Failure, Kind, Step, StepContext, StepResult
from weakseg.rng import derive_seed
from weakseg.stages.activate import ActivateConfig
from weakseg.stages.classify import ClassifierConfig, train_classifier
from weakseg.stages.refine import RefineConfig
from weakseg.stages.seed import SeedConfig
from weakseg.stages.segment import PredictConfig, SegmentConfig, train_segmenter
from weakseg.training.loop import FitPlace

logger = logging.getLogger(__name__)

HOLD_OUT = 0.1
RESULTS_FILE = "results.json"
SUFFIXES = {
    Kind.ACTIVATIONS: ".safetensors",
    Kind.SCORES: ".safetensors",
    Kind.SEEDS: ".png",
    Kind.MASKS: ".png",
}


def classifier_step(
    dataset: Dataset, config: ClassifierConfig, seed: int, *, train_it: Callable[..., Any] = train_classifier
) -> Step:
    """Train the tag classifier; without a ``val`` split a tenth of the images is held out to measure its mAP."""

    def work(context: StepContext) -> StepResult:
        release_models()
        train, val = hold_out(dataset, seed)
        place = FitPlace(context.folder, seed, context.device)
        records = train_it(train, val, dataset.classes, config=config, place=place)
        return StepResult(
            {"mAP": records[-1]["mAP"], "loss": records[-1]["loss"], "warnings": _doubts(records, config)}
        )

    return Step("classifier", Kind.CLASSIFIER, {}, {**asdict(config), "seed": seed}, work)


def activations_step(dataset: Dataset, config: ActivateConfig, *, model: Path | None = None) -> Step:
    """Compute activations of the tagged classes of the training images, with the run's classifier or a given one."""

    def job(context: StepContext) -> ActivateJob:
        weights = model or context.inputs["classifier"] / MODEL_FILE
        return ActivateJob(weights, context.folder, config, context.device)

    needs = {} if model else {"classifier": Kind.CLASSIFIER}
    return image_step("activations", Kind.ACTIVATIONS, needs, asdict(config), dataset.splits["train"], job)


def seeds_step(dataset: Dataset, config: SeedConfig) -> Step:
    """Read seeds off the activations."""
    class_id = background_id(dataset, config)

    def job(context: StepContext) -> SeedJob:
        return SeedJob(context.inputs["activations"], context.folder, config, class_id, context.device)

    needs = {"activations": Kind.ACTIVATIONS}
    return image_step("seeds", Kind.SEEDS, needs, asdict(config), dataset.splits["train"], job)


def masks_step(dataset: Dataset, config: RefineConfig, seeds: SeedConfig) -> Step:
    """Make masks of seeds."""

    def job(context: StepContext) -> RefineJob:
        return RefineJob(context.inputs["seeds"], context.folder, config, seeds.background != "none", context.device)

    return image_step("masks", Kind.MASKS, {"seeds": Kind.SEEDS}, asdict(config), dataset.splits["train"], job)


def true_masks_step(dataset: Dataset, data: DataConfig, *, void_is_background: bool) -> Step:
    """Take the true masks as training masks: the supervised reference that weak labels are measured against."""

    def work(context: StepContext) -> StepResult:
        truth, bad = usable_truth(open_truth(data, dataset, "train"))
        if not truth:
            raise DataError("data: no training image has a usable true mask; the supervised reference needs data.truth")
        export_truth(truth, context.folder, void=0 if void_is_background else UNDECIDED)
        failures = [Failure(image_id, "masks", reason) for image_id, reason in bad.items()]
        return StepResult({"images": len(truth)}, failures)

    return Step("masks", Kind.MASKS, {}, {"from": "truth", "void_is_background": void_is_background}, work)


def segmenter_step(dataset: Dataset, config: SegmentConfig, seed: int, *, targets: str = "masks") -> Step:
    """Train the segmenter on masks, or on seeds, whose undecided pixels give no loss."""

    def work(context: StepContext) -> StepResult:
        release_models()
        masks = context.inputs[targets]
        samples = having(dataset.splits["train"], masks, ".png")
        place = FitPlace(context.folder, seed, context.device)
        records = train_segmenter(samples, masks, dataset.classes, config=config, place=place)
        return StepResult({"loss": records[-1]["loss"], "images": len(samples)})

    return Step("segmenter", Kind.SEGMENTER, {targets: Kind(targets)}, {**asdict(config), "seed": seed}, work)


def predictions_step(dataset: Dataset, config: PredictConfig) -> Step:
    """Apply the segmenter to ``val``, or to the training images where there is no ``val``."""

    def job(context: StepContext) -> PredictJob:
        return PredictJob(context.inputs["segmenter"] / MODEL_FILE, context.folder, config, context.device)

    samples = dataset.splits[prediction_split(dataset)]
    return image_step("predictions", Kind.PREDICTIONS, {"segmenter": Kind.SEGMENTER}, asdict(config), samples, job)


def evaluation_step(dataset: Dataset, data: DataConfig, steps: Sequence[Step]) -> Step:
    """Score the products of earlier steps wherever there is truth; without truth the result is an empty list.

    Label maps and activations are compared with true masks (``scores``), instances with true objects (``objects``).
    """
    scored = {step.name: step for step in steps if step.produces in _SCORED}
    instances = [step for step in steps if step.produces == Kind.INSTANCES]

    def work(context: StepContext) -> StepResult:
        splits = {
            n: prediction_split(dataset) if s.produces == Kind.PREDICTIONS else "train" for n, s in scored.items()
        }
        opened = {split: usable_truth(open_truth(data, dataset, split)) for split in dict.fromkeys(splits.values())}
        scores = []
        for name, step in scored.items():
            protocol = {**_protocol(data, splits[name]), "settings": step.settings}
            if truth := opened[splits[name]][0]:
                scores.append(_score(step, truth, context.inputs[name], protocol).as_json(dataset.classes))
        true_objects, wrong = usable_truth(open_instance_truth(data, dataset, "train") if instances else ())
        found = [_score_objects(step, true_objects, context, data) for step in instances]
        objects = [score.as_json(dataset.classes) for score in found if score]
        write_json(context.folder / RESULTS_FILE, {"scores": scores, "objects": objects})
        reasons = {i: reason for _, each in opened.values() for i, reason in each.items()} | wrong
        figures = {score["name"]: score["mean_iou"] for score in scores}
        figures |= {score["name"]: score["mean_ap_region"]["0.5"] for score in objects}
        return StepResult(figures, [Failure(i, "evaluation", reason) for i, reason in reasons.items()])

    needs = {step.name: step.produces for step in (*scored.values(), *instances)}
    return Step("evaluation", Kind.EVALUATION, needs, {"undecided": "error"}, work, repeat=True)


_SCORED = (Kind.ACTIVATIONS, Kind.SEEDS, Kind.MASKS, Kind.PREDICTIONS)


def prediction_split(dataset: Dataset) -> str:
    """Return the split that the segmenter is applied to."""
    return "val" if dataset.splits.get("val") else "train"


def hold_out(dataset: Dataset, seed: int) -> tuple[Sequence[WeakSample], Sequence[WeakSample]]:
    """Return images to train the classifier on and to measure it on; under ten images none are held out."""
    train, val = dataset.splits["train"], dataset.splits.get("val", ())
    if val or len(train) < 1 / HOLD_OUT:
        return train, val
    ranked = sorted(train, key=lambda sample: derive_seed(seed, sample.id, "hold-out"))
    held = {sample.id for sample in ranked[: int(len(train) * HOLD_OUT)]}
    return [s for s in train if s.id not in held], [s for s in train if s.id in held]


def background_id(dataset: Dataset, config: SeedConfig) -> int:
    """Return the id of the class that is the background, or 0."""
    return dataset.classes.id_of(config.background_class, "seeds.background_class") if config.background_class else 0


@dataclass(frozen=True)
class ImageWork:
    """A step's work on single images; an error if every one of them failed.

    Attributes:
        job: Makes, of what the step gets to see, what is done to an image.
        samples: The images.
        source: Step that must have left a file of an image, and the suffix of that file; ``None``: all images.
    """

    job: Callable[[StepContext], ImageJob]
    samples: Sequence[WeakSample]
    source: tuple[str, str] | None

    def __call__(self, context: StepContext) -> StepResult:
        """Do it."""
        samples = self.samples
        if self.source:
            samples = having(samples, context.inputs[self.source[0]], self.source[1])
        failures = map_images(self.job(context), samples, title=context.folder.name, workers=context.workers)
        if failures and len(failures) == len(samples):
            raise DataError(
                f"{context.folder.name}: every image failed; the first, {failures[0].image_id}: {failures[0].reason}"
            )
        return StepResult({"images": len(samples) - len(failures)}, failures)


def image_step(
    name: str,
    produces: Kind,
    needs: Mapping[str, Kind],
    settings: Mapping[str, Any],
    samples: Sequence[WeakSample],
    job: Callable[[StepContext], ImageJob],
) -> Step:
    """Return a step that works on single images: on those that the first of ``needs`` with a file an image could do."""
    source = next(((need, SUFFIXES[kind]) for need, kind in needs.items() if kind in SUFFIXES), None)
    return Step(name, produces, needs, settings, ImageWork(job, samples, source))


def having(samples: Sequence[WeakSample], folder: Path, suffix: str) -> list[WeakSample]:
    """Return the samples that the step before could do; the others are in its list of failures."""
    kept = [sample for sample in samples if (folder / f"{sample.id}{suffix}").exists()]
    if not kept:
        raise DataError(f"{folder}: the step before left nothing for any image; see failures.csv for the reasons")
    return kept


def _doubts(records: Sequence[Mapping[str, Any]], config: ClassifierConfig) -> list[str]:
    """Return, and log, what makes the classifier's activations doubtful."""
    value = records[-1]["mAP"]
    if math.isnan(value):
        text = "classifier: mAP could not be measured (no tagged image held out); look at the activations before use"
    elif value < config.warn_below:
        text = (
            f"classifier: validation mAP is {value:.1f} %, under {config.warn_below:.0f} %: activations mean little. "
            "Check the tags, train longer, or add images"
        )
    else:
        return []
    logger.warning(text)
    return [text]


def _protocol(data: DataConfig, split: str) -> dict[str, Any]:
    source = data.tags if data.format == "voc" else "label file"
    return {"split": split, "list": getattr(data, split), "tags_from": source}


def _score(step: Step, truth: Sequence[Any], folder: Path, protocol: dict[str, Any]) -> Score:
    if step.produces == Kind.ACTIVATIONS:
        return score_activations(step.name, truth, folder, protocol=protocol)[0]
    return score_maps(step.name, truth, folder, protocol=protocol)


def _score_objects(
    step: Step, truth: Sequence[InstanceSample], context: StepContext, data: DataConfig
) -> InstanceScore | None:
    """Return how well instances agree with the true objects; ``None`` where no image has both."""
    folder, protocol = context.inputs[step.name], {**_protocol(data, "train"), "settings": step.settings}
    if not any((folder / f"{sample.id}{SUFFIX}").exists() for sample in truth):
        return None
    return score_instances(step.name, truth, folder, protocol=protocol)
