"""Activations, labels and errors drawn over a photograph: numpy in, ``(h, w, 3)`` uint8 out."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakseg.artifacts import UNDECIDED, voc_palette
from weakseg.checks import check_finite, check_rank, check_rgb_uint8, check_same_size
from weakseg.errors import ShapeError
from weakseg.files import atomic_path

Rgb = NDArray[np.uint8]
Labels = NDArray[np.uint8]

# Okabe and Ito's colours: told apart with every common colour blindness.
DIFFERENCE_COLOURS = {"correct": (0, 158, 115), "missed": (240, 228, 66), "wrong": (213, 94, 0)}
CONTOUR = (255, 255, 255)
RING_SEAM, RING_RADIUS_PX = (0, 0, 0), 9
HATCH_LIGHT, HATCH_DARK = (236, 236, 236), (110, 110, 110)
HATCH_PERIOD_PX, HATCH_LINE_PX = 8, 2
HEAT_TOLERANCE = 1e-3  # what float16 and resampling may add
LUMA = (0.299, 0.587, 0.114)


def shrink(image: Rgb, max_side: int = 320) -> Rgb:
    """Return ``image`` with its longer side at most ``max_side``, each pixel the mean of the area it covers.

    Args:
        image: ``(H, W, 3)`` uint8.
        max_side: In pixels, > 0; smaller images stay as they are.
    """
    check_rgb_uint8("image", image)
    if max_side < 1:
        raise ShapeError(f"max_side: expected at least 1 pixel, got {max_side}")
    longest = max(image.shape[:2])
    if longest <= max_side:
        return image
    rows, columns = (max(1, round(side * max_side / longest)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BOX))


def draw_activation(image: Rgb, heat: NDArray[np.floating[Any]], *, opacity: float = 0.6) -> Rgb:
    """Return the greyed photo under a perceptually uniform map (inferno: black 0, yellow 1).

    Args:
        image: ``(H, W, 3)`` uint8.
        heat: ``(h, w)`` float in [0, 1], any resolution; brought to the photo's size bilinearly.
        opacity: Of the map, in [0, 1].

    Raises:
        ShapeError: If ``heat`` is not finite or leaves [0, 1].
    """
    check_rgb_uint8("image", image)
    check_rank("heat", heat, 2, "(h, w)")
    check_finite("heat", heat)
    if heat.size == 0 or heat.min() < -HEAT_TOLERANCE or heat.max() > 1 + HEAT_TOLERANCE:
        raise ShapeError(f"heat: expected values in [0, 1], got shape {heat.shape} and {_range(heat)}")
    rows, columns = image.shape[:2]
    fine = cv2.resize(np.asarray(heat, np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
    colours = heat_colours()[np.rint(fine.clip(0, 1) * 255).astype(np.uint8)]
    return _blend(_grey(image), colours, opacity)


def draw_labels(image: Rgb, labels: Labels, *, opacity: float = 0.6) -> Rgb:
    """Return the photo with classes in VOC colours, undecided pixels hatched, background dimmed.

    A thin white line runs between regions of different labels.

    Args:
        image: ``(H, W, 3)`` uint8.
        labels: ``(H, W)`` uint8, 0 background, 255 undecided; or another size of the same shape, brought to the
            photo's size by nearest neighbour. Shrink the photo first, so that lines stay a pixel wide.
        opacity: Of the class colours, in [0, 1].

    Raises:
        ShapeError: If the labels have another aspect ratio than the photo.
    """
    labels = _labels_at("labels", labels, image)
    classes = (labels != 0) & (labels != UNDECIDED)
    drawn = _muted(image)
    drawn[classes] = _blend(image[classes], voc_palette()[labels[classes]], opacity)
    return _finished(drawn, labels, hatched=labels == UNDECIDED)


def draw_ring(image: Rgb, place: tuple[float, float]) -> Rgb:
    """Return the picture with a white ring, seamed with black, around a place.

    Args:
        image: ``(H, W, 3)`` uint8.
        place: Row and column in pixels; pixel 0 is centred on 0. Places beyond the border are moved onto it.
    """
    check_rgb_uint8("image", image)
    row, column = (round(min(max(x, 0), side - 1)) for x, side in zip(place, image.shape[:2], strict=True))
    drawn = np.array(image)
    for colour, width in ((RING_SEAM, 5), (CONTOUR, 2)):
        cv2.circle(drawn, (column, row), RING_RADIUS_PX, colour, width, cv2.LINE_AA)
    return drawn


def save_overlay(path: Path, image: Rgb, labels: Labels) -> None:
    """Write the photo under its labels, as ``draw_labels``, in the format that the path's suffix names.

    Raises:
        OutputError: If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        Image.fromarray(draw_labels(image, labels)).save(temporary)


def difference(image: Rgb, truth: Labels, mask: Labels, *, opacity: float = 0.7) -> Rgb:
    """Return where a mask agrees with the truth.

    Pixels where the truth is void are hatched, correct classes green, correct background dimmed photo. Of the
    errors, pixels that the mask calls background or leaves undecided are yellow (missed), pixels that it gives to
    a class vermilion (wrong).

    Args:
        image: ``(H, W, 3)`` uint8.
        truth: ``(H, W)`` uint8, 255 void; sizes as for ``draw_labels``.
        mask: As ``truth``, 255 undecided.
        opacity: Of the colours, in [0, 1].
    """
    check_same_size("truth", truth.shape, "mask", mask.shape)
    truth, mask = _labels_at("truth", truth, image), _labels_at("mask", mask, image)
    void, error = truth == UNDECIDED, truth != mask
    absent = (mask == 0) | (mask == UNDECIDED)
    states = np.zeros(truth.shape, np.uint8)  # 0 correct background, then in the order of DIFFERENCE_COLOURS, 4 void
    states[~error & (truth != 0)], states[error & absent], states[error & ~absent] = 1, 2, 3
    states[void] = 4
    drawn = _muted(image)
    for state, colour in enumerate(DIFFERENCE_COLOURS.values(), start=1):
        drawn[states == state] = _blend(_grey(image)[states == state], np.array(colour, np.uint8), opacity)
    return _finished(drawn, states, hatched=void)


@cache
def heat_colours() -> Rgb:
    """Return the ``(256, 3)`` colours of ``draw_activation``, before they are blended."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    table: Rgb = np.ascontiguousarray(cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1], np.uint8)
    table.flags.writeable = False
    return table


def _labels_at(name: str, labels: Labels, image: Rgb) -> Labels:
    """Return the labels at the photo's size; one of the two must be a shrunken version of the other."""
    check_rgb_uint8("image", image)
    check_rank(name, labels, 2, "(H, W)")
    if labels.dtype != np.uint8 or not labels.size:
        raise ShapeError(f"{name}: expected uint8 labels, got {labels.dtype} of shape {labels.shape}")
    (rows, columns), (height, width) = labels.shape, image.shape[:2]
    if abs(rows * width - columns * height) > max(rows + columns, height + width):
        raise ShapeError(f"{name} is {labels.shape} but the image is {(height, width)}; expected the same aspect ratio")
    return cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)


def _finished(drawn: Rgb, regions: Labels, *, hatched: NDArray[np.bool_]) -> Rgb:
    """Return the drawing with a hatch over undecided pixels and a line, one pixel wide, between regions."""
    diagonal = np.add.outer(np.arange(regions.shape[0]), np.arange(regions.shape[1]))
    line = diagonal % HATCH_PERIOD_PX < HATCH_LINE_PX
    hatch = np.where(line[..., None], np.array(HATCH_DARK, np.uint8), np.array(HATCH_LIGHT, np.uint8))
    drawn = np.where(hatched[..., None], _blend(drawn, hatch, 0.75), drawn)
    edge = np.zeros(regions.shape, bool)
    edge[:, :-1] |= regions[:, :-1] != regions[:, 1:]
    edge[:-1] |= regions[:-1] != regions[1:]
    drawn[edge] = CONTOUR
    return drawn


def _grey(image: Rgb) -> Rgb:
    luma = np.rint(image @ np.array(LUMA)).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=-1)


def _muted(image: Rgb) -> Rgb:
    """Return the photo with half its colour and two thirds of its light."""
    return _blend(np.zeros_like(image), _blend(image, _grey(image), 0.5), 0.67)


def _blend(under: Rgb, over: Rgb, opacity: float) -> Rgb:
    if not 0.0 <= opacity <= 1.0:
        raise ShapeError(f"opacity: expected a value in [0, 1], got {opacity}")
    return np.rint(under * (1.0 - opacity) + over * opacity).astype(np.uint8)


def _range(values: NDArray[np.floating[Any]]) -> str:
    return f"[{values.min():.3g}, {values.max():.3g}]" if values.size else "no values"
