"""What methods are compared by: agreement with the truth on the way to the masks, time and memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from weakseg.artifacts import LabelMap
from weakseg.files import read_json
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.plan import Kind, Role, Step, result_of, way_to
from weakseg.pipeline.remembered import remembered
from weakseg.steps.reliability import RELIABILITY, all_doubts

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
        trusted: Share of the masks, one for each class of an image, with a reliability of 0.5 or more, in percent.
        lists: Where products are scored on several lists: agreement, as above, by list. The figures above are then
            those of the first list of each product.
    """

    before_crf: float | None = None
    after_crf: float | None = None
    coverage: float | None = None
    train_seconds: float | None = None
    seconds_an_image: float | None = None
    peak_mb: float | None = None
    objects: float | None = None
    segmenter: float | None = None
    trusted: float | None = None
    lists: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def measure_lists(
    steps: Sequence[Step], folders: Mapping[str, Path], scores: Mapping[str, Sequence[Mapping[str, Any]]]
) -> MethodFigures:
    """Return the figures of a finished plan whose products may be scored on several lists.

    Args:
        steps: The plan, without evaluation.
        folders: Of each step, with its manifest.
        scores: As of ``measure``, but several of each step, a list each.
    """
    figures = measure(steps, folders, {name: rows[0] for name, rows in scores.items()})
    if all(len(rows) == 1 for rows in scores.values()):
        return figures
    by_list: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, rows in scores.items():
        for row in rows:
            by_list.setdefault(row["protocol"]["list"], {})[name] = row
    return replace(figures, lists={listed: _agreement(steps, of_list) for listed, of_list in by_list.items()})


def measure(steps: Sequence[Step], folders: Mapping[str, Path], scores: ScoresOf) -> MethodFigures:
    """Return the figures of a finished plan.

    Args:
        steps: The plan, without evaluation.
        folders: Of each step, with its manifest.
        scores: ``Score.as_json`` and ``InstanceScore.as_json`` of the scored steps, by name.
    """
    result = result_of(steps)
    if result is None:
        known: dict[str, Any] = dict(_agreement(steps, scores))
        return MethodFigures(**known)
    way = way_to(steps, result.name)
    summaries = {step.name: read_json(folders[step.name] / MANIFEST)["summary"] for step in way}
    own = [step for step in way if step.role != Role.START]
    trained = [summaries[step.name] for step in own if step.kind == Kind.MODEL]
    mapped = [summaries[step.name] for step in own if step.kind != Kind.MODEL]
    partial = [step.name for step in way if step.role == Role.SEEDS]
    found = _agreement(steps, scores)
    unscored = _coverage(folders[partial[-1]]) if partial and partial[-1] not in scores else None
    return MethodFigures(
        before_crf=found.get("before_crf"),
        after_crf=found.get("after_crf"),
        coverage=found.get("coverage", unscored),
        train_seconds=_sum(map(_seconds, trained)),
        seconds_an_image=_sum(map(_seconds_an_image, mapped)),
        peak_mb=max((summary["peak_mb"] for summary in (*trained, *mapped)), default=None),
        objects=found.get("objects"),
        segmenter=found.get("segmenter"),
        trusted=_trusted(folders[RELIABILITY]) if RELIABILITY in {step.name for step in steps} else None,
    )


def _agreement(steps: Sequence[Step], scores: ScoresOf) -> dict[str, float]:
    """Return those figures of a plan that scores tell."""
    result = result_of(steps)
    way = way_to(steps, (result or steps[-1]).name)
    plain = [step.name for step in steps if step.role == Role.PLAIN]
    evidence = [step.name for step in way if step.kind == Kind.ACTIVATIONS]
    before = [name for name in (*evidence, *plain) if name in scores]
    partial = [step.name for step in way if step.role == Role.SEEDS]
    after = [step.name for step in steps if step.role == Role.AFTER and step.kind == Kind.LABELS]
    objects = next((step.name for step in steps if step.kind == Kind.INSTANCES), "")
    found = {
        "before_crf": _mean_iou(scores, before[-1]) if before else None,
        "after_crf": _mean_iou(scores, result.name) if result else None,
        "coverage": scores[partial[-1]]["coverage"] if partial and partial[-1] in scores else None,
        "objects": _precision(scores, objects),
        "segmenter": _mean_iou(scores, after[-1]) if after else None,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _coverage(folder: Path) -> float | None:
    """Return how many pixels partial labels that were not scored decide, in percent of all."""

    def count() -> float | None:
        decided = pixels = 0.0
        for path in sorted(folder.rglob("*.png")):
            labels = LabelMap.load(path)
            decided += labels.coverage * labels.labels.size
            pixels += labels.labels.size
        return 100.0 * decided / pixels if pixels else None

    found: float | None = remembered(folder, "coverage", count)
    return found


def _trusted(folder: Path) -> float | None:
    """Return how many masks are to be trusted, in percent."""

    def count() -> float | None:
        found = [one.trusted for one in all_doubts(folder)]
        return 100.0 * sum(found) / len(found) if found else None

    share: float | None = remembered(folder, "trusted", count)
    return share


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
