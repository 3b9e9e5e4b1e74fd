"""Where saliency maps come from, and how they join activations to seeds."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings, spoken

Detector = Literal["files", "spectral", "fine_grained", "u2netp"]
FROM_WEIGHTS = ("u2netp",)
"""Detectors that have weights."""
LEARNED_FROM_MASKS = ("u2netp", "files")
"""Detectors that have learned from masks of pixels, and maps of which nobody knows: results say so."""


@dataclass(frozen=True)
class SaliencyConfig:
    """Where the saliency map of each training image comes from.

    Attributes:
        detector: ``files`` (a map of each image in the folder ``data.saliency``), OpenCV's ``spectral`` residual or
            ``fine_grained`` contrast, which learned nothing, or ``u2netp``, a network that learned from masks of other
            photographs: what is made with it is labelled "tags + saliency".
        file: Weights of ``u2netp`` as ONNX file; empty: those that ``weakseg weights get u2netp`` has fetched.
    """

    detector: Detector = "files"
    file: str = ""

    def __post_init__(self) -> None:
        """Refuse detectors that do not exist, and weights that nothing reads."""
        check_settings("saliency", self, detector=get_args(Detector))
        if self.file and self.detector not in FROM_WEIGHTS:
            raise ConfigError(
                f"saliency.file: belongs to detector {spoken(FROM_WEIGHTS)}, and it is {self.detector!r}; leave it out"
            )


@dataclass(frozen=True)
class FusionConfig:
    """How activations and a saliency map become seeds.

    Attributes:
        conflict: Undecided is where more than one score, of classes and background, is above this.
        attention: Undecided is a background pixel where the activation of a class is above this.
        saliency_below: Undecided is a background pixel whose saliency is not below this; 32 of 255 levels.
        floor: Scores below this count as 0 before the best is taken: 0.3 in OAA; 0 in Group-WSSS, off.
        min_foreground: An image of whose pixels a smaller share is of a class is undecided altogether.
    """

    conflict: float = 0.9
    attention: float = 0.8
    saliency_below: float = 32 / 255
    floor: float = 0.0
    min_foreground: float = 0.01

    def __post_init__(self) -> None:
        """Refuse thresholds out of range."""
        ranges = dict.fromkeys(("conflict", "attention", "saliency_below"), "in [0, 1]")
        check_settings("seeds.fusion", self, **ranges, floor="in [0, 1)", min_foreground="in [0, 1)")
