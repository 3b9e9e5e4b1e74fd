"""PNGs that people painted: partial labels (255 is unlabelled), or full masks."""

from pathlib import Path

import numpy as np

from weakseg.artifacts import UNDECIDED
from weakseg.data.annotations import Drawn, Region
from weakseg.data.formats.mask_files import MaskRules, load_mask
from weakseg.data.regions import runs_of_mask
from weakseg.errors import DataError


def read_strokes(path: Path, rules: MaskRules) -> tuple[Drawn, tuple[int, int]]:
    """Return the labelled pixels of each class, background (0) included, as strokes; and (rows, columns).

    Raises:
        DataError: As ``load_mask``, or if the file holds a value that is no class id and not 255.
    """
    regions, size = _regions(path, rules)
    return Drawn(strokes=tuple(region for region in regions if region.class_id != UNDECIDED)), size


def read_mask(path: Path, rules: MaskRules) -> tuple[Drawn, tuple[int, int]]:
    """Return the pixels of each class as regions, 255 as a region to be ignored; and (rows, columns).

    Raises:
        DataError: As ``read_strokes``.
    """
    regions, size = _regions(path, rules)
    return Drawn(regions=regions), size


def _regions(path: Path, rules: MaskRules) -> tuple[tuple[Region, ...], tuple[int, int]]:
    """Return one region for each value, in increasing order."""
    labels = load_mask(path, rules)
    values = np.unique(labels)
    wrong = values[(values > len(rules.classes)) & (values != UNDECIDED)]
    if wrong.size:
        raise DataError(
            f"{path}: values {wrong.tolist()[:5]} are no class ids; expected 0..{len(rules.classes)}, or {UNDECIDED} "
            "for what is not labelled"
        )
    size = (int(labels.shape[0]), int(labels.shape[1]))
    return tuple(Region(int(value), size, runs_of_mask(labels == value)) for value in values), size
