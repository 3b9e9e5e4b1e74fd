"""Masks as COCO's polygons, which tools read that know no runs."""

import cv2
import numpy as np
from numpy.typing import NDArray


def polygons_of(mask: NDArray[np.bool_]) -> list[list[float]]:
    """Return polygons ``[x, y, x, y, ...]`` that pycocotools rasters to exactly the mask.

    They run a quarter of a pixel inside the edges of the pixels. COCO's polygons have no holes, but several of one
    object are united: a part with holes is cut through them into parts without.

    Args:
        mask: ``(H, W)`` bool.
    """
    rings, holes = _outlines(mask)
    if not holes:
        return [ring.ravel().tolist() for ring in rings]
    column = sorted(holes)[len(holes) // 2]  # the left end of a hole is the left end of what lies to the right
    right = polygons_of(mask[:, column:])
    moved = [[v + column * (n % 2 == 0) for n, v in enumerate(polygon)] for polygon in right]
    return polygons_of(mask[:, :column]) + moved


def _outlines(mask: NDArray[np.bool_]) -> tuple[list[NDArray[np.float64]], list[int]]:
    """Return the outer outlines of the parts of a mask, ``(N, 2)`` of x and y, and the first column of each hole.

    Each pixel is four of a twofold enlargement, through whose centres the outlines run.
    """
    pixels = np.pad(mask.astype(np.uint8).repeat(2, 0).repeat(2, 1), 1)
    found, tree = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = tree[0, :, 3] if tree is not None else ()
    rings = [(ring[:, 0] - 0.5) / 2 for ring, parent in zip(found, parents, strict=True) if parent < 0]
    holes = [int(ring[:, 0, 0].min()) // 2 for ring, parent in zip(found, parents, strict=True) if parent >= 0]
    return rings, holes
