"""Recipe of the ``seam`` method."""

from dataclasses import dataclass, field, replace

from weakseg.pipeline.recipe import Recipe
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.seam import SeamConfig
from weakseg.settings.seed import PSA_CRF, SeedConfig, psa_readings
from weakseg.settings.segment import PredictConfig, SegmentConfig
from weakseg.settings.walk import WalkConfig


@dataclass(frozen=True)
class SeamRecipe(Recipe):
    """Tags to refined activations, two readings, an affinity network, walked scores, masks and a segmenter.

    Attributes:
        method: ``seam``.
        seed: Of everything random.
        data: The data set.
        classifier: SEAM's classifier and its training.
        activations: How activations are computed of the refined evidence.
        readings: The two readings of the activations that the affinity network learns from.
        affinity: The affinity network and its training.
        walk: How scores walk.
        masks: How masks are made of walked scores.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
    """

    method: str = "seam"
    classifier: SeamConfig = field(default_factory=SeamConfig)
    activations: ActivateConfig = field(default_factory=lambda: ActivateConfig(normalize="range"))
    readings: SeedConfig = field(default_factory=lambda: replace(psa_readings(), lenient=24.0))
    affinity: AffinityConfig = field(default_factory=AffinityConfig)
    walk: WalkConfig = field(default_factory=lambda: WalkConfig(steps=64, background_power=6.0))
    masks: DecodeConfig = field(default_factory=lambda: DecodeConfig(PSA_CRF))
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
