"""What the masks hold that a segmenter is trained on: said before it is."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError

SMALL_SIDE = 33  # pixels: at stride 8 a feature map of smaller images is little more than the padding of convolutions
NAMED = 5  # images that a message lists

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskCounts:
    """Pixels of training masks.

    Attributes:
        names: Background and the classes.
        pixels: How many pixels each has.
        undecided: How many have none.
        images: How many masks there are.
        empty: Images without a decided pixel.
        small: Images with a side of less than ``SMALL_SIDE`` pixels.
    """

    names: tuple[str, ...]
    pixels: tuple[int, ...]
    undecided: int
    images: int
    empty: tuple[str, ...]
    small: tuple[str, ...]

    def tell(self, what: str = "masks") -> None:
        """Log the counts, and warn of what a training on such label maps, called ``what``, cannot learn.

        Raises:
            DataError: If no pixel of any mask is decided.
        """
        total = sum(self.pixels) + self.undecided
        if not sum(self.pixels):
            raise DataError(
                f"{what}: none of the pixels of {self.images} images is decided; there is nothing to learn from"
            )
        shares = [f"{name} {100 * count / total:.2g} %" for name, count in zip(self.names, self.pixels, strict=True)]
        logger.info(
            "%s of %d images: %s; undecided %.2g %%", what, self.images, ", ".join(shares), 100 * self.undecided / total
        )
        missing = [name for name, count in zip(self.names, self.pixels, strict=True) if not count]
        if missing:
            logger.warning(
                "classes missing from the %s, which the segmenter learns never to predict: %s", what, ", ".join(missing)
            )
        if self.empty:
            logger.warning("%s without a decided pixel, which teach nothing: %s", what, named(self.empty))
        if self.small:
            logger.warning(
                "images with a side of less than %d pixels, of which the network sees mostly padding: %s",
                SMALL_SIDE,
                named(self.small),
            )

    def as_json(self) -> dict[str, Any]:
        """Return images, pixels of each class and undecided ones."""
        return {
            "images": self.images,
            "pixels": dict(zip(self.names, self.pixels, strict=True)),
            "undecided": self.undecided,
        }


def count_masks(samples: Sequence[WeakSample], masks: Path, classes: Classes) -> MaskCounts:
    """Count the pixels of the masks of images; those of a seed that nothing decides are undecided.

    Raises:
        DataError: As ``load_mask``.
    """
    counts, empty, small = np.zeros(UNDECIDED + 1, np.int64), [], []
    for sample in samples:
        labels = load_mask(masks, sample.id, len(classes))
        found = np.bincount(labels.ravel(), minlength=UNDECIDED + 1)
        counts += found
        if found[UNDECIDED] == labels.size:
            empty.append(sample.id)
        if min(labels.shape) < SMALL_SIDE:
            small.append(sample.id)
    names = ("background", *classes.names)
    pixels = tuple(int(count) for count in counts[: len(names)])
    return MaskCounts(names, pixels, int(counts[UNDECIDED]), len(samples), tuple(empty), tuple(small))


def load_mask(folder: Path, image_id: str, num_classes: int) -> NDArray[np.uint8]:
    """Return the ``(H, W)`` mask of an image, checked against the number of classes.

    Raises:
        DataError: If it is missing, unreadable, or holds a value above ``num_classes`` other than 255.
    """
    path = folder / f"{image_id}.png"
    labels = LabelMap.load(path).labels
    top = int(labels[labels != UNDECIDED].max(initial=0))
    if top > num_classes:
        raise DataError(f"{path}: label {top} but there are {num_classes} classes; is it a mask of another data set?")
    return labels


def named(image_ids: Sequence[str]) -> str:
    """Return the first few images of a list, and how many more there are, for a message."""
    more = f" and {len(image_ids) - NAMED} more" if len(image_ids) > NAMED else ""
    return ", ".join(image_ids[:NAMED]) + more
