"""Objects of one COCO image become the pixels of one map, by pycocotools."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from weakseg.artifacts import UNDECIDED
from weakseg.data.formats.coco_objects import CocoObject, Key
from weakseg.data.image import MAX_PIXELS
from weakseg.data.regions import encode_runs
from weakseg.errors import DataError
from weakseg.ops.runs import Size


def paint_objects(objects: Sequence[CocoObject], class_ids: Mapping[Key, int], size: Size) -> NDArray[np.uint8]:
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


def number_objects(objects: Sequence[CocoObject], class_ids: Mapping[Key, int], size: Size) -> NDArray[np.int32]:
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
    objects: Sequence[CocoObject], class_ids: Mapping[Key, int], size: Size
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
