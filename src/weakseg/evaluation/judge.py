"""Whether other labels of the same photographs are as near to their true masks."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.checks import check_same_size
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset
from weakseg.data.truth import EvalSample, open_truth
from weakseg.errors import DataError, WeaksegError
from weakseg.evaluation.confusion import Confusion

logger = logging.getLogger(__name__)

Image = NDArray[np.uint8]
Named = Sequence[tuple[str, Image]]
FEWEST = 4  # true masks


class Judge:
    """Scores two labellings of photographs against those of their true masks that can be used; others are named.

    Attributes:
        masks: How many can be used.

    Args:
        images: Ids, and ``(H, W, 3)`` uint8.
        truth: True masks, of others, too.
        num_classes: Without the background.
        where: Whose masks they are, for errors.

    Raises:
        DataError: If less than four can be used, or they show no class.
    """

    def __init__(self, images: Named, truth: Sequence[EvalSample], num_classes: int, where: str) -> None:
        self._masks = _usable(images, {sample.id: sample for sample in truth})
        self._num_classes = num_classes
        self._counts = Confusion.empty(num_classes), Confusion.empty(num_classes)
        self.masks = len(self._masks)
        if self.masks < FEWEST:
            raise DataError(
                f"{where} has usable true masks of {self.masks} of the photographs that measure; {FEWEST} are needed "
                "(ID.png, of the photograph's size)"
            )
        if not any(((mask > 0) & (mask < UNDECIDED)).any() for mask in self._masks.values()):
            raise DataError(f"{where}: the true masks of the photographs that measure show no class")

    def add(self, number: int, first: Image, second: Image) -> None:
        """Count both ``(H, W)`` labels of a photograph, if it has a true mask."""
        if (mask := self._masks.get(number)) is not None:
            one, other = (Confusion.of(mask, labels, self._num_classes) for labels in (first, second))
            self._counts = self._counts[0] + one, self._counts[1] + other

    def scores(self) -> tuple[float, float]:
        """Return mIoU of both, in percent."""
        return 100 * self._counts[0].mean_iou(), 100 * self._counts[1].mean_iou()


def judge_of_split(images: Named, config: DataConfig, dataset: Dataset, split: str) -> Judge | None:
    """Return the judge by the true masks of a split; ``None``, which is said, where there are too few."""
    try:
        return Judge(images, open_truth(config, dataset, split), len(dataset.classes), f"the list {split!r}")
    except DataError as error:
        logger.warning("mIoU is not measured: %s", error)
        return None


def _usable(images: Named, truth: dict[str, EvalSample]) -> dict[int, Image]:
    found = {}
    for number, (image_id, image) in enumerate(images):
        if image_id not in truth:
            continue
        try:
            mask = truth[image_id].load_truth()
            check_same_size("photograph", image.shape[:2], "true mask", mask.shape)
        except WeaksegError as error:
            logger.warning("the true mask of %r is left out: %s", image_id, error)
        else:
            found[number] = mask
    return found
