"""The integral-attention network and its training."""

from dataclasses import dataclass, field

from weakseg.settings.augment import AugmentConfig, check_whole
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.networks import Start, check_network
from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class IntegralConfig:
    """The network that learns accumulated activations, and its training.

    Attributes:
        start: What the backbone starts from: ``pretrained`` (``backbone``), or that of the trained ``classifier``.
        backbone: The feature extractor for ``pretrained``.
        convolutions: 3 x 3 convolutions with ReLU between backbone and linear layer.
        threshold: Where an accumulated activation is above this, the network is to find the class.
        augment: Variation of the training images; each variant has to show the whole image.
        fit: Optimisation.
    """

    start: Start = "pretrained"
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    convolutions: int = 0
    threshold: float = 0.001
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(None, 256, warp=True))
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=6, batch_size=16, lr=0.01))

    def __post_init__(self) -> None:
        """Refuse names that do not exist, a threshold that nothing is above, and variants that show a part."""
        check_network("network", self, 1)
        check_settings("network", self, threshold="in [0, 1)", convolutions="in [0, 8]")
        check_whole("network", self.augment)
