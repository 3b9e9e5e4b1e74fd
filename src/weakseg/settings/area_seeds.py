"""Seeds that are a share of each class's strongest activation, and background from saliency or low activations."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings

BackgroundFrom = Literal["activations", "saliency"]


@dataclass(frozen=True)
class AreaSeedConfig:
    """How sparse seeds are read off activations, and where background seeds come from.

    Attributes:
        share: A class's seeds are where its activation is above this share of its own maximum.
        background: Background seeds are where a map of ``saliency`` is low, or where all ``activations`` of an image
            are low. Images of which the folder ``data.saliency`` has no map use their activations.
        activations_below: Of activations divided by their maximum; below it, for all classes, is background.
        saliency_below: Of saliency stretched to [0, 1]; below it is background.
    """

    share: float = 0.2
    background: BackgroundFrom = "activations"
    activations_below: float = 0.05
    saliency_below: float = 0.06

    def __post_init__(self) -> None:
        """Refuse shares that are none, and a threshold that nothing is compared with."""
        check_settings("seeds", self, share="in [0, 1)", background=get_args(BackgroundFrom))
        check_settings("seeds", self, activations_below="in [0, 1]", saliency_below="in [0, 1]")
        if self.background == "activations" and self.saliency_below != AreaSeedConfig.saliency_below:
            raise ConfigError(
                f"seeds.saliency_below: {self.saliency_below} has no effect with background 'activations'; leave it "
                "out, or set seeds.background to saliency"
            )
