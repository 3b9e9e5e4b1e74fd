"""Random scale, flip, colour jitter and crop of an image and its labels, from one generator."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.errors import ConfigError
from weakseg.ops.resample import resize_image, resize_labels, scaled_size

FILL = 127


@dataclass(frozen=True)
class AugmentConfig:
    """How a training image is varied.

    Attributes:
        long_side: Smallest and largest length of the long side after random scaling, in pixels.
        crop: Side of the square crop; smaller images are padded (image grey, labels undecided).
        flip: Mirror half of the images.
        jitter: Largest relative change of brightness, contrast and saturation, in [0, 1).
    """

    long_side: tuple[int, int] = (256, 416)
    crop: int = 256
    flip: bool = True
    jitter: float = 0.0

    def __post_init__(self) -> None:
        """Refuse empty ranges."""
        if not 1 <= self.long_side[0] <= self.long_side[1] or self.crop < 1 or not 0 <= self.jitter < 1:
            raise ConfigError(
                f"augment: need 1 <= long_side[0] <= long_side[1], crop >= 1, 0 <= jitter < 1; got {self}"
            )


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
    side = rng.integers(config.long_side[0], config.long_side[1] + 1)
    size = scaled_size(image.shape[:2], float(side) / max(image.shape[:2]))
    if labels is None:
        labels = np.full(image.shape[:2], UNDECIDED, np.uint8)
    image, labels = resize_image(image, size), resize_labels(labels, size)
    if config.flip and rng.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    if config.jitter:
        image = _jitter(image, config.jitter, rng)
    return _crop(image, labels, config.crop, rng)


def _jitter(image: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Scale brightness, contrast about the mean, and saturation about the grey value."""
    brightness, contrast, saturation = (float(v) for v in rng.uniform(1 - strength, 1 + strength, 3))
    values = image.astype(np.float32) * brightness
    values = (values - values.mean()) * contrast + values.mean()
    grey = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)[..., None]
    varied: NDArray[np.uint8] = np.clip((values - grey) * saturation + grey, 0, 255).astype(np.uint8)
    return varied


def _crop(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], crop: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut a random window, or put a smaller image at a random place on the canvas, along each axis."""
    canvas = np.full((crop, crop, 3), FILL, np.uint8)
    canvas_labels = np.full((crop, crop), UNDECIDED, np.uint8)
    source, target = [], []
    for length in image.shape[:2]:
        shift = int(rng.integers(0, abs(length - crop) + 1))
        cut = min(length, crop)
        source.append(slice(shift, shift + cut) if length > crop else slice(0, cut))
        target.append(slice(0, cut) if length > crop else slice(shift, shift + cut))
    canvas[target[0], target[1]] = image[source[0], source[1]]
    canvas_labels[target[0], target[1]] = labels[source[0], source[1]]
    return canvas, canvas_labels
