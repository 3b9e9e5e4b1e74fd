"""Recipe of the ``seam`` method."""

from dataclasses import dataclass, field, replace

from weakseg.methods.affinity_walk import AffinityWalkRecipe
from weakseg.settings.activate import ActivationsConfig
from weakseg.settings.seam import SeamConfig
from weakseg.settings.seed import SeedConfig, psa_readings
from weakseg.settings.walk import WalkConfig


@dataclass(frozen=True)
class SeamRecipe(AffinityWalkRecipe):
    """As ``psa``, with SEAM's classifier, whose refined evidence the activations are.

    Attributes:
        classifier: SEAM's classifier and its training.
    """

    method: str = "seam"
    classifier: SeamConfig = field(default_factory=SeamConfig)
    activations: ActivationsConfig = field(default_factory=lambda: ActivationsConfig(normalize="range"))
    readings: SeedConfig = field(default_factory=lambda: replace(psa_readings(), lenient=24.0))
    walk: WalkConfig = field(default_factory=lambda: WalkConfig(steps=64, background_power=6.0))
