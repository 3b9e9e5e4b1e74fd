"""Weak labels made from true masks; the one place outside ``evaluation`` that reads them, and it returns no mask."""

from pathlib import Path

import numpy as np

from weakseg.artifacts import UNDECIDED
from weakseg.data.formats.mask_files import MaskRules, load_mask
from weakseg.data.sample import Tags
from weakseg.errors import DataError


def tags_from_mask(path: Path, rules: MaskRules, *, min_pixels: int = 100) -> Tags:
    """Return the classes that cover at least ``min_pixels`` pixels of a true mask.

    Raises:
        DataError: If the mask cannot be read or holds a value that is no class id and not 255.
    """
    num_classes = len(rules.classes)
    values, counts = np.unique(load_mask(path, rules), return_counts=True)
    wrong = values[(values > num_classes) & (values != UNDECIDED)]
    if wrong.size:
        raise DataError(f"{path}: values {wrong.tolist()[:5]} are no class ids; expected 0..{num_classes} or 255")
    present = values[(counts >= min_pixels) & (values > 0) & (values != UNDECIDED)]
    return Tags(frozenset(present.tolist()))
