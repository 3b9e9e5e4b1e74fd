"""Random scale, turn, blur, flip, jitter and crop of an image and its labels or maps, from one generator."""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED
from weakseg.ops.resample import resize_image, resize_labels, resize_maps, scaled_size
from weakseg.settings.augment import AugmentConfig

Value = TypeVar("Value", np.uint8, np.float32)

FILL = 127
MEAN_COLOR = (123, 117, 104)  # that DeepLab subtracts, rounded
BLUR_SIDE = 5  # pixels; the deviation that OpenCV takes for it is 1.1


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
        angle: Turn of the scaled image about its middle, in degrees, counter-clockwise.
        blurred: Whether the image is blurred.
        fill: Colour outside of the image.
    """

    size: tuple[int, int]
    mirrored: bool
    jitter: tuple[float, float, float] | None
    source: tuple[slice, slice]
    target: tuple[slice, slice]
    crop: int
    hue: float = 0.0
    angle: float = 0.0
    blurred: bool = False
    fill: tuple[int, int, int] = (FILL,) * 3

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return ``(crop, crop, 3)`` of an ``(H, W, 3)`` uint8 image; ``fill`` outside of it."""
        image = self._mirrored(self._turned(resize_image(image, self.size), cv2.INTER_LINEAR, self.fill))
        if self.blurred:
            image = np.asarray(cv2.GaussianBlur(image, (BLUR_SIDE, BLUR_SIDE), 0), np.uint8)
        if self.jitter is not None:
            image = _jitter(image, *self.jitter)
        if self.hue:
            image = _turn_hue(image, self.hue)
        canvas = np.full((self.crop, self.crop, 3), self.fill, np.uint8)
        canvas[self.target] = image[self.source]
        return canvas

    def labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return ``(crop, crop)`` of ``(H, W)`` uint8 labels; undecided outside of the image."""
        canvas = np.full((self.crop, self.crop), UNDECIDED, np.uint8)
        turned = self._turned(resize_labels(labels, self.size), cv2.INTER_NEAREST, (UNDECIDED,))
        canvas[self.target] = self._mirrored(turned)[self.source]
        return canvas

    def maps(self, maps: Tensor) -> Tensor:
        """Return ``(L, crop, crop)`` of ``(L, H, W)`` float maps, scaled bilinearly; 0 outside of the image."""
        scaled = resize_maps(maps, self.size)
        if self.angle:
            planes = [self._turned(plane.numpy(), cv2.INTER_LINEAR, (0,)) for plane in scaled]
            scaled = torch.from_numpy(np.stack(planes)) if planes else scaled
        turned = scaled.flip(-1) if self.mirrored else scaled
        canvas = turned.new_zeros(len(turned), self.crop, self.crop)
        canvas[:, *self.target] = turned[:, *self.source]
        return canvas

    def boxes(self, boxes: NDArray[np.float64], image_size: tuple[int, int]) -> NDArray[np.float64]:
        """Return ``(N, 4)`` boxes (top, left, bottom, right) of an image that is not turned, cut at the window."""
        scaled = boxes * np.tile(np.divide(self.size, image_size), 2)
        if self.mirrored:
            scaled[:, [1, 3]] = self.size[1] - scaled[:, [3, 1]]
        start, stop = ([float(getattr(part, end)) for part in self.source] * 2 for end in ("start", "stop"))
        shift = np.array([place.start for place in self.target] * 2) - start
        cut: NDArray[np.float64] = np.clip(scaled, start, stop) + shift
        return cut

    def _mirrored(self, array: NDArray[Value]) -> NDArray[Value]:
        return array[:, ::-1] if self.mirrored else array

    def _turned(self, array: NDArray[Value], interpolation: int, fill: tuple[int, ...]) -> NDArray[Value]:
        """Return a scaled array, turned about the middle of its pixels; ``fill`` comes in at the corners."""
        if not self.angle:
            return array
        height, width = self.size
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), self.angle, 1.0)
        turned = cv2.warpAffine(array, matrix, (width, height), flags=interpolation, borderValue=fill)
        return np.asarray(turned, array.dtype)


def draw_view(image_size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator) -> View:
    """Return a random variant of images of ``image_size`` (rows, columns): scale, mirror, jitter, turn, blur, window.

    Along each axis the window is cut at random, or a smaller image put on the canvas where ``config.pad`` says.
    """
    size = (config.crop,) * 2 if config.warp else scaled_size(image_size, _draw_scale(image_size, config, rng))
    mirrored = config.flip and bool(rng.random() < 0.5)
    jitter = None
    if config.jitter:
        brightness, contrast, saturation = (float(v) for v in rng.uniform(1 - config.jitter, 1 + config.jitter, 3))
        jitter = brightness, contrast, saturation
    hue = float(rng.uniform(-config.hue, config.hue)) if config.hue else 0.0
    angle = float(rng.uniform(-config.rotation, config.rotation)) if config.rotation else 0.0
    blurred = bool(config.blur) and bool(rng.random() < config.blur)
    rows, columns = (_window(length, config, rng) for length in size)
    fill = (FILL,) * 3 if config.pad == "around" else MEAN_COLOR
    places = (rows[0], columns[0]), (rows[1], columns[1])
    return View(size, mirrored, jitter, *places, config.crop, hue, angle, blurred, fill)


def plain_size(image_size: tuple[int, int], config: AugmentConfig) -> tuple[int, int]:
    """Return (rows, columns) at which an image is seen whole, in the middle of the sizes of its variants."""
    if config.warp:
        return config.crop, config.crop
    side = config.middle_side
    return scaled_size(image_size, side / max(image_size)) if side else image_size


def _draw_scale(image_size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator) -> float:
    if config.long_side is not None:
        return float(rng.integers(config.long_side[0], config.long_side[1] + 1)) / max(image_size)
    if config.scales:
        return config.scales[rng.integers(len(config.scales))]
    return float(rng.uniform(*config.scale_range)) if config.scale_range else 1.0


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


def _window(length: int, config: AugmentConfig, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return what part of an axis is kept, and where on the canvas it goes."""
    crop = config.crop
    shift = int(rng.integers(0, abs(length - crop) + 1)) if length > crop or config.pad == "around" else 0
    cut, moved = slice(0, min(length, crop)), slice(shift, shift + min(length, crop))
    return (moved, cut) if length > crop else (cut, moved)
