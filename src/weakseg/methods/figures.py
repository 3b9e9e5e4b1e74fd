"""What methods are compared by: agreement with the truth on the way to the masks, time and memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weakseg.artifacts import LabelMap
from weakseg.files import read_json
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.plan import Kind, Role, Step, result_of, way_to

ScoresOf = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class MethodFigures:
    """Figures of one method; ``None`` where there is nothing to measure. IoU and coverage are percentages.

    Attributes:
        before_crf: Mean IoU of what the masks were made of: label maps, else activations at their best threshold.
        after_crf: Mean IoU of the masks.
        coverage: Pixels that the partial labels decide.
        train_seconds: Wall time of the method's own trainings on the way to the masks.
        seconds_an_image: Wall time of its own work on images on that way, by image. ``None`` where a step was
            interrupted: its first part was not timed.
        peak_mb: Largest memory of the process tree in these steps, in MiB.
        objects: Mean average precision of objects at mask IoU 0.5.
        segmenter: Mean IoU of the last label maps that were made after the masks: the segmenter's predictions.
    """

    before_crf: float | None = None
    after_crf: float | None = None
    coverage: float | None = None
    train_seconds: float | None = None
    seconds_an_image: float | None = None
    peak_mb: float | None = None
    objects: float | None = None
    segmenter: float | None = None


def measure(steps: Sequence[Step], folders: Mapping[str, Path], scores: ScoresOf) -> MethodFigures:
    """Return the figures of a finished plan.

    Args:
        steps: The plan, without evaluation.
        folders: Of each step, with its manifest.
        scores: ``Score.as_json`` and ``InstanceScore.as_json`` of the scored steps, by name.
    """
    result = result_of(steps)
    if result is None:
        return MethodFigures()
    way = way_to(steps, result.name)
    summaries = {step.name: read_json(folders[step.name] / MANIFEST)["summary"] for step in way}
    own = [step for step in way if step.role != Role.START]
    trained = [summaries[step.name] for step in own if step.kind == Kind.MODEL]
    mapped = [summaries[step.name] for step in own if step.kind != Kind.MODEL]
    after = [step.name for step in steps if step.role == Role.AFTER and step.kind == Kind.LABELS]
    return MethodFigures(
        before_crf=_before(steps, way, scores),
        after_crf=_mean_iou(scores, result.name),
        coverage=_coverage(way, folders, scores),
        train_seconds=_sum(map(_seconds, trained)),
        seconds_an_image=_sum(map(_seconds_an_image, mapped)),
        peak_mb=max((summary["peak_mb"] for summary in (*trained, *mapped)), default=None),
        objects=next((_precision(scores, s.name) for s in steps if s.kind == Kind.INSTANCES), None),
        segmenter=_mean_iou(scores, after[-1]) if after else None,
    )


def _before(steps: Sequence[Step], way: Sequence[Step], scores: ScoresOf) -> float | None:
    """Return the score of the plain result, else of the activations on the way."""
    plain = [step.name for step in steps if step.role == Role.PLAIN]
    evidence = [step.name for step in way if step.kind == Kind.ACTIVATIONS]
    names = [name for name in (*evidence, *plain) if name in scores]
    return _mean_iou(scores, names[-1]) if names else None


def _coverage(way: Sequence[Step], folders: Mapping[str, Path], scores: ScoresOf) -> float | None:
    """Return how many pixels the last partial labels on the way decide, in percent; without truth, of all pixels."""
    names = [step.name for step in way if step.role == Role.SEEDS]
    if not names:
        return None
    if names[-1] in scores:
        return float(scores[names[-1]]["coverage"])
    decided = pixels = 0.0
    for path in sorted(folders[names[-1]].rglob("*.png")):
        labels = LabelMap.load(path)
        decided += labels.coverage * labels.labels.size
        pixels += labels.labels.size
    return 100.0 * decided / pixels if pixels else None


def _mean_iou(scores: ScoresOf, name: str) -> float | None:
    return float(scores[name]["mean_iou"]) if name in scores else None


def _precision(scores: ScoresOf, name: str) -> float | None:
    value: float | None = scores[name]["mean_ap_region"]["0.5"] if name in scores else None
    return value


def _seconds(summary: Mapping[str, Any]) -> float | None:
    return None if summary["resumed"] else float(summary["seconds"])


def _seconds_an_image(summary: Mapping[str, Any]) -> float | None:
    seconds = _seconds(summary)
    return None if seconds is None or not summary.get("images") else seconds / int(summary["images"])


def _sum(values: Iterator[float | None]) -> float | None:
    """Return the sum, or ``None`` where a part is unknown."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total
