"""Recipe of the ``dsrg`` method."""

from dataclasses import dataclass, field

from weakseg.methods.growing import GrowingRecipe
from weakseg.settings.grow import GrowthConfig


@dataclass(frozen=True)
class DsrgRecipe(GrowingRecipe):
    """Tags to activations, sparse seeds, a segmenter whose labels grow by regions, its masks, and one that they train.

    Attributes:
        growth: How labels grow from the seeds while the first segmenter learns.
    """

    method: str = "dsrg"
    growth: GrowthConfig = field(default_factory=lambda: GrowthConfig("regions"))
