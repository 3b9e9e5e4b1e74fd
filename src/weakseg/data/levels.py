"""Values of pixels of any type become 0..255; what would lose nearly all levels is stretched."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakseg.errors import DataError

EIGHT_BITS, SIXTEEN_BITS = 255, 65535
LOW_RANGE = 16384
"""Images of more than 8 bits whose largest value is below this have less than 64 of 256 levels as they stand."""


@dataclass(frozen=True)
class Levels:
    """Which values become black and white; what lies between is linear.

    Attributes:
        black: Becomes 0.
        white: Becomes 255.
        lowest: Smallest value that there is.
        highest: Largest value that there is.
    """

    black: float
    white: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, lowest: float, highest: float, *, fractions: bool = False) -> "Levels":
        """Return the levels of an image by the range of its values.

        Up to 255 values stand for themselves, and fractions up to 1 for shares of white. Above, white is 65535, unless
        the values are far below it, beyond it or below 0: then the image is stretched by its own range.

        Args:
            lowest: Smallest value.
            highest: Largest value.
            fractions: Whether an image with no value above 1 holds fractions.
        """
        if lowest >= 0 and highest <= EIGHT_BITS:
            return cls(0, 1 if fractions and highest <= 1 else EIGHT_BITS, lowest, highest)
        if lowest >= 0 and LOW_RANGE <= highest <= SIXTEEN_BITS:
            return cls(0, SIXTEEN_BITS, lowest, highest)
        return cls(lowest, max(highest, lowest + 1), lowest, highest)

    @property
    def stretched(self) -> bool:
        """Whether they are the image's own range."""
        return (self.black, self.white) not in ((0, 1), (0, EIGHT_BITS), (0, SIXTEEN_BITS))

    @property
    def sentence(self) -> str:
        """What is done, for the log."""
        left = round(self.highest / 257) - round(self.lowest / 257) + 1
        otherwise = f"; as they stand {left} of 256 levels were left" if self.lowest >= 0 and left <= 256 else ""
        return (
            f"values {self.lowest:g}..{self.highest:g} are stretched: {self.black:g} becomes black, {self.white:g} "
            f"white{otherwise}"
        )

    def as_bytes(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return values as 0..255, rounded to the nearest."""
        share = (values.astype(np.float64) - self.black) / (self.white - self.black)
        return np.round(np.clip(share, 0, 1) * 255.0).astype(np.uint8)


def over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite ``(H, W, 4)`` over white, rounded to the nearest integer."""
    alpha = rgba[..., 3:].astype(np.uint32)
    composite = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return composite.astype(np.uint8)


def range_of_fractions(values: NDArray[np.generic]) -> Levels:
    """Return the levels of a user's floating-point array.

    Raises:
        DataError: If it does not lie in [0, 1].
    """
    lowest, highest = float(values.min()), float(values.max())
    if not (lowest >= 0 and highest <= 1):  # NaN is neither
        raise DataError(
            f"image: floating-point images must lie in [0, 1], got [{lowest:.3g}, {highest:.3g}]; scale it, or give "
            "uint8"
        )
    return Levels(0, 1, lowest, highest)
