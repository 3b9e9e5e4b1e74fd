"""Strokes and clicks that are drawn on a mask to correct it: what they touch changes, and what is far away does not."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.checks import check_rgb_uint8, check_same_size
from weakseg.data.annotations import Drawn
from weakseg.ops.raster import raster_lines
from weakseg.ops.resample import resize_image, resize_labels, scaled_size
from weakseg.settings.corrections import CorrectionConfig
from weakseg.stages.grab_cut import LIKELY_OBJECT, LIKELY_REST, SURE_OBJECT, SURE_REST, grab_cut

Labels = NDArray[np.uint8]


def corrected(mask: LabelMap, image: NDArray[np.uint8], drawn: Drawn, config: CorrectionConfig) -> LabelMap:
    """Return a mask that agrees with strokes and clicks which were drawn on it.

    Each class is cut anew by GrabCut, which starts from its mask with the strokes held fast. Of what changes, those
    connected parts that a stroke touches are taken; strokes themselves always have their labels. Not from a paper.

    Args:
        mask: ``(H, W)`` labels.
        image: ``(H, W, 3)`` uint8.
        drawn: Its points and scribbles count, later ones on top.
        config: Size, width of strokes and iterations.

    Reference:
        [rother2004grabcut], user editing.
    """
    check_rgb_uint8("image", image)
    check_same_size("mask", mask.labels.shape, "image", image.shape[:2])
    size = (image.shape[0], image.shape[1])
    working = scaled_size(size, 1.0, max_side=config.max_side)
    strokes = _rastered(drawn, size, size, config.stroke_width * size[0] / working[0])
    said = strokes != UNDECIDED
    if not (said & (strokes != mask.labels)).any():
        return mask
    pixels = np.ascontiguousarray(resize_image(image, working)[..., ::-1])  # B, G, R
    labels = resize_labels(mask.labels, working)
    changed = _changed(labels, _rastered(drawn, size, working, config.stroke_width), pixels, config)
    taken = changed != labels
    result = np.where(resize_labels(taken.astype(np.uint8), size) > 0, resize_labels(changed, size), mask.labels)
    result[said] = strokes[said]
    return LabelMap(result.astype(np.uint8))


def _rastered(drawn: Drawn, size: tuple[int, int], to: tuple[int, int], width: float) -> Labels:
    """Return the labels of strokes and clicks on a photograph of ``size`` that is resized ``to`` another; else 255."""
    scale = np.array(to) / np.array(size)
    lines = [(one.class_id, one.path) for one in drawn.scribbles]
    lines += [(one.class_id, ((one.row, one.column),)) for one in drawn.points]
    return raster_lines([np.array(path) * scale for _, path in lines], [label for label, _ in lines], to, width=width)


def _changed(labels: Labels, strokes: Labels, pixels: NDArray[np.uint8], config: CorrectionConfig) -> Labels:
    """Return the labels after a cut of each class that a stroke takes from or gives to."""
    result = labels.copy()
    wrong = (strokes != UNDECIDED) & (strokes != labels)
    for class_id in sorted({*labels[wrong].tolist(), *strokes[wrong].tolist()} - {0, UNDECIDED}):
        own = _cut(class_id, result, strokes, pixels, config)
        gained = _touched(own & (result != class_id), strokes == class_id)
        lost = ~own & (result == class_id)
        result[gained] = class_id
        for label in sorted(set(strokes[wrong & (labels == class_id)].tolist()) - {class_id}):
            result[_touched(lost, strokes == label)] = label
    return result


def _cut(
    class_id: int, labels: Labels, strokes: Labels, pixels: NDArray[np.uint8], config: CorrectionConfig
) -> NDArray[np.bool_]:
    """Return where a class is, by GrabCut from its mask and the strokes; its mask where that cannot be cut."""
    own = labels == class_id
    marks = np.where(own, LIKELY_OBJECT, LIKELY_REST).astype(np.uint8)
    said = strokes != UNDECIDED
    marks[said] = np.where(strokes[said] == class_id, SURE_OBJECT, SURE_REST)
    try:
        return grab_cut(pixels, marks, config.iterations)
    except cv2.error:  # nothing is left of the object, or of the rest
        return np.asarray(np.where(said, strokes == class_id, own))


def _touched(parts: NDArray[np.bool_], by: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the connected parts of a mask that a stroke touches."""
    numbers, _ = ndimage.label(parts)
    return np.asarray(np.isin(numbers, np.unique(numbers[by & parts]), kind="table") & parts)
