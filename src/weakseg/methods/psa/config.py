"""Recipe of the ``psa`` method."""

from dataclasses import dataclass

from weakseg.methods.affinity_walk import AffinityWalkRecipe


@dataclass(frozen=True)
class PsaRecipe(AffinityWalkRecipe):
    """Tags to activations, two readings, an affinity network, walked scores, masks and a segmenter."""

    method: str = "psa"
