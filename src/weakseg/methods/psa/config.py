"""Recipe of the ``psa`` method."""

from dataclasses import dataclass, field
from typing import Literal

from weakseg.errors import ConfigError
from weakseg.ops.crf import PRESETS
from weakseg.pipeline.recipe import Recipe
from weakseg.stages.activate import ActivateConfig
from weakseg.stages.affinity import AffinityConfig
from weakseg.stages.classify import ClassifierConfig
from weakseg.stages.decode import DecodeConfig
from weakseg.stages.seed import SeedConfig, psa_readings
from weakseg.stages.segment import PredictConfig, SegmentConfig


@dataclass(frozen=True)
class WalkConfig:
    """How scores walk.

    Attributes:
        radius_cells: Cells nearer than this are neighbours.
        beta: Sharpening exponent of the affinity.
        steps: Steps of the walk.
        error: Largest error of the walk, see ``weakseg.ops.walk.walk``; 0 takes all steps.
        background_power: Exponent of the background's score, ``(1 - max M)^power``.
        border: ``complete``, or ``official``: pairs whose first cell lies in the outer four columns or last four rows
            are missing, as in the code of 2018.
    """

    radius_cells: float = 5.0
    beta: float = 8.0
    steps: int = 256
    error: float = 1e-3
    background_power: float = 16.0
    border: Literal["complete", "official"] = "complete"

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        if not (self.radius_cells > 1 and self.beta > 0 and self.steps >= 0 and self.background_power > 0):
            raise ConfigError(f"walk: need radius_cells > 1, beta, background_power > 0 and steps >= 0, got {self}")
        if self.border not in ("complete", "official"):
            raise ConfigError(f"walk.border: 'complete' or 'official', got {self.border!r}")


@dataclass(frozen=True)
class PsaRecipe(Recipe):
    """Tags to activations, two readings, an affinity network, walked scores, masks and a segmenter.

    Attributes:
        method: ``psa``.
        seed: Of everything random.
        data: The data set.
        classifier: The tag classifier and its training.
        activations: How activations are computed.
        readings: The two readings of the activations that the affinity network learns from.
        affinity: The affinity network and its training.
        walk: How scores walk.
        masks: How masks are made of walked scores.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
    """

    method: str = "psa"
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    activations: ActivateConfig = field(default_factory=ActivateConfig)
    readings: SeedConfig = field(default_factory=psa_readings)
    affinity: AffinityConfig = field(default_factory=AffinityConfig)
    walk: WalkConfig = field(default_factory=WalkConfig)
    masks: DecodeConfig = field(default_factory=lambda: DecodeConfig(PRESETS["psa"]))
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
