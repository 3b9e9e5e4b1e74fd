"""The mask of a box, corrected by clicks near which it is cut anew.

Not from a paper: a cut of [rother2004grabcut] that starts from the mask, in which what is deep inside or outside of it
and far from clicks is sure, and of which the parts that hold a click are taken.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label
from skimage.color import rgb2lab

from weakseg.data.annotations import Box
from weakseg.stages.grab_cut import LIKELY_OBJECT, LIKELY_REST, SURE_OBJECT, SURE_REST, grab_cut

# As shares of the side of a square as large as the box; chosen on 25 photographs of MSRC's part ``fit``.
ZONE = 0.1  # around a click the other label becomes likely, and within twice of it nothing is sure
DISC = 0.03  # around a click its label is sure
CORE = 0.03  # from the mask's border on, on both sides, its label is sure
MARGIN = 0.25  # around the box that tells what the rest looks like
LIKE = 12.0  # CIELAB distance from the colour around a click up to which what joins it is likely its label
CUTS = 2

Click = tuple[float, float, bool]
Mask = NDArray[np.bool_]


def corrected(image: NDArray[np.uint8], mask: Mask, box: Box, clicks: Sequence[Click]) -> Mask:
    """Return the mask with which clicks agree; far from those that disagree it stays as it is.

    Args:
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` of the object in the box.
        box: The box; nothing outside of it is the object.
        clicks: (row, column, whether it is on the object).
    """
    inside = box.pixels((mask.shape[0], mask.shape[1]))
    if inside is None:
        return mask
    in_box = np.zeros_like(mask)
    in_box[inside] = True
    if all(mask[_pixel(mask, click)] == click[2] for click in clicks):
        return mask
    side = float(np.sqrt(in_box.sum()))
    around = tuple(
        slice(max(part.start - round(MARGIN * side) - 2, 0), part.stop + round(MARGIN * side) + 2) for part in inside
    )
    moved = [(row - around[0].start, column - around[1].start, on) for row, column, on in clicks]
    marks = _marks(image[around], mask[around], in_box[around], moved, side)
    cut = np.isin(marks, (SURE_OBJECT, LIKELY_OBJECT))
    if cut.any() and not cut.all():
        cut = grab_cut(np.ascontiguousarray(image[around][..., ::-1]), marks, CUTS) & in_box[around]
    found = mask.copy()
    found[around] = _near(mask[around], cut, moved)
    return found


def _marks(
    image: NDArray[np.uint8], mask: Mask, in_box: Mask, clicks: Sequence[Click], side: float
) -> NDArray[np.uint8]:
    """Return what is sure and likely of each pixel; later clicks lie above."""
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    away = [np.hypot(rows + 0.5 - row, columns + 0.5 - column) for row, column, _ in clicks]
    depth = np.where(mask, distance_transform_edt(mask), distance_transform_edt(~mask))
    alike = [_alike(image, mask, click, distance, side) for click, distance in zip(clicks, away, strict=True)]
    sure = (depth > CORE * side) & (np.min(away, axis=0) > 2 * ZONE * side) & ~np.any(alike, axis=0)
    marks = np.where(mask, np.where(sure, SURE_OBJECT, LIKELY_OBJECT), np.where(sure, SURE_REST, LIKELY_REST))
    for distance, near, (_, _, on) in zip(away, alike, clicks, strict=True):
        marks[((distance <= ZONE * side) & (mask != on)) | near] = LIKELY_OBJECT if on else LIKELY_REST
    marks[~in_box] = SURE_REST
    for distance, (_, _, on) in zip(away, clicks, strict=True):
        marks[(distance <= max(DISC * side, 2)) & in_box] = SURE_OBJECT if on else SURE_REST
    return marks.astype(np.uint8)


def _alike(image: NDArray[np.uint8], mask: Mask, click: Click, distance: NDArray[np.float64], side: float) -> Mask:
    """Return the pixels of the other label that join a click by colours like those around it."""
    if mask[_pixel(mask, click)] == click[2]:
        return np.zeros_like(mask)
    smooth = cv2.GaussianBlur(rgb2lab(image).astype(np.float32), (0, 0), max(DISC * side / 2, 1.0))
    there = (distance <= max(DISC * side, 2)) & (mask != click[2])
    colour = smooth[there].mean(0) if there.any() else smooth[_pixel(mask, click)]
    parts, _ = label(((np.linalg.norm(smooth - colour, axis=2) <= LIKE) | there) & (mask != click[2]))
    found: Mask = parts == parts[_pixel(mask, click)]
    return found


def _near(mask: Mask, cut: Mask, clicks: Sequence[Click]) -> Mask:
    """Return the mask with those changed parts alone that hold a click."""
    parts, _ = label(cut != mask)
    held = {parts[_pixel(mask, click)] for click in clicks} - {0}
    return np.where(np.isin(parts, list(held)), cut, mask)


def _pixel(mask: Mask, click: Click) -> tuple[int, int]:
    """Return the pixel of a click; one on the outer edge belongs to the last pixel."""
    rows, columns = mask.shape
    return min(max(int(click[0]), 0), rows - 1), min(max(int(click[1]), 0), columns - 1)
