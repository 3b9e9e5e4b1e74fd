"""Recipe of the ``cam`` method."""

from dataclasses import dataclass

from weakseg.methods.seeding import SeedingRecipe


@dataclass(frozen=True)
class CamRecipe(SeedingRecipe):
    """Tags to activations, seeds, masks and a segmenter."""

    method: str = "cam"
