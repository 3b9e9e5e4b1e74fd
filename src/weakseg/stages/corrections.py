"""Strokes and clicks that are drawn on a mask to correct it: what they touch changes, and what is far away does not.

Not from a paper: a cut of [rother2004grabcut] that starts from the mask, in which what is deep inside or outside of it
and far from strokes is sure, and of which the parts that hold a stroke are taken.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.checks import check_rgb_uint8, check_same_size
from weakseg.data.annotations import Drawn
from weakseg.ops.raster import raster_lines
from weakseg.ops.resample import resize_image, resize_labels, scaled_size
from weakseg.settings.corrections import CorrectionConfig
from weakseg.stages.grab_cut import LIKELY_OBJECT, LIKELY_REST, SURE_OBJECT, SURE_REST, grab_cut

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
SMALLEST_SIDE = 16.0  # pixels that an object is taken to measure at least


def corrected(mask: LabelMap, image: NDArray[np.uint8], drawn: Drawn, config: CorrectionConfig) -> LabelMap:
    """Return a mask that agrees with strokes and clicks which were drawn on it.

    Each class that a stroke takes from or gives to is cut anew. Of what changes, those connected parts that hold a
    stroke are taken; strokes themselves always have their labels.

    Args:
        mask: ``(H, W)`` labels.
        image: ``(H, W, 3)`` uint8.
        drawn: Its points and scribbles count, later ones on top.
        config: Size, and how far strokes reach.
    """
    check_rgb_uint8("image", image)
    check_same_size("mask", mask.labels.shape, "image", image.shape[:2])
    size = (image.shape[0], image.shape[1])
    working = scaled_size(size, 1.0, max_side=config.max_side)
    strokes = _rastered(drawn, size, size, config.stroke_width * size[0] / working[0])
    said = strokes != UNDECIDED
    if not (said & (strokes != mask.labels)).any():
        return mask
    labels, small = resize_labels(mask.labels, working), _rastered(drawn, size, working, config.stroke_width)
    changed = _changed(labels, small, resize_image(image, working), config)
    taken = resize_labels((changed != labels).astype(np.uint8), size) > 0
    result = np.where(taken, resize_labels(changed, size), mask.labels)
    result[said] = strokes[said]
    return LabelMap(result.astype(np.uint8))


def _rastered(drawn: Drawn, size: tuple[int, int], to: tuple[int, int], width: float) -> Labels:
    """Return the labels of strokes and clicks on a photograph of ``size`` that is resized ``to`` another; else 255."""
    scale = np.array(to) / np.array(size)
    lines = [(one.class_id, one.path) for one in drawn.scribbles]
    lines += [(one.class_id, ((one.row, one.column),)) for one in drawn.points]
    return raster_lines([np.array(path) * scale for _, path in lines], [label for label, _ in lines], to, width=width)


def _changed(labels: Labels, strokes: Labels, image: NDArray[np.uint8], config: CorrectionConfig) -> Labels:
    """Return the labels after a cut of each class that a stroke takes from or gives to."""
    result = labels.copy()
    wrong = (strokes != UNDECIDED) & (strokes != labels)
    for class_id in sorted({*labels[wrong].tolist(), *strokes[wrong].tolist()} - {0, UNDECIDED}):
        own = result == class_id
        cut = _cut(own, strokes == class_id, (strokes != class_id) & (strokes != UNDECIDED), image, config)
        result[cut & ~own] = class_id
        lost = own & ~cut
        for label in sorted(set(strokes[wrong & (labels == class_id)].tolist()) - {class_id}):
            result[_holding(lost, strokes == label)] = label
    return result


def _cut(own: Mask, on: Mask, off: Mask, image: NDArray[np.uint8], config: CorrectionConfig) -> Mask:
    """Return the mask of an object after a cut that strokes on it and beside it hold fast.

    Parts that hang together by themselves, and holes, change as a whole before.
    """
    own = (own & ~_alone(own, off, on)) | _holes(own, on, off)
    if (own[on].all()) and not own[off].any():
        return own
    side = _side(own | on)
    to_on, to_off = _distance(on), _distance(off)
    depth = np.where(own, _distance(~own), _distance(own))
    far = np.minimum(to_on, to_off) > 2 * config.zone * side
    sure = (depth > config.core * side) & far
    marks = np.where(own, np.where(sure, SURE_OBJECT, LIKELY_OBJECT), np.where(sure, SURE_REST, LIKELY_REST))
    marks[(to_on <= config.zone * side) & ~own] = LIKELY_OBJECT
    marks[(to_off <= config.zone * side) & own] = LIKELY_REST
    marks[(to_on <= config.disc * side) & (to_on < to_off)] = SURE_OBJECT
    marks[(to_off <= config.disc * side) & (to_off < to_on)] = SURE_REST
    marks[on], marks[off] = SURE_OBJECT, SURE_REST
    try:
        cut = grab_cut(np.ascontiguousarray(image[..., ::-1]), marks.astype(np.uint8), config.iterations)
    except cv2.error:  # nothing is left of the object, or of the rest
        cut = np.isin(marks, (SURE_OBJECT, LIKELY_OBJECT))
    return np.asarray(np.where(_holding(cut != own, on | off), cut, own))


def _alone(own: Mask, off: Mask, on: Mask) -> Mask:
    """Return the parts of an object that hold a stroke beside it and none on it, where more of it stays."""
    parts = _holding(own, off) & ~_holding(own, on)
    return parts if 2 * parts.sum() < own.sum() or (own & on).any() else np.zeros_like(own)


def _holes(own: Mask, on: Mask, off: Mask) -> Mask:
    """Return the holes of an object that hold a stroke on it, and none beside it."""
    frame = np.ones_like(own)
    frame[1:-1, 1:-1] = False
    return _holding(~own, on) & ~_holding(~own, frame) & ~_holding(~own, off)


def _side(mask: Mask) -> float:
    """Return the side of a square as large as the box around a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return SMALLEST_SIDE
    area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    return max(float(np.sqrt(area)), SMALLEST_SIDE)


def _distance(to: Mask) -> NDArray[np.float32]:
    """Return how many pixels each pixel is away from a mask; far where that is empty."""
    if not to.any():
        return np.full(to.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def _holding(parts: Mask, strokes: Mask) -> Mask:
    """Return the connected parts of a mask that hold a pixel of a stroke."""
    _, numbers = cv2.connectedComponents(parts.astype(np.uint8), connectivity=4)
    return np.asarray(np.isin(numbers, np.unique(numbers[strokes & parts]), kind="table") & parts)
