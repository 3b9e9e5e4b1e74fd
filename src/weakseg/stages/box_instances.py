"""From a mask of classes and the boxes of objects to objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label as label_components  # 4-connected by default

from weakseg.checks import check_rank
from weakseg.data.annotations import Box
from weakseg.errors import ConfigError
from weakseg.instances import Instances
from weakseg.settings.instances import Overlap


@dataclass(frozen=True)
class BoxInstances:
    """Objects that boxes cut out of a mask.

    Attributes:
        instances: In the order of the boxes, with score 1 and the boxes as they were drawn.
        dropped: Reason by number of each box that gave no object.
    """

    instances: Instances
    dropped: Mapping[int, str]


def instances_from_boxes(
    labels: NDArray[np.uint8], boxes: Sequence[Box], *, overlap: Overlap = "shared"
) -> BoxInstances:
    """Return the pixels of each box whose label is the box's class.

    Args:
        labels: ``(H, W)`` uint8 classes; 0 background, 255 undecided.
        boxes: One for each object.
        overlap: Whose a pixel is that several boxes of its class hold: ``shared``: it is in all of them;
            ``exclusive``: it is in the smallest (of equal ones the first); ``component``: as ``shared``, but an object
            is the largest 4-connected part that touches the middle of its box, or the largest of all parts where the
            middle is of another class.

    Raises:
        ShapeError: If the labels have another shape.
        ConfigError: If ``overlap`` is another word.

    Reference:
        [zhang2021a2gnn], instance masks from boxes: ``shared``. Empty masks are dropped.
    """
    check_rank("labels", labels, 2, "(H, W)")
    if overlap not in get_args(Overlap):
        raise ConfigError(f"overlap: one of {get_args(Overlap)}, got {overlap!r}")
    size, dropped = (labels.shape[0], labels.shape[1]), {}
    owner = _owners(boxes, labels) if overlap == "exclusive" else None
    masks: dict[int, NDArray[np.bool_]] = {}
    for number, box in enumerate(boxes):
        place = box.pixels(size)
        if place is None or box.top >= box.bottom or box.left >= box.right:
            dropped[number] = f"box {number}: no part of it lies inside the image of {size[0]} x {size[1]} pixels"
            continue
        mask = np.zeros(size, np.bool_)
        mask[place] = labels[place] == box.class_id if owner is None else owner[place] == number
        masks[number] = _middle_part(mask, box) if overlap == "component" else mask
        if not masks[number].any():
            del masks[number]
            dropped[number] = f"box {number}: none of its pixels is left for class {box.class_id}"
    kept = [boxes[number] for number in masks]
    stacked = np.stack(list(masks.values())) if masks else np.zeros((0, *size), np.bool_)
    extents = [(box.top, box.left, box.bottom, box.right) for box in kept]
    return BoxInstances(Instances.of(stacked, [box.class_id for box in kept], boxes=extents), dropped)


def _owners(boxes: Sequence[Box], labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the number of the smallest box of its class around each pixel, -1 where there is none."""
    owner = np.full(labels.shape, -1, np.int64)
    areas = [(box.bottom - box.top) * (box.right - box.left) for box in boxes]
    for number in sorted(range(len(boxes)), key=lambda n: (-areas[n], -n)):  # the last to write is the smallest
        place = boxes[number].pixels((labels.shape[0], labels.shape[1]))
        if place is not None:
            owner[place][labels[place] == boxes[number].class_id] = number
    return owner


def _middle_part(mask: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Return the largest part of a mask that touches the middle of its box, else the largest part."""
    parts, count = label_components(mask)
    if count < 2:
        return mask
    row, column = (box.top + box.bottom) / 2, (box.left + box.right) / 2
    rows, columns = (slice(max(int(np.ceil(v)) - 1, 0), max(int(np.floor(v)) + 1, 0)) for v in (row, column))
    middle = np.setdiff1d(parts[rows, columns], [0])  # one pixel, or those that meet where the middle is on an edge
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    among = middle if middle.size else np.arange(1, count + 1)
    found: NDArray[np.bool_] = parts == among[sizes[among].argmax()]
    return found
