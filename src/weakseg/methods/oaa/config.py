"""Recipe of the ``oaa`` method."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.methods.seeding import SeedingRecipe
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.integral import IntegralConfig


@dataclass(frozen=True)
class OaaRecipe(SeedingRecipe):
    """As ``cam``, with activations that are accumulated while the classifier learns.

    Attributes:
        classifier: The tag classifier and its training; ``accumulate`` is true.
        integral: Whether a second network learns what was accumulated, and its activations count (OAA+).
        network: That network and its training.
    """

    method: str = "oaa"
    classifier: ClassifierConfig = field(
        default_factory=lambda: ClassifierConfig(augment=AugmentConfig(None, 256, warp=True), accumulate=True)
    )
    integral: bool = False
    network: IntegralConfig = field(default_factory=IntegralConfig)

    def __post_init__(self) -> None:
        """Refuse a classifier without accumulation, and a network that is not trained."""
        super().__post_init__()
        if not self.classifier.accumulate:
            raise ConfigError("classifier.accumulate: method 'oaa' accumulates; leave it true, or use method 'cam'")
        if not self.integral and self.network != IntegralConfig():
            raise ConfigError("network: has no effect without integral; set integral to true, or leave it out")
