"""Objects as the shapes of CVAT's interface."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from weakseg.data.formats.coco_polygons import polygons_of
from weakseg.data.formats.cvat_out import crop_of
from weakseg.data.formats.instances_out import drawing_order
from weakseg.instances import Instances
from weakseg.ops.runs import decode_runs

Form = Literal["mask", "polygon"]


def mask_points(mask: NDArray[np.bool_]) -> list[float]:
    """Return the ``points`` of a mask that is not empty: runs, then the first and the last column and row."""
    counts, top, left, rows, columns = crop_of(mask)
    return [float(value) for value in (*counts, left, top, left + columns - 1, top + rows - 1)]


def shapes_of(found: Instances, label_ids: Mapping[int, int], form: Form) -> list[dict[str, Any]]:
    """Return what CVAT is told of each object, the lowest first; the polygons of one share a group.

    Args:
        found: Objects; those of classes without a label are left out.
        label_ids: CVAT's number of a label by class id.
        form: Painted masks, or polygons that mean the same pixels.
    """
    shapes: list[dict[str, Any]] = []
    order = [number for number in drawing_order(found) if found.class_ids[number] in label_ids]
    for layer, number in enumerate(order):
        (mask,) = decode_runs([found.runs[number]], found.image_size)
        points = [mask_points(mask)] if form == "mask" else polygons_of(mask)
        common: dict[str, Any] = {
            "label_id": label_ids[found.class_ids[number]],
            "type": form,
            "frame": 0,
            "z_order": layer,
        }
        common |= {"group": number + 1} if len(points) > 1 else {}
        common |= {"score": found.scores[number]} if found.scores[number] < 1 else {}
        shapes += [{**common, "points": one} for one in points]
    return shapes
