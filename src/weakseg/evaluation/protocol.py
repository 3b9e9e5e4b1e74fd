"""Scores of label maps and activations against ground truth, with the protocol that they were made under."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Activations, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.truth import EvalSample, InstanceSample
from weakseg.errors import DataError, EvaluationError
from weakseg.evaluation.confusion import Confusion
from weakseg.evaluation.sweep import ThresholdSweep
from weakseg.names import in_any_form
from weakseg.ops.resample import resize_maps
from weakseg.progress import track
from weakseg.settings.evaluate import UndecidedPolicy

_Sample = TypeVar("_Sample", EvalSample, InstanceSample)
VOID_RULE = "pixels whose truth is 255 are left out"


@dataclass(frozen=True)
class Score:
    """How well one product of a run agrees with the truth.

    Attributes:
        name: The product, such as ``masks``.
        confusion: Pixel counts over all images.
        images: Number of images with truth.
        missing: Of these, how many have no prediction; they count as undecided.
        policy: What an undecided pixel counts as.
        protocol: List of images, source of the tags, CRF, scales, and what else a reader must know.
        per_image: Mean IoU of each image over the classes that its truth shows.
    """

    name: str
    confusion: Confusion
    images: int
    missing: int
    policy: UndecidedPolicy = "error"
    protocol: dict[str, Any] = field(default_factory=dict)
    per_image: dict[str, float] = field(default_factory=dict)

    def as_json(self, classes: Classes) -> dict[str, Any]:
        """Return percentages, class by class, and the protocol, as JSON values (``None`` for absent classes)."""
        iou = [None if np.isnan(value) else 100.0 * float(value) for value in self.confusion.iou(self.policy)]
        names = ("background", *classes.names)
        return {
            "name": self.name,
            "mean_iou": 100.0 * self.confusion.mean_iou(self.policy),
            "pixel_accuracy": 100.0 * self.confusion.pixel_accuracy(self.policy),
            "coverage": 100.0 * self.confusion.coverage,
            "images": self.images,
            "missing": self.missing,
            "iou": dict(zip(names, iou, strict=True)),
            "absent_classes": [name for name, value in zip(names, iou, strict=True) if value is None],
            "protocol": {"void": VOID_RULE, "undecided": self.policy, **self.protocol},
            "per_image": {image_id: 100.0 * value for image_id, value in self.per_image.items()},
        }


BESIDE_TAGS = "tags + saliency"


def titled(values: Mapping[str, Any]) -> str:
    """Return product and list of a score (``as_json``): of a list of ``data.score`` its name, else nothing of it.

    What depends on saliency maps that may have learned from masks of pixels says so.
    """
    protocol = values["protocol"]
    beside = [protocol["list"]] if "made_for" in protocol else []
    beside += [BESIDE_TAGS] if knows_masks(protocol.get("saliency", {})) else []
    return f"{values['name']} ({', '.join(beside)})" if beside else str(values["name"])


def knows_masks(saliency: Mapping[str, Any]) -> bool:
    """Return whether saliency maps, as a protocol tells of them, may have learned from masks of pixels."""
    return bool(saliency.get("learned_from_masks", False))


def scored_on(protocol: Mapping[str, Any]) -> str:
    """Return the split of a product, and the list that it is scored on, where that is another."""
    return f"{protocol['split']}: {protocol['list']}" if "made_for" in protocol else str(protocol["split"])


def describe_protocol(values: Mapping[str, Any]) -> str:
    """Return in one line what a score (``Score.as_json``) was made under: list, tags, rules, scales, CRF and start."""
    protocol, settings = values["protocol"], values["protocol"].get("settings", {})
    made = f"; made for {protocol['made_for']}" if "made_for" in protocol else ""
    parts = [f"list {protocol['list']} ({values['images']} images, {values['missing']} without prediction{made})"]
    parts += [f"tags from {protocol['tags_from']}", f"void: {protocol['void']}", f"undecided: {protocol['undecided']}"]
    parts += [described_saliency(protocol["saliency"])] if "saliency" in protocol else []
    parts += [f"background: {protocol['background']}"] if "background" in protocol else []
    parts += [f"scales {', '.join(map(str, settings['scales']))}"] if "scales" in settings else []
    parts += ["no class that is known to be absent"] if "restricted" in settings else []
    if not settings:
        return "; ".join(parts)
    parts.append(_described_crf(settings))
    parts += [_described_start(settings["init"])] if "init" in settings else []
    return "; ".join(parts)


def described_saliency(told: Mapping[str, Any]) -> str:
    """Return in words which saliency maps a product depends on; of those that learned from masks, what it is then."""
    detector = told["detector"]
    if detector == "files":
        return f"{BESIDE_TAGS}: maps of files, whose maker may have learned from masks of pixels"
    if told["learned_from_masks"]:
        return f"{BESIDE_TAGS}: {detector} ({told['weights']}), which learned from masks of pixels that people drew"
    return f"saliency: {detector}, which learned nothing"


def _described_crf(settings: Mapping[str, Any]) -> str:
    crf = settings.get("crf") if isinstance(settings.get("crf"), Mapping) else settings.get("crf_params")
    if not crf or not settings["crf"]:
        return "no CRF"
    preset = settings.get("crf_preset", "own")
    return f"CRF of {crf['iterations']} iterations" if preset == "own" else f"CRF of {preset}"


def _described_start(init: Mapping[str, Any]) -> str:
    """Return what a segmenter started from; masks that people drew for it are pixel supervision, whatever follows."""
    if "network" not in init:
        return f"segmenter from {init['backbone']} with weights {init['weights']}"
    drawn = "with masks of pixels that people drew" if init["pixel_masks"] else "without masks of pixels"
    return f"segmenter from {init['network']}, trained on {init['trained_on']}, {drawn}"


def score_maps(
    name: str,
    truth: Sequence[EvalSample],
    folder: Path,
    *,
    policy: UndecidedPolicy = "error",
    protocol: dict[str, Any] | None = None,
) -> Score:
    """Compare the label maps ``folder/<id>.png`` with the truth; a missing map counts as undecided everywhere.

    Names of files may be of any Unicode form.

    Raises:
        EvaluationError: If there is no truth at all, or not one map, or a map has another size than its truth or labels
            that are no classes.
    """

    def read(sample: EvalSample, labels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        path = in_any_form(folder / f"{sample.id}.png")
        if not path.exists():
            return None
        found = LabelMap.load(path).labels
        if found.shape != labels.shape:
            raise EvaluationError(
                f"{path}: {found.shape} but the truth of {sample.id!r} is {labels.shape}; same size needed"
            )
        return found

    return _score(name, truth, read, policy, protocol or {})


def score_activations(
    name: str, truth: Sequence[EvalSample], folder: Path, *, protocol: dict[str, Any] | None = None
) -> tuple[Score, float]:
    """Return the score of activations at the background threshold that is best on these images, and the threshold.

    Choosing the threshold on the images that are scored is the field's convention, and optimistic. An image without
    activations counts as undecided everywhere.

    Raises:
        EvaluationError: If there is no truth at all, or no activations, or those of an image of another size or with
            classes that do not exist.
    """
    if not truth:
        raise EvaluationError(f"{name}: no image has ground truth; set data.truth, or leave evaluation out")
    sweep, missing = ThresholdSweep(truth[0].num_classes), 0
    with track(f"score {name}", len(truth)) as advance:
        for sample in truth:
            labels = sample.load_truth()
            maps, class_ids = _read_activations(folder / f"{sample.id}.safetensors", sample, labels)
            missing += maps is None
            with _named(name, sample):
                sweep.add(maps, class_ids, labels)
            advance(1)
    _refuse_nothing(name, missing, len(truth))
    threshold, confusion = sweep.best()
    rule = {**(protocol or {}), "background": f"threshold {threshold:.2f}, the best of 0.00..0.59 on these images"}
    return Score(name, confusion, len(truth), missing, "error", rule), threshold


def _score(
    name: str,
    truth: Sequence[EvalSample],
    read: Callable[[EvalSample, NDArray[np.uint8]], NDArray[np.uint8] | None],
    policy: UndecidedPolicy,
    protocol: dict[str, Any],
) -> Score:
    if not truth:
        raise EvaluationError(f"{name}: no image has ground truth; set data.truth, or leave evaluation out")
    total, missing, per_image = Confusion.empty(truth[0].num_classes), 0, {}
    with track(f"score {name}", len(truth)) as advance:
        for sample in truth:
            labels = sample.load_truth()
            found = read(sample, labels)
            missing += found is None
            with _named(name, sample):
                prediction = np.full_like(labels, UNDECIDED) if found is None else found
                one = Confusion.of(labels, prediction, sample.num_classes)
            total, per_image[sample.id] = total + one, one.mean_iou(policy)
            advance(1)
    _refuse_nothing(name, missing, len(truth))
    shown = {image_id: value for image_id, value in per_image.items() if not np.isnan(value)}
    return Score(name, total, len(truth), missing, policy, protocol, shown)


def _read_activations(
    path: Path, sample: EvalSample, labels: NDArray[np.uint8]
) -> tuple[Tensor | None, tuple[int, ...]]:
    """Return the activations of an image, resized to its truth, and their classes; ``None`` where there is no file."""
    if not path.exists():
        return None, ()
    found, size = Activations.load(path), (labels.shape[0], labels.shape[1])
    if found.image_size != size:
        raise EvaluationError(
            f"{path}: of {found.image_size} but the truth of {sample.id!r} is {size}; same size needed"
        )
    return resize_maps(found.values, size), found.class_ids


@contextmanager
def _named(name: str, sample: EvalSample) -> Iterator[None]:
    """Add product and image to the message of an evaluation error."""
    try:
        yield
    except EvaluationError as error:
        raise EvaluationError(f"{name}: image {sample.id!r}: {error}; was it made with other classes?") from error


def _refuse_nothing(name: str, missing: int, images: int) -> None:
    """Raise ``EvaluationError`` if not one image has a prediction."""
    if missing == images:
        raise EvaluationError(
            f"{name}: none of the {missing} images with truth has a prediction; is it the right folder?"
        )


def usable_truth(truth: Sequence[_Sample]) -> tuple[list[_Sample], dict[str, str]]:
    """Return the samples whose truth can be read, and the reason for each of the others, by image id."""
    usable, reasons = [], {}
    for sample in truth:
        try:
            sample.load_truth()
        except DataError as error:
            reasons[sample.id] = str(error)
        else:
            usable.append(sample)
    return usable, reasons


def export_truth(truth: Sequence[EvalSample], folder: Path, *, void: int = UNDECIDED) -> None:
    """Write true masks as label maps, for the supervised reference alone; void pixels get the label ``void``."""
    with track("true masks", len(truth)) as advance:
        for sample in truth:
            labels = sample.load_truth()
            LabelMap(np.where(labels == UNDECIDED, np.uint8(void), labels)).save(folder / f"{sample.id}.png")
            advance(1)
