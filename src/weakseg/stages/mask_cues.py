"""What a mask looks like from outside: numbers that tell good masks from bad ones where no true mask is known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap, Scores
from weakseg.ops.resample import resize_image, resize_labels, resize_maps, scaled_size

SIDE = 320  # pixels in which masks are looked at
RING = 0.04  # of the longer side: how wide a ring around an object is compared with it
LEAST = 0.05  # of distances whose logarithm is taken

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Looked:
    """A mask, and what it was made of.

    Attributes:
        image: ``(H, W, 3)`` uint8.
        mask: The mask.
        seeds: That it was made from, where it was.
        plain: Scores, or labels, before the CRF, where there are some.
    """

    image: NDArray[np.uint8]
    mask: LabelMap
    seeds: LabelMap | None = None
    plain: Scores | LabelMap | None = None


def mask_cues(label: int, looked: Looked) -> Mapping[str, float]:
    """Return cues of the mask of one label, all of a photograph that is reduced to 320 pixels.

    ``area``: its share of the whole photograph, which is 0 only where there is none. ``whole``: share of its largest
    connected part. ``frame``: share of the photograph's frame that it covers. ``kept``: IoU with its seeds; ``agreed``:
    the same where seeds decide. ``smooth``: IoU with what it was before the CRF. ``colour``: logarithm of the distance
    of its mean CIELAB colour from that of a ring around it, in deviations. Those of what is not there are missing.
    """
    size = scaled_size((looked.image.shape[0], looked.image.shape[1]), 1.0, max_side=SIDE)
    inside = resize_labels(looked.mask.labels, size) == label
    found = {
        "area": float((looked.mask.labels == label).mean()),
        "whole": _largest_part(inside),
        "frame": float(np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).mean()),
        "colour": math.log(max(LEAST, _colour_distance(resize_image(looked.image, size), inside))),
    }
    if looked.seeds is not None:
        seeds = resize_labels(looked.seeds.labels, size)
        found["kept"] = _iou(seeds == label, inside)
        found["agreed"] = _iou(seeds == label, inside & (seeds != UNDECIDED))
    if looked.plain is not None and (before := _before(label, looked.plain, size)) is not None:
        found["smooth"] = _iou(before, inside)
    return found


def _before(label: int, plain: Scores | LabelMap, size: tuple[int, int]) -> Mask | None:
    """Return what a label's mask was before the CRF; ``None`` where it was not scored."""
    if isinstance(plain, LabelMap):
        there: Mask = resize_labels(plain.labels, size) == label
        return there
    if label not in plain.label_ids:
        return None
    best: Mask = resize_maps(plain.values.float().cpu(), size).numpy().argmax(0) == plain.label_ids.index(label)
    return best


def _colour_distance(image: NDArray[np.uint8], inside: Mask) -> float:
    """Return how far the mean colour of a mask is from that of a ring around it, in deviations of both."""
    reach = max(3, round(RING * max(image.shape[:2])))
    ring = cv2.dilate(inside.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)).astype(bool) & ~inside
    if not (inside.any() and ring.any()):
        return 0.0
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    own, other = lab[inside], lab[ring]
    spread = np.sqrt((own.var(0) + other.var(0)) / 2 + 1)
    return float(np.linalg.norm((own.mean(0) - other.mean(0)) / spread))


def _largest_part(inside: Mask) -> float:
    if not inside.any():
        return 0.0
    areas = cv2.connectedComponentsWithStats(inside.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum())


def _iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))
