"""Scores of instances against true objects, with the protocol that they were made under."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakseg.data.classes import Classes
from weakseg.data.truth import InstanceSample
from weakseg.errors import EvaluationError
from weakseg.evaluation.coco_ap import CocoAp, coco_ap
from weakseg.evaluation.instances import THRESHOLDS, RegionMatches
from weakseg.evaluation.protocol import described_saliency
from weakseg.instances import SUFFIX, Instances
from weakseg.names import in_any_form
from weakseg.progress import track
from weakseg.settings.evaluate import Match

RULES = {
    "best": "the true object of the highest IoU, IoU >= threshold",
    "free": "the best true object that is not taken, IoU > threshold",
}


@dataclass(frozen=True)
class InstanceScore:
    """How well instances agree with the true objects.

    Attributes:
        name: The product, such as ``instances``.
        precision: ``(T, K)`` AP of each class at each threshold of ``THRESHOLDS``; NaN for classes without objects.
        coco: COCO's figures.
        match: What a detection is compared with.
        counts: ``images`` with truth; ``missing``: of these, how many have no prediction, nothing is found there;
            ``objects``: true ones, crowds left out.
        protocol: What else a reader must know.
    """

    name: str
    precision: NDArray[np.float64]
    coco: CocoAp
    match: Match
    counts: dict[str, int]
    protocol: dict[str, Any] = field(default_factory=dict)

    @property
    def mean_precision(self) -> tuple[float, ...]:
        """mAP^r at each threshold: the mean over the classes that have true objects; NaN without any."""
        return tuple(float(np.nanmean(row)) if np.isfinite(row).any() else float("nan") for row in self.precision)

    def as_json(self, classes: Classes) -> dict[str, Any]:
        """Return percentages, class by class, and the protocol, as JSON values (``None`` where there is no object)."""
        whole = {"ap": self.coco.ap, "ap50": self.coco.ap50, "ap75": self.coco.ap75}
        sizes = {f"ap_{name}": value for name, value in self.coco.by_size.items()}
        return {
            "name": self.name,
            "mean_ap_region": dict(zip(map(str, THRESHOLDS), map(_percent, self.mean_precision), strict=True)),
            "ap_region": {
                name: dict(zip(map(str, THRESHOLDS), map(_percent, column), strict=True))
                for name, column in zip(classes.names, self.precision.T, strict=True)
            },
            "coco": {name: _percent(value) for name, value in {**whole, **sizes}.items()},
            "coco_ap": {n: _percent(v) for n, v in zip(classes.names, self.coco.per_class, strict=True)},
            **self.counts,
            "protocol": {"match": RULES[self.match], "void": "part of no object", **self.protocol},
        }


def describe_objects(values: Mapping[str, Any]) -> str:
    """Return in one line what an instance score (``InstanceScore.as_json``) was made under."""
    protocol = values["protocol"]
    counts = f"{values['images']} images, {values['missing']} without prediction, {values['objects']} objects"
    counts += f"; made for {protocol['made_for']}" if "made_for" in protocol else ""
    beside = f"; {described_saliency(protocol['saliency'])}" if "saliency" in protocol else ""
    return f"list {protocol['list']} ({counts}){beside}; match: {protocol['match']}; void: {protocol['void']}"


def score_instances(
    name: str,
    truth: Sequence[InstanceSample],
    folder: Path,
    *,
    match: Match = "best",
    protocol: dict[str, Any] | None = None,
) -> InstanceScore:
    """Compare the instances ``folder/<id>.instances.json`` with the true objects.

    Raises:
        EvaluationError: If there is no truth at all, or not one prediction, or one is of another size than its truth or
            of classes that do not exist.
    """
    if not truth:
        raise EvaluationError(f"{name}: no image has true objects; give folders or a COCO file that hold some")
    regions, pairs = RegionMatches(truth[0].num_classes, match), {}
    with track(f"score {name}", len(truth)) as advance:
        for sample in truth:
            path, objects = in_any_form(folder / f"{sample.id}{SUFFIX}"), sample.load_truth()
            found = Instances.load(path) if path.exists() else None
            try:
                regions.add(found, objects)
            except EvaluationError as error:
                raise EvaluationError(f"{name}: image {sample.id!r}: {error}") from error
            pairs[sample.id] = (found, objects)
            advance(1)
    missing = sum(found is None for found, _ in pairs.values())
    if missing == len(truth):
        raise EvaluationError(f"{name}: none of the {missing} images with truth has instances in {folder} (ID{SUFFIX})")
    coco = coco_ap(pairs, truth[0].num_classes)
    counts = {"images": len(truth), "missing": missing, "objects": int(regions.truths.sum())}
    return InstanceScore(name, regions.average_precision(), coco, match, counts, protocol or {})


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else 100.0 * float(value)
