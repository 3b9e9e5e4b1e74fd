"""The feature extractor."""

from dataclasses import dataclass

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings

EMBEDDED = "efficientnet_lite0"


@dataclass(frozen=True)
class BackboneConfig:
    """Which backbone, and what it starts from.

    Attributes:
        name: Name of a timm model with feature maps (not a plain vision transformer), or ``resnet38``.
        output_stride: Image pixels per feature cell: 8, 16 or 32.
        weights: ``embedded`` (ImageNet weights that come with the installation, for ``efficientnet_lite0`` alone),
            ``timm`` (downloaded or cached by timm), ``file`` (for ``resnet38`` alone), or ``none`` (random).
        file: For weights ``file``: a PyTorch or safetensors file with the names of the published ones.
    """

    name: str = EMBEDDED
    output_stride: int = 16
    weights: str = "embedded"
    file: str = ""

    def __post_init__(self) -> None:
        """Refuse strides and weights that do not exist; ``nn.backbones`` knows which go with a name."""
        if self.output_stride not in (8, 16, 32):
            raise ConfigError(f"backbone.output_stride: 8, 16 or 32, got {self.output_stride}")
        check_settings("backbone", self, weights=("embedded", "timm", "file", "none"))
        if (self.weights == "file") != bool(self.file):
            raise ConfigError(
                f"backbone: weights 'file' and a file go together, got {self.weights!r} and {self.file!r}"
            )
