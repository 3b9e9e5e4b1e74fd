"""The feature extractor."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings

EMBEDDED = "efficientnet_lite0"
Layout = Literal["torchvision", "caffe"]


@dataclass(frozen=True)
class BackboneConfig:
    """Which backbone, and what it starts from.

    Attributes:
        name: Name of a timm model with feature maps, of a plain vision transformer of timm, or of an own one;
            ``weakseg doctor --backbone NAME`` says what it needs.
        output_stride: Image pixels per feature cell: 8, 16 or 32; that of a plain vision transformer is the side of its
            patches: 14 for DINOv2.
        weights: ``embedded`` (ImageNet weights that come with the installation, for ``efficientnet_lite0`` alone),
            ``timm`` (downloaded or cached by timm), ``file``, or ``none`` (random).
        file: For weights ``file``: a PyTorch or safetensors file.
        layout: What the weights were trained with. ``torchvision``: RGB / 255, ImageNet mean and deviation.
            ``caffe``: BGR 0..255 minus (104.008, 116.669, 122.675); in ResNets the stride lies in the first 1x1
            convolution of a stage, and the pool counts windows that are begun.
    """

    name: str = EMBEDDED
    output_stride: int = 16
    weights: str = "embedded"
    file: str = ""
    layout: Layout = "torchvision"

    def __post_init__(self) -> None:
        """Refuse strides and weights that do not exist; ``nn.backbones`` knows which go with a name."""
        if self.output_stride not in (8, 14, 16, 32):
            raise ConfigError(f"backbone.output_stride: 8, 14, 16 or 32, got {self.output_stride}")
        check_settings("backbone", self, weights=("embedded", "timm", "file", "none"), layout=get_args(Layout))
        if (self.weights == "file") != bool(self.file):
            raise ConfigError(
                f"backbone: weights 'file' and a file go together, got {self.weights!r} and {self.file!r}"
            )
