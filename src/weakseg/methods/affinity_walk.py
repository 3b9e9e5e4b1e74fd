"""What PSA and SEAM have in common: activations walk on affinities learned from confident pairs of pixels."""

from dataclasses import dataclass, field

from weakseg.methods.recipe import TagRecipe
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.seed import PSA_CRF, SeedConfig, psa_readings
from weakseg.settings.walk import WalkConfig


@dataclass(frozen=True)
class AffinityWalkRecipe(TagRecipe):
    """Tags to activations, two readings, an affinity network, walked scores, masks and a segmenter.

    Attributes:
        readings: The two readings of the activations that the affinity network learns from.
        affinity: The affinity network and its training.
        walk: How scores walk.
        masks: How masks are made of walked scores.
    """

    readings: SeedConfig = field(default_factory=psa_readings)
    affinity: AffinityConfig = field(default_factory=AffinityConfig)
    walk: WalkConfig = field(default_factory=WalkConfig)
    masks: DecodeConfig = field(default_factory=lambda: DecodeConfig(PSA_CRF))
