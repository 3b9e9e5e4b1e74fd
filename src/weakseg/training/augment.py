"""Random scale, flip, colour jitter and crop of an image and its labels or maps, from one generator."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED
from weakseg.ops.resample import resize_image, resize_labels, resize_maps, scaled_size
from weakseg.settings.augment import AugmentConfig

FILL = 127


@dataclass(frozen=True)
class View:
    """One random variant of an image, drawn once and applied alike to all that belongs to the image.

    Attributes:
        size: (rows, columns) that the image is scaled to.
        mirrored: Whether left and right are exchanged.
        jitter: Factors of brightness, contrast and saturation, or ``None``.
        source: Window of the scaled image (rows, columns).
        target: Where the window goes on the square canvas.
        crop: Side of the canvas.
        hue: Turn of the hue, in shares of the colour circle.
    """

    size: tuple[int, int]
    mirrored: bool
    jitter: tuple[float, float, float] | None
    source: tuple[slice, slice]
    target: tuple[slice, slice]
    crop: int
    hue: float = 0.0

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return ``(crop, crop, 3)`` of an ``(H, W, 3)`` uint8 image; grey outside of it."""
        image = self._turned(resize_image(image, self.size))
        if self.jitter is not None:
            image = _jitter(image, *self.jitter)
        if self.hue:
            image = _turn_hue(image, self.hue)
        canvas = np.full((self.crop, self.crop, 3), FILL, np.uint8)
        canvas[self.target] = image[self.source]
        return canvas

    def labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return ``(crop, crop)`` of ``(H, W)`` uint8 labels; undecided outside of the image."""
        canvas = np.full((self.crop, self.crop), UNDECIDED, np.uint8)
        canvas[self.target] = self._turned(resize_labels(labels, self.size))[self.source]
        return canvas

    def maps(self, maps: Tensor) -> Tensor:
        """Return ``(L, crop, crop)`` of ``(L, H, W)`` float maps, scaled bilinearly; 0 outside of the image."""
        scaled = resize_maps(maps, self.size)
        turned = scaled.flip(-1) if self.mirrored else scaled
        canvas = turned.new_zeros(len(turned), self.crop, self.crop)
        canvas[:, *self.target] = turned[:, *self.source]
        return canvas

    def boxes(self, boxes: NDArray[np.float64], image_size: tuple[int, int]) -> NDArray[np.float64]:
        """Return ``(N, 4)`` boxes (top, left, bottom, right) of an image of ``image_size``, cut at the window."""
        scaled = boxes * np.tile(np.divide(self.size, image_size), 2)
        if self.mirrored:
            scaled[:, [1, 3]] = self.size[1] - scaled[:, [3, 1]]
        start, stop = ([float(getattr(part, end)) for part in self.source] * 2 for end in ("start", "stop"))
        shift = np.array([place.start for place in self.target] * 2) - start
        cut: NDArray[np.float64] = np.clip(scaled, start, stop) + shift
        return cut

    def _turned(self, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return array[:, ::-1] if self.mirrored else array


def draw_view(image_size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator) -> View:
    """Return a random variant of images of ``image_size`` (rows, columns): scale, mirror, jitter, window.

    Along each axis the window is cut at random, or a smaller image put at a random place of the canvas.
    """
    size = image_size
    if config.long_side is not None:
        side = rng.integers(config.long_side[0], config.long_side[1] + 1)
        size = scaled_size(image_size, float(side) / max(image_size))
    mirrored = config.flip and bool(rng.random() < 0.5)
    jitter = None
    if config.jitter:
        brightness, contrast, saturation = (float(v) for v in rng.uniform(1 - config.jitter, 1 + config.jitter, 3))
        jitter = brightness, contrast, saturation
    hue = float(rng.uniform(-config.hue, config.hue)) if config.hue else 0.0
    rows, columns = (_window(length, config.crop, rng) for length in size)
    return View(size, mirrored, jitter, (rows[0], columns[0]), (rows[1], columns[1]), config.crop, hue)


def augment(
    image: NDArray[np.uint8], labels: NDArray[np.uint8] | None, config: AugmentConfig, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a random variant of an image and its labels, both ``crop`` pixels square.

    Args:
        image: ``(H, W, 3)`` uint8.
        labels: ``(H, W)`` uint8, or ``None`` where there are none (the result is then undecided everywhere).
        config: The ranges.
        rng: Source of all random choices.

    Returns:
        ``(crop, crop, 3)`` and ``(crop, crop)`` uint8, still aligned.
    """
    view = draw_view((image.shape[0], image.shape[1]), config, rng)
    if labels is None:
        labels = np.full(image.shape[:2], UNDECIDED, np.uint8)
    return view.image(image), view.labels(labels)


def _jitter(image: NDArray[np.uint8], brightness: float, contrast: float, saturation: float) -> NDArray[np.uint8]:
    """Scale brightness, contrast about the mean, and saturation about the grey value."""
    values = image.astype(np.float32) * brightness
    values = (values - values.mean()) * contrast + values.mean()
    grey = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)[..., None]
    varied: NDArray[np.uint8] = np.clip((values - grey) * saturation + grey, 0, 255).astype(np.uint8)
    return varied


def _turn_hue(image: NDArray[np.uint8], turn: float) -> NDArray[np.uint8]:
    """Turn all hues by a share of the colour circle; brightness (the largest channel) and greys stay."""
    values = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    values[..., 0] = (values[..., 0] + 360 * turn) % 360
    turned: NDArray[np.uint8] = np.rint(255 * cv2.cvtColor(values, cv2.COLOR_HSV2RGB)).clip(0, 255).astype(np.uint8)
    return turned


def _window(length: int, crop: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return what part of an axis is kept, and where on the canvas it goes."""
    shift = int(rng.integers(0, abs(length - crop) + 1))
    cut, moved = slice(0, min(length, crop)), slice(shift, shift + min(length, crop))
    return (moved, cut) if length > crop else (cut, moved)
