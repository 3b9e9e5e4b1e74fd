"""Recipe of the ``mlgcn`` method."""

from dataclasses import dataclass, field

from weakseg.methods.seeding import SeedingRecipe
from weakseg.settings.mlgcn import MlgcnConfig


@dataclass(frozen=True)
class MlgcnRecipe(SeedingRecipe):
    """As ``cam``, with a classifier whose linear layer a graph of classes makes.

    Attributes:
        classifier: ML-GCN's classifier and its training.
    """

    method: str = "mlgcn"
    classifier: MlgcnConfig = field(default_factory=MlgcnConfig)
