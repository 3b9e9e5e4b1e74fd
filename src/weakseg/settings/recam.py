"""ReCAM: the second training of the classifier, and its activations."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.activate import ActivationsConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.rules import SettingError, check_settings

RecamWeights = Literal["cls", "recam", "product"]
_OF_SECOND = ("lr_factor", "detach_mask")  # settings that mean nothing without the second classifier


@dataclass(frozen=True)
class RecamConfig:
    """The second training of the classifier: of tags, and of each present class seen through its own activation.

    Attributes:
        weight: Of the softmax cross-entropy of the second linear layer, lambda; 0: the classifier trains on without
            that layer, as a control with as many updates.
        lr_factor: Learning rate of the second linear layer, as a multiple of that of the first.
        detach_mask: No gradient flows through the activations that features are seen through.
        frozen: Train the linear layers, and convolutions, alone.
        augment: Variation of the training images.
        fit: Optimisation; ``head_lr_factor`` is that of the first linear layer. With few photographs a backbone
            that learns as fast as that may unlearn what activations are made of.
    """

    weight: float = 1.0
    lr_factor: float = 10.0
    detach_mask: bool = False
    frozen: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=4, batch_size=16, lr=1e-4, head_lr_factor=100.0))

    def __post_init__(self) -> None:
        """Refuse negative weights and rates, and settings of a layer that is not there."""
        check_settings("recam", self, weight=">= 0", lr_factor="> 0")
        for name in _OF_SECOND:
            if not self.weight and getattr(self, name) != getattr(type(self), name):
                raise SettingError(
                    "recam", name, getattr(self, name), "has no effect with weight 0, which trains no second linear "
                    "layer; leave it out",
                )  # fmt: skip


@dataclass(frozen=True)
class RecamActivationsConfig(ActivationsConfig):
    """How activations of ReCAM are computed.

    Attributes:
        weights: Of the evidence: those of the linear layer that learns tags (``cls``), of the second (``recam``), or
            the ``product`` of both, channel by channel.
    """

    weights: RecamWeights = "product"

    def __post_init__(self) -> None:
        """Refuse words that do not exist, and activations of other programs."""
        super().__post_init__()
        check_settings("activations", self, weights=get_args(RecamWeights))
        if self.from_folder:
            raise ConfigError(
                "activations.from_folder: method 'recam' is for activations of its own; use method 'irnet', which "
                "starts from any"
            )
