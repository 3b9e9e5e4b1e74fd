"""Variation of training images."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings

Pad = Literal["around", "end"]


@dataclass(frozen=True)
class AugmentConfig:
    """How a training image is varied.

    Attributes:
        long_side: Smallest and largest length of the long side after random scaling, in pixels; ``null``: no scaling.
        scales: Instead of ``long_side``, which is then ``null``: factors of which one is drawn, such as those of
            DeepLab-v2, ``[0.5, 0.75, 1.0, 1.25, 1.5]``.
        scale_range: Instead of both: smallest and largest factor of those that are drawn evenly.
        warp: Instead of all three: the whole image is stretched to the square of the crop, as DSRG and DGCN train.
        rotation: Largest turn to either side, in degrees; what comes in at the corners is as what is padded.
        blur: Share of the images that a Gaussian of 5 x 5 pixels (deviation 1.1) blurs.
        crop: Side of the square crop; smaller images are padded (labels undecided, maps 0).
        pad: Where smaller images go: ``around`` (anywhere, grey around them) or ``end`` (the upper left, the mean
            colour of ImageNet on the right and below, as in DeepLab-v2).
        flip: Mirror half of the images.
        jitter: Largest relative change of brightness, contrast and saturation, in [0, 1).
        hue: Largest turn of the hue, in [0, 0.5]: shares of the colour circle.
        variants: Of each image so many are drawn, and seen in turns; 0: a new one in each epoch. Features of a backbone
            that does not learn can then be kept.
    """

    long_side: tuple[int, int] | None = (256, 416)
    crop: int = 256
    flip: bool = True
    jitter: float = 0.0
    hue: float = 0.0
    scales: tuple[float, ...] = ()
    scale_range: tuple[float, float] | None = None
    rotation: float = 0.0
    blur: float = 0.0
    pad: Pad = "around"
    warp: bool = False
    variants: int = 0

    def __post_init__(self) -> None:
        """Refuse empty ranges, and several ways of scaling at once."""
        check_settings("augment", self, crop=">= 1", jitter="in [0, 1)", hue="in [0, 0.5]", pad=get_args(Pad))
        check_settings("augment", self, rotation="in [0, 180]", blur="in [0, 1]", variants=">= 0")
        if self.long_side is not None and not 1 <= self.long_side[0] <= self.long_side[1]:
            raise ConfigError(f"augment.long_side: need 1 <= smallest <= largest, got {self.long_side}")
        if self.scales:
            check_settings("augment", self, scales="> 0")
        if self.scale_range is not None and not 0 < self.scale_range[0] <= self.scale_range[1] < float("inf"):
            raise ConfigError(f"augment.scale_range: need 0 < smallest <= largest, got {self.scale_range}")
        if self.warp and self.pad != "around":
            raise ConfigError(f"augment.pad: with warp nothing is padded, got {self.pad!r}; leave one of them out")
        ways = ("long_side", "scales", "scale_range", "warp")
        given = [f"{name} {value}" for name in ways if (value := getattr(self, name))]
        if len(given) > 1:
            raise ConfigError(
                f"augment: one way of scaling is needed, got {' and '.join(given)}; set others to null, [] or false"
            )

    def variant(self, epoch: int) -> int:
        """Return the number of the variant that is seen in an epoch, both from 0."""
        return epoch % self.variants if self.variants else epoch

    @property
    def middle_side(self) -> int | None:
        """The long side in the middle of the range, or None where images keep their size."""
        return sum(self.long_side) // 2 if self.long_side else None


def check_whole(section: str, config: AugmentConfig) -> None:
    """Refuse variants that do not show the whole image, upright: what is found in them could not be put back.

    Args:
        section: Whose they are.
        config: How images are varied.

    Raises:
        ConfigError: If so; says what to set.
    """
    fits = config.long_side is not None and config.long_side[1] <= config.crop
    if not (config.warp or fits) or config.rotation:
        raise ConfigError(
            f"{section}.augment: every variant must show all of the image, upright, for activations of it are "
            "accumulated: set warp to true and long_side to null, or the largest long_side to crop at most; and "
            "rotation to 0"
        )
