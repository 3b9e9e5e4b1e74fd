"""Recipe of the ``psa`` method."""

from dataclasses import dataclass, field

from weakseg.pipeline.recipe import Recipe
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.seed import PSA_CRF, SeedConfig, psa_readings
from weakseg.settings.segment import PredictConfig, SegmentConfig
from weakseg.settings.walk import WalkConfig


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
    masks: DecodeConfig = field(default_factory=lambda: DecodeConfig(PSA_CRF))
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
