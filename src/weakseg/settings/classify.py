"""The tag classifier and its training."""

from dataclasses import dataclass, field

from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class ClassifierConfig:
    """The tag classifier and its training.

    Attributes:
        backbone: The feature extractor.
        dropout: Of whole feature channels before the linear layer.
        frozen: Train the linear layer alone. With few photographs a backbone that learns finds each class in its usual
            surroundings (the road under the car) sooner than in its shape.
        augment: Variation of the training images.
        fit: Optimisation.
        warn_below: Validation mAP (percent) under which activations are not to be trusted.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    dropout: float = 0.0
    frozen: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=6, batch_size=16, lr=0.01))
    warn_below: float = 60.0

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        check_settings("classifier", self, dropout="in [0, 1)")
