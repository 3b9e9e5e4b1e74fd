"""Weak labels made from true masks; the one place outside ``evaluation`` that reads them, and it returns no mask."""

from pathlib import Path

import numpy as np

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.sample import Tags
from weakseg.errors import DataError


def tags_from_mask(path: Path, num_classes: int, *, min_pixels: int = 100) -> Tags:
    """Return the classes that cover at least ``min_pixels`` pixels of a true mask.

    Raises:
        DataError: If the mask cannot be read or holds a value above ``num_classes`` other than 255.
    """
    values, counts = np.unique(LabelMap.load(path).labels, return_counts=True)
    wrong = values[(values > num_classes) & (values != UNDECIDED)]
    if wrong.size:
        raise DataError(f"{path}: values {wrong.tolist()[:5]} are no class ids; expected 0..{num_classes} or 255")
    present = values[(counts >= min_pixels) & (values > 0) & (values != UNDECIDED)]
    return Tags(frozenset(present.tolist()))
