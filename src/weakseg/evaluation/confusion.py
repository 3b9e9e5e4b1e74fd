"""Confusion matrices and what follows from them; one matrix for the whole set, never a mean over images."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.checks import check_same_size
from weakseg.errors import EvaluationError
from weakseg.settings.evaluate import UndecidedPolicy


@dataclass(frozen=True)
class Confusion:
    """Pixel counts of truth against prediction; matrices of several images add.

    Attributes:
        counts: ``(K + 1, K + 2)`` int64; row = truth, column = prediction, last column = undecided.
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, num_classes: int) -> "Confusion":
        """Return the matrix of no pixels for K foreground classes."""
        return cls(np.zeros((num_classes + 1, num_classes + 2), np.int64))

    @classmethod
    def of(cls, truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int) -> "Confusion":
        """Count the pixels of one image; pixels whose truth is 255 (void) are left out.

        Raises:
            ShapeError: If the sizes differ.
            EvaluationError: If a label is neither at most ``num_classes`` nor 255.
        """
        check_same_size("truth", truth.shape, "prediction", prediction.shape)
        known = truth != UNDECIDED
        rows, columns = truth[known].astype(np.int64), prediction[known].astype(np.int64)
        undecided = columns == UNDECIDED
        top = max(rows.max(initial=0), columns[~undecided].max(initial=0))
        if top > num_classes:
            raise EvaluationError(f"labels up to {top} but there are {num_classes} classes")
        columns[undecided] = num_classes + 1
        shape = (num_classes + 1, num_classes + 2)
        return cls(np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape))

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.counts + other.counts)

    def resolved(self, policy: UndecidedPolicy = "error") -> NDArray[np.float64]:
        """Return ``(true positives, false positives, false negatives)`` of each class, ``(3, K + 1)``.

        Args:
            policy: What an undecided prediction counts as: ``error`` (a miss of the true class, and no other class's
                false positive), ``background``, or ``drop`` (left out, as if the truth were void there; flatters
                partial labels).

        Raises:
            EvaluationError: If ``policy`` is another word.
        """
        if policy not in get_args(UndecidedPolicy):
            raise EvaluationError(f"undecided policy {policy!r}: expected error, background or drop")
        square = self.counts[:, :-1].astype(np.float64)
        undecided = self.counts[:, -1].astype(np.float64)
        if policy == "background":
            square[:, 0] += undecided
        hits = np.diag(square)
        missed = square.sum(1) - hits + (undecided if policy == "error" else 0.0)
        return np.stack([hits, square.sum(0) - hits, missed])

    def iou(self, policy: UndecidedPolicy = "error") -> NDArray[np.float64]:
        """Return ``TP / (TP + FP + FN)`` of each class, ``(K + 1,)``; NaN for classes that the truth does not show."""
        hits, wrong, missed = self.resolved(policy)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(hits + missed > 0, hits / (hits + wrong + missed), np.nan)

    def mean_iou(self, policy: UndecidedPolicy = "error") -> float:
        """Return the mean IoU over the classes that the truth shows; NaN if it shows none."""
        values = self.iou(policy)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    def pixel_accuracy(self, policy: UndecidedPolicy = "error") -> float:
        """Return the fraction of pixels that are right."""
        hits, _, missed = self.resolved(policy)
        total = hits.sum() + missed.sum()
        return float(hits.sum() / total) if total else float("nan")

    @property
    def coverage(self) -> float:
        """Fraction of pixels whose prediction is decided."""
        total = self.counts.sum()
        return float(1 - self.counts[:, -1].sum() / total) if total else float("nan")
