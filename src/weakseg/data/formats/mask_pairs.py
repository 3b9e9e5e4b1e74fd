"""VOC's pairs of masks, one that numbers objects and one that shows classes, become objects."""

from pathlib import Path

import numpy as np

from weakseg.artifacts import UNDECIDED
from weakseg.data.formats.mask_files import MaskRules, load_mask, load_numbers
from weakseg.errors import DataError
from weakseg.instances import Instances

MAX_VALUES = 1_000_000_000  # objects times pixels


def objects_of_pair(objects: Path, labels: Path, rules: MaskRules) -> Instances:
    """Return the objects of one image; the class of one is the most frequent at its pixels.

    Args:
        objects: Mask that numbers them, by values other than 0 and 255, or by colours.
        labels: Mask that shows their classes.
        rules: What its values and colours mean.

    Raises:
        DataError: As ``load_mask``, or if the masks differ in size, or an object has no class.
    """
    numbers, classes = load_numbers(objects), load_mask(labels, rules)
    if numbers.shape != classes.shape:
        sizes = [f"{rows} x {columns}" for rows, columns in (numbers.shape, classes.shape)]
        raise DataError(f"{objects}: is {sizes[0]} but {labels} is {sizes[1]} (rows x columns); give them one size")
    if np.unique(numbers).size * numbers.size > MAX_VALUES:
        raise DataError(f"{objects}: numbers {np.unique(numbers).size:,} objects; is it a photograph, or a soft mask?")
    masks = numbers == np.unique(numbers[numbers != 0])[:, None, None]
    known = (classes != 0) & (classes != UNDECIDED)
    class_ids = []
    for number, mask in enumerate(masks, start=1):
        counts = np.bincount(classes[mask & known])
        if not counts.size:
            raise DataError(f"{objects}: object {number} of {len(masks)} has no class in {labels}; correct one of them")
        class_ids.append(int(counts.argmax()))
    return Instances.of(masks, class_ids)
