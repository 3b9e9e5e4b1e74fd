"""GrabCut, by OpenCV, the same in every call."""

import cv2
import numpy as np
from numpy.typing import NDArray

GRABCUT_SEED = 0  # of the k-means that GrabCut starts from
SURE_REST, SURE_OBJECT, LIKELY_REST, LIKELY_OBJECT = cv2.GC_BGD, cv2.GC_FGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD


def grab_cut(
    pixels: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    iterations: int,
    *,
    rectangle: tuple[int, int, int, int] | None = None,
) -> NDArray[np.bool_]:
    """Return where GrabCut sees the object.

    Args:
        pixels: ``(H, W, 3)`` uint8, blue first.
        marks: ``(H, W)`` uint8 of ``SURE_REST`` to ``LIKELY_OBJECT``; not looked at with a rectangle.
        iterations: At least one.
        rectangle: ``(x, y, width, height)`` around the object, instead of marks.

    Raises:
        cv2.error: If there is no pixel, or none of object or rest.

    Reference:
        [rother2004grabcut].
    """
    marks, models = marks.copy(), (np.zeros((1, 65)), np.zeros((1, 65)))
    how = cv2.GC_INIT_WITH_RECT if rectangle else cv2.GC_INIT_WITH_MASK
    cv2.setRNGSeed(GRABCUT_SEED)
    cv2.grabCut(np.ascontiguousarray(pixels), marks, rectangle or (0, 0, 0, 0), *models, iterations, how)
    return np.isin(marks, (SURE_OBJECT, LIKELY_OBJECT))
