"""Average precision of objects: matching by mask IoU, and the area under the precision-recall curve."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from weakseg.checks import check_rank, check_same_size
from weakseg.data.truth import TrueInstances
from weakseg.errors import EvaluationError
from weakseg.instances import Instances
from weakseg.settings.evaluate import Match

THRESHOLDS = (0.25, 0.5, 0.7, 0.75)
EXACT_FLOAT32 = 1 << 24  # pixel counts up to here are exact in float32


def mask_iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the IoU of each pair of masks, from one matrix product.

    Args:
        found: ``(N, H, W)`` bool.
        truth: ``(M, H, W)`` bool.

    Returns:
        ``(N, M)`` in [0, 1]; 0 where both masks are empty.
    """
    check_rank("found", found, 3, "(N, H, W)")
    check_same_size("found", found.shape[1:], "truth", truth.shape[1:])
    pixels = found.shape[1] * found.shape[2]
    kind = np.dtype(np.float32 if pixels <= EXACT_FLOAT32 else np.float64)
    ours, theirs = found.reshape(len(found), pixels).astype(kind), truth.reshape(len(truth), pixels).astype(kind)
    shared: NDArray[np.float64] = np.matmul(ours, theirs.T).astype(np.float64)
    union = ours.sum(1, dtype=np.float64)[:, None] + theirs.sum(1, dtype=np.float64) - shared
    iou: NDArray[np.float64] = shared / np.maximum(union, 1)
    return iou


def match_objects(iou: NDArray[np.float64], threshold: float, match: Match = "best") -> NDArray[np.bool_]:
    """Return which of the detections of one class in one image are right.

    Args:
        iou: ``(N, M)`` of detections, the surest first, with the true objects.
        threshold: IoU that is wanted.
        match: ``best``: a detection stands for the true object of the highest IoU, is wrong where that is taken, and
            right at an IoU of at least the threshold. ``free``: it stands for the best of those that are not taken,
            and is right above the threshold.

    Returns:
        ``(N,)`` bool.

    Reference:
        [li2017fcis], its evaluation code: ``best``. [hariharan2014sds], its evaluation code: ``free``.
    """
    taken, right = np.zeros(iou.shape[1], np.bool_), np.zeros(len(iou), np.bool_)
    for number, overlaps in enumerate(iou if iou.shape[1] else iou[:0]):
        rivals = np.where(taken, -1.0, overlaps) if match == "free" else overlaps
        best = int(rivals.argmax())
        enough = rivals[best] > threshold if match == "free" else rivals[best] >= threshold
        if enough and not taken[best]:
            taken[best] = right[number] = True
    return right


def average_precision(scores: NDArray[np.float64], right: NDArray[np.bool_], count: int) -> float:
    """Return the area under the precision-recall curve, precision made to fall with recall (VOC 2010).

    Detections of equal score enter the curve at once, so that no order among them counts.

    Args:
        scores: ``(N,)`` of all detections of a class.
        right: ``(N,)`` bool.
        count: Number of true objects.

    Returns:
        AP in [0, 1]; NaN without true objects.
    """
    if not count:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]  # where a score occurs for the last time
    hits = np.cumsum(right[order])[last]
    precision = hits / (np.flatnonzero(last) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(hits, prepend=0) * envelope).sum() / count)


@dataclass
class RegionMatches:
    """Collects detections and true objects image by image, in any order.

    Attributes:
        num_classes: K.
        match: As in ``match_objects``.
        thresholds: Of the mask IoU.
        truths: ``(K,)`` true objects of each class, crowds left out.
    """

    num_classes: int
    match: Match = "best"
    thresholds: Sequence[float] = THRESHOLDS
    truths: NDArray[np.int64] = field(init=False)
    _scores: list[list[NDArray[np.float64]]] = field(init=False, repr=False)
    _right: list[list[NDArray[np.bool_]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Start without any object."""
        if self.match not in get_args(Match):
            raise EvaluationError(f"match {self.match!r}: expected best or free")
        self.truths = np.zeros(self.num_classes, np.int64)
        self._scores = [[] for _ in range(self.num_classes)]
        self._right = [[] for _ in range(self.num_classes)]

    def add(self, found: Instances | None, truth: TrueInstances) -> None:
        """Match the objects of one image; without a prediction nothing is found.

        Raises:
            EvaluationError: If the sizes differ, or a class is above the number of classes.
        """
        wanted = np.array([0 if c else i for i, c in zip(truth.objects.class_ids, truth.crowd, strict=True)], np.int64)
        ids = np.array(found.class_ids if found else (), np.int64)
        if (top := max(wanted.max(initial=0), ids.max(initial=0))) > self.num_classes:
            raise EvaluationError(f"objects of class {top} but there are {self.num_classes} classes")
        self.truths += np.bincount(wanted, minlength=self.num_classes + 1)[1:]
        if found is None or not len(found):
            return
        if found.image_size != truth.objects.image_size:
            sizes = f"{found.image_size} but the truth {truth.objects.image_size}"
            raise EvaluationError(f"instances are of an image of {sizes}; same size needed")
        iou, scores = mask_iou(found.masks, truth.objects.masks), np.array(found.scores)
        for class_id in np.unique(ids):
            ours = np.flatnonzero(ids == class_id)
            ours = ours[np.argsort(-scores[ours], kind="stable")]
            pairs = iou[ours][:, wanted == class_id]
            self._scores[class_id - 1].append(scores[ours])
            self._right[class_id - 1].append(np.stack([match_objects(pairs, t, self.match) for t in self.thresholds]))

    def average_precision(self) -> NDArray[np.float64]:
        """Return the AP of each class at each threshold, ``(T, K)``; NaN for classes without true objects."""
        found = np.full((len(self.thresholds), self.num_classes), np.nan)
        for column, count in enumerate(self.truths):
            scores = np.concatenate([np.zeros(0), *self._scores[column]])
            right = np.concatenate([np.zeros((len(self.thresholds), 0), np.bool_), *self._right[column]], axis=1)
            found[:, column] = [average_precision(scores, row, int(count)) for row in right]
        return found
