"""Masks as COCO's compressed runs: lengths column by column, the first of zeros, coded as text by pycocotools."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from weakseg.checks import check_rank
from weakseg.errors import DataError, ShapeError

MAX_BITS = 30  # of a length; pycocotools shifts further ones out of its integers
Size = tuple[int, int]


def encode_masks(masks: NDArray[np.bool_]) -> tuple[bytes, ...]:
    """Return the runs of each of ``(N, H, W)`` bool masks.

    Raises:
        ShapeError: If the masks have another shape or type.
    """
    check_rank("masks", masks, 3, "(N, H, W)")
    if masks.dtype != np.bool_:
        raise ShapeError(f"masks: expected bool, got {masks.dtype}; compare them with a label first")
    if not len(masks):
        return ()
    coded = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    return tuple(run["counts"] for run in coded)


def decode_runs(runs: Sequence[bytes], size: Size) -> NDArray[np.bool_]:
    """Return the ``(N, H, W)`` bool masks of checked runs; N may be 0."""
    if not runs:
        return np.zeros((0, *size), np.bool_)
    masks: NDArray[np.bool_] = coco_mask.decode(as_coco(runs, size)).transpose(2, 0, 1).astype(np.bool_)
    return masks


def run_areas(runs: Sequence[bytes], size: Size) -> tuple[int, ...]:
    """Return the number of pixels of each of some checked runs."""
    return tuple(int(area) for area in coco_mask.area(as_coco(runs, size))) if runs else ()


def run_boxes(runs: Sequence[bytes], size: Size) -> tuple[tuple[float, float, float, float], ...]:
    """Return (top, left, bottom, right) of the tight rectangle around each of some checked runs."""
    found = coco_mask.toBbox(as_coco(runs, size)).tolist() if runs else []
    return tuple((top, left, top + rows, left + columns) for left, top, columns, rows in found)


def as_coco(runs: Sequence[bytes], size: Size) -> list[dict[str, object]]:
    """Return runs in the form that pycocotools takes."""
    return [{"size": list(size), "counts": counts} for counts in runs]


def counts_of_text(text: str, where: str) -> list[int]:
    """Return the run lengths in a string of compressed runs: 5 bits a character, low first; 32 means more follow.

    The value is signed; from the fourth run on it is the difference to the run two places before.

    Raises:
        DataError: If a character is none of ``0`` to ``o``, or the string ends within a number.
    """
    counts: list[int] = []
    value = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits >= MAX_BITS:
            raise DataError(f"{where}: counts hold {character!r} where compressed runs cannot; correct them")
        value |= (code & 31) << bits
        bits += 5
        if not code & 32:
            value -= (code >> 4 & 1) << bits
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = bits = 0
    if bits:
        raise DataError(f"{where}: counts end within a number; the text was cut off, export it again")
    return counts


def check_counts(counts: object, size: Size, where: str) -> None:
    """Raise ``DataError`` unless ``counts`` are run lengths that cover the image exactly."""
    if isinstance(counts, list) and len(counts) > math.prod(size) + 1:
        raise DataError(f"{where}: counts are {len(counts)} runs, more than the image has pixels; correct them")
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        raise DataError(f"{where}: counts must be run lengths of at least 0, got {counts!r:.60}; correct them")
    if sum(counts) != math.prod(size):
        raise DataError(
            f"{where}: counts cover {sum(counts)} pixels, but the image has {math.prod(size)}; correct them"
        )
