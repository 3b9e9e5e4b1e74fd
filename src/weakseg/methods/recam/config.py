"""Recipe of the ``recam`` method."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.methods.boundary_walk import BoundaryWalkRecipe
from weakseg.settings.recam import RecamActivationsConfig, RecamConfig
from weakseg.settings.seed import SeedConfig
from weakseg.settings.walk import BoundaryWalkConfig


@dataclass(frozen=True)
class RecamRecipe(BoundaryWalkRecipe):
    """As ``irnet``, with a second training of the classifier.

    Attributes:
        recam: The second training.
        activations: How activations are computed.
    """

    method: str = "recam"
    recam: RecamConfig = field(default_factory=RecamConfig)
    activations: RecamActivationsConfig = field(default_factory=RecamActivationsConfig)
    seeds: SeedConfig = field(default_factory=lambda: SeedConfig(strict=0.35, lenient=0.1))
    walk: BoundaryWalkConfig = field(default_factory=lambda: BoundaryWalkConfig(background=0.28))

    def __post_init__(self) -> None:
        """Refuse activations that are not those of the second training."""
        super().__post_init__()
        if self.classifier.accumulate:
            raise ConfigError(
                "classifier.accumulate: the activations are those of the second training, which are not accumulated; "
                "leave it out"
            )
        if self.activations.weights == "recam" and not self.recam.weight:
            raise ConfigError(
                "activations.weights: with recam.weight 0 no second linear layer is trained; set 'cls' or 'product', "
                "which are the same then"
            )
