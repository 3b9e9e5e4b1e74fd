"""What labels that a function makes of photographs score against true masks."""

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset
from weakseg.data.truth import EvalSample, open_truth
from weakseg.errors import DataError
from weakseg.evaluation.confusion import Confusion

logger = logging.getLogger(__name__)

Image = NDArray[np.uint8]
Labels = Callable[[Image], Image]


def truth_of_split(config: DataConfig, dataset: Dataset, split: str) -> Sequence[EvalSample]:
    """Return the samples of a split that have true masks; none, which is said, where masks cannot be opened."""
    try:
        return open_truth(config, dataset, split)
    except DataError as error:
        logger.warning("mIoU is not measured: %s", error)
        return ()


def judge(
    images: Mapping[str, Image], truth: Sequence[EvalSample], num_classes: int
) -> Callable[[Labels], float] | None:
    """Return what scores labels by the mIoU of all photographs that have a usable true mask.

    Args:
        images: ``(H, W, 3)`` uint8 by image id.
        truth: True masks, of others, too; those that cannot be read or are of another size are named and left out.
        num_classes: Without the background.

    Returns:
        From a function of an image to ``(H, W)`` labels, to mIoU in percent; ``None``: no usable mask shows a class.
    """
    pairs = []
    for sample in truth:
        if sample.id not in images:
            continue
        try:
            mask = sample.load_truth()
        except DataError as error:
            logger.warning("left out of mIoU: %s", error)
            continue
        if mask.shape == images[sample.id].shape[:2]:
            pairs.append((images[sample.id], mask))
        else:
            logger.warning("left out of mIoU: the true mask of %r is of another size", sample.id)
    if not any(((mask > 0) & (mask <= num_classes)).any() for _, mask in pairs):
        return None
    logger.info("mIoU of %d of %d photographs, which have true masks", len(pairs), len(images))

    def mean_iou(labels: Labels) -> float:
        total = Confusion.empty(num_classes)
        for image, mask in pairs:
            total = total + Confusion.of(mask, labels(image), num_classes)
        return 100.0 * total.mean_iou()

    return mean_iou
