"""Variation of training images."""

from dataclasses import dataclass

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class AugmentConfig:
    """How a training image is varied.

    Attributes:
        long_side: Smallest and largest length of the long side after random scaling, in pixels; ``null``: no scaling.
        crop: Side of the square crop; smaller images are padded (image grey, labels undecided, maps 0).
        flip: Mirror half of the images.
        jitter: Largest relative change of brightness, contrast and saturation, in [0, 1).
        hue: Largest turn of the hue, in [0, 0.5]: shares of the colour circle.
    """

    long_side: tuple[int, int] | None = (256, 416)
    crop: int = 256
    flip: bool = True
    jitter: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        """Refuse empty ranges."""
        check_settings("augment", self, crop=">= 1", jitter="in [0, 1)", hue="in [0, 0.5]")
        if self.long_side is not None and not 1 <= self.long_side[0] <= self.long_side[1]:
            raise ConfigError(f"augment.long_side: need 1 <= smallest <= largest, got {self.long_side}")

    @property
    def middle_side(self) -> int | None:
        """The long side in the middle of the range, or None where images keep their size."""
        return sum(self.long_side) // 2 if self.long_side else None
