"""COCO segmentations (polygons, runs as a list, runs as a string) become pixels, by pycocotools."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from weakseg.artifacts import UNDECIDED
from weakseg.data.formats.coco_objects import CocoObject
from weakseg.data.image import MAX_PIXELS
from weakseg.errors import DataError
from weakseg.ops.runs import Size, check_counts, counts_of_text

Runs = dict[str, Any]


def paint_objects(objects: Sequence[CocoObject], class_ids: Mapping[int, int], size: Size) -> NDArray[np.uint8]:
    """Return the mask of an image: objects from large to small, so that the small ones stay visible.

    Args:
        objects: The annotations of the image; those of other categories are left out.
        class_ids: Class id of each category id; 255 for one that is neither class nor background.
        size: (rows, columns).

    Returns:
        ``(H, W)`` uint8: 0 background, class ids, 255 where a crowd region is.

    Raises:
        DataError: If the image is larger than ``MAX_PIXELS``, or a segmentation is malformed.
    """
    labels = np.zeros(size, np.uint8)
    for _, item, pixels in _from_large_to_small(objects, class_ids, size):
        labels[pixels] = UNDECIDED if item.crowd else class_ids[item.category_id]
    return labels


def number_objects(objects: Sequence[CocoObject], class_ids: Mapping[int, int], size: Size) -> NDArray[np.int32]:
    """Return which object each pixel of ``paint_objects`` shows.

    Args:
        objects: As there.
        class_ids: As there.
        size: As there.

    Returns:
        ``(H, W)`` int32: 1 for the first of ``objects`` and so on; 0 for background and crowd regions.

    Raises:
        DataError: As there.
    """
    numbers = np.zeros(size, np.int32)
    for number, item, pixels in _from_large_to_small(objects, class_ids, size):
        numbers[pixels] = 0 if item.crowd else number
    return numbers


def _from_large_to_small(
    objects: Sequence[CocoObject], class_ids: Mapping[int, int], size: Size
) -> Iterator[tuple[int, CocoObject, NDArray[np.bool_]]]:
    """Yield the objects of the categories in ``class_ids`` with their place in the list, from 1, and their pixels."""
    check_pixels(size)
    chosen = [(number, item) for number, item in enumerate(objects, start=1) if item.category_id in class_ids]
    runs = [encode_runs(item.segmentation, size, item.where) for _, item in chosen]
    areas = [int(coco_mask.area(run)) for run in runs]
    for index in sorted(range(len(chosen)), key=lambda i: -areas[i]):
        yield *chosen[index], coco_mask.decode(runs[index]).astype(np.bool_)


def check_pixels(size: Size) -> None:
    """Raise ``DataError`` if an image of this size has more than ``MAX_PIXELS``."""
    if math.prod(size) > MAX_PIXELS:
        raise DataError(
            f"truth of {size[0]} x {size[1]} pixels is more than the limit of {MAX_PIXELS:,}; correct the size"
        )


def encode_runs(segmentation: object, size: Size, where: str) -> Runs:
    """Return a segmentation as compressed runs; what pycocotools would read past its memory is refused.

    Args:
        segmentation: List of polygons ``[x, y, x, y, ...]``, or ``{"size": [rows, columns], "counts": ...}`` with
            counts as list or string, column by column, the first run of zeros.
        size: (rows, columns) of the image.
        where: File and entry, for errors.

    Raises:
        DataError: If it is malformed or of another size.
    """
    if isinstance(segmentation, list):
        polygons = [_polygon(values, size, where) for values in segmentation]
        merged: Runs = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
        return merged
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= set(segmentation):
        raise DataError(
            f"{where}: segmentation must be polygons, or size and counts, got {segmentation!r:.60}; correct it"
        )
    if segmentation["size"] != list(size):
        raise DataError(
            f"{where}: segmentation of size {segmentation['size']!r}, but the image is {list(size)}; correct it"
        )
    counts = segmentation["counts"]
    check_counts(counts_of_text(counts, where) if isinstance(counts, str) else counts, size, where)
    runs: Runs = (
        {"size": list(size), "counts": counts.encode()}
        if isinstance(counts, str)
        else coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    )
    return runs


def _polygon(values: object, size: Size, where: str) -> list[float]:
    """Return a checked polygon: at least three points, none farther outside than the image is long."""
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2:
        raise DataError(f"{where}: a polygon needs x, y of at least three points, got {values!r:.60}; correct it")
    reach = max(size)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not -reach <= value <= 2 * reach:
            raise DataError(f"{where}: polygon coordinate {value!r} is not near the image of {size}; correct it")
    return [float(value) for value in values]
