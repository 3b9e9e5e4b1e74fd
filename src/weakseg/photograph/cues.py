"""What a mask looks like from outside: cues by which a person, or a regression, tells good masks from bad ones."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.data.annotations import Drawn
from weakseg.ops.resample import resize_image, resize_labels, resize_maps, scaled_size

SIDE = 320  # pixels in which masks are looked at
UNSURE = 0.25, 0.75  # scores between which a pixel is not clearly of an object, nor of the rest
RING = 0.04  # of the longer side: how wide a ring around an object is compared with it
SMALLEST = 1e-6

Mask = NDArray[np.bool_]


def mask_cues(
    label: int,
    image: NDArray[np.uint8],
    mask: LabelMap,
    *,
    seeds: LabelMap,
    plain: Scores | None,
    activations: Activations,
    drawn: Drawn,
) -> Mapping[str, float]:
    """Return numbers that describe the mask of one label, most of them in [0, 1].

    ``area``: share of the photograph. ``fill``: share of its boxes. ``whole``: share of its largest connected part.
    ``frame``: share of the photograph's frame that it covers. ``kept``: IoU with the seeds. ``smooth``: IoU with what
    is best before the CRF. ``apart``: mean score inside less that outside. ``unsure``: pixels of unclear scores, as
    multiples of its area. ``edge``: mean gradient of colours along its border over that of the photograph. ``colour``:
    how far its colours are from those of a ring around it, in deviations. ``lit``: IoU with activations above a half.

    Args:
        label: Of the object, in the mask.
        image: ``(H, W, 3)`` uint8.
        mask: The mask.
        seeds: That it was made from.
        plain: Scores before the CRF, where there are some.
        activations: Of tags; of no class where something is drawn.
        drawn: What was drawn.
    """
    rows, columns = scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=SIDE)
    small = resize_image(image, (rows, columns))
    inside = resize_labels(mask.labels, (rows, columns)) == label
    seeded = resize_labels(seeds.labels, (rows, columns)) == label
    found = {
        "area": float(inside.mean()),
        "fill": _fill(label, inside, drawn, (image.shape[0] / rows, image.shape[1] / columns)),
        "whole": _largest_part(inside),
        "frame": float(np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).mean()),
        "kept": _iou(seeded, inside),
        **_colour_cues(small, inside),
    }
    if plain is not None and label in plain.label_ids:
        values = resize_maps(plain.values.float().cpu(), (rows, columns)).numpy()
        own = values[plain.label_ids.index(label)] / (values.sum(0) + SMALLEST)
        found["smooth"] = _iou(values.argmax(0) == plain.label_ids.index(label), inside)
        found["apart"] = _mean(own, inside) - _mean(own, ~inside)
        unsure = (own > UNSURE[0]) & (own < UNSURE[1])
        found["unsure"] = min(1.0, float(unsure.sum()) / max(1, int(inside.sum())))
    if label in activations.class_ids:
        lit = resize_maps(activations.values, (rows, columns))[activations.class_ids.index(label)].numpy()
        found["lit"] = _iou(lit > 0.5, inside)
        found["apart"] = _mean(lit, inside) - _mean(lit, ~inside)
    return found


def _colour_cues(image: NDArray[np.uint8], inside: Mask) -> dict[str, float]:
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    blurred = cv2.GaussianBlur(lab, (0, 0), 1.0)
    across = [cv2.Sobel(blurred, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))]
    gradient = np.sqrt(sum((part**2).sum(2) for part in across))
    kernel = np.ones((3, 3), np.uint8)
    border = inside & ~cv2.erode(inside.astype(np.uint8), kernel, borderValue=1).astype(bool)
    reach = max(3, round(RING * max(image.shape[:2])))
    ring = cv2.dilate(inside.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)).astype(bool) & ~inside
    colour = 0.0
    if inside.any() and ring.any():
        own, other = lab[inside], lab[ring]
        spread = np.sqrt((own.var(0) + other.var(0)) / 2 + 1)
        colour = float(np.linalg.norm((own.mean(0) - other.mean(0)) / spread))
    return {"edge": _mean(gradient, border) / max(SMALLEST, float(gradient.mean())), "colour": colour}


def _fill(label: int, inside: Mask, drawn: Drawn, scale: tuple[float, float]) -> float:
    framed = np.zeros(inside.shape, bool)
    for box in drawn.boxes:
        if box.class_id == label:
            top, bottom = (round(side / scale[0]) for side in (box.top, box.bottom))
            left, right = (round(side / scale[1]) for side in (box.left, box.right))
            framed[max(0, top) : bottom, max(0, left) : right] = True
    return float(inside[framed].mean()) if framed.any() else 0.0


def _largest_part(inside: Mask) -> float:
    if not inside.any():
        return 0.0
    areas = cv2.connectedComponentsWithStats(inside.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum())


def _iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _mean(values: NDArray[np.floating], where: Mask) -> float:
    return float(values[where].mean()) if where.any() else 0.0
