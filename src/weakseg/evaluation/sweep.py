"""Confusion matrices of activations at many background thresholds, from one reading."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED
from weakseg.checks import check_same_size
from weakseg.errors import EvaluationError
from weakseg.evaluation.confusion import Confusion

THRESHOLDS = np.arange(60, dtype=np.float32) / np.float32(100)


class ThresholdSweep:
    """Counts (truth, best class, number of thresholds below its score), and cumulates them into 60 matrices."""

    def __init__(self, num_classes: int, thresholds: NDArray[np.float32] = THRESHOLDS) -> None:
        self.num_classes, self.thresholds = num_classes, thresholds
        self.counts = np.zeros((num_classes + 1, num_classes + 1, len(thresholds) + 1), np.int64)
        self.undecided = np.zeros(num_classes + 1, np.int64)

    def add(self, scores: Tensor | None, class_ids: tuple[int, ...], truth: NDArray[np.uint8]) -> None:
        """Count one image.

        Args:
            scores: ``(K_present, H, W)`` activations at the size of the truth, K_present may be 0; ``None``: the image
                has no prediction, and its pixels are undecided at every threshold.
            class_ids: Their class ids.
            truth: ``(H, W)`` uint8, 255 = void.

        Raises:
            ShapeError: If the sizes differ.
            EvaluationError: If a class id, or a label of the truth, is above the number of classes.
        """
        known = truth != UNDECIDED
        rows = truth[known].astype(np.int64)
        if (top := max((rows.max(initial=0), *class_ids))) > self.num_classes:
            raise EvaluationError(f"labels up to {top} but there are {self.num_classes} classes")
        if scores is None:
            self.undecided += np.bincount(rows, minlength=len(self.undecided))
            return
        check_same_size("scores", scores.shape[1:], "truth", truth.shape)
        best, score = np.zeros(truth.shape, np.int64), np.full(truth.shape, -np.inf, np.float32)
        if class_ids:
            values, index = scores.max(0)
            best, score = torch.tensor(class_ids)[index].numpy(), values.float().numpy()
        below = np.searchsorted(self.thresholds, score[known], side="left")  # thresholds t with t < score
        cells = np.ravel_multi_index((rows, best[known], below), self.counts.shape)
        self.counts += np.bincount(cells, minlength=self.counts.size).reshape(self.counts.shape)

    def matrices(self) -> Iterable[tuple[float, Confusion]]:
        """Yield each threshold with its confusion matrix; a class wins where its score is above the threshold."""
        above = self.counts[..., ::-1].cumsum(-1)[..., ::-1][..., 1:]  # pixels with more than t thresholds below
        total = self.counts.sum((1, 2))
        for index, threshold in enumerate(self.thresholds):
            matrix = Confusion.empty(self.num_classes).counts
            matrix[:, :-1] = above[..., index]
            matrix[:, 0] = total - matrix[:, 1:-1].sum(1)
            matrix[:, -1] = self.undecided
            yield float(threshold), Confusion(matrix)

    def best(self) -> tuple[float, Confusion]:
        """Return the threshold of the highest mean IoU, and its matrix."""
        return max(self.matrices(), key=lambda pair: np.nan_to_num(pair[1].mean_iou()))
