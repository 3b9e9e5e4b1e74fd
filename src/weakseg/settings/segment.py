"""The segmenter, its training and its application."""

from dataclasses import dataclass, field

from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.fit import FitConfig
from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class SegmenterConfig:
    """Architecture of the segmenter.

    Attributes:
        backbone: The encoder.
        head: ``largefov`` (one dilated 3x3 convolution and a 1x1) or ``aspp`` (four dilated 3x3, summed); what there is
            is known where segmenters are built.
        hidden: Channels between the two layers of ``largefov``.
        dilations: Dilation of the 3x3 (first value) or of the four branches, in feature cells.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    head: str = "largefov"
    hidden: int = 256
    dilations: tuple[int, ...] = (6, 12, 18, 24)

    def __post_init__(self) -> None:
        """Refuse sizes below one."""
        check_settings("model", self, hidden=">= 1", dilations=">= 1")


@dataclass(frozen=True)
class SegmentConfig:
    """The segmenter and its training.

    Attributes:
        model: Architecture.
        augment: Variation of the training images.
        fit: Optimisation.
        balanced: Weigh background and foreground pixels alike.
    """

    model: SegmenterConfig = field(default_factory=SegmenterConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(epochs=8, batch_size=8, optimizer="adamw", lr=2e-4, weight_decay=1e-2)
    )
    balanced: bool = False


@dataclass(frozen=True)
class PredictConfig:
    """How the segmenter is applied.

    Attributes:
        scales: Factors on the image size; probabilities of all are averaged.
        flip: Average with the mirror image.
        crf: Dense CRF on the probabilities.
        crf_params: Its parameters; the defaults are those of DeepLab-v2.
        max_side: Larger images are first reduced to this long side; ``scales`` apply to the reduced size.
        mask_side: Long side at most of the probabilities and of the CRF; larger masks are enlarged from it.
    """

    scales: tuple[float, ...] = (0.75, 1.0, 1.25)
    flip: bool = True
    crf: bool = False
    crf_params: CrfParams = field(default_factory=lambda: CrfParams(10, 1, 3, 67, 3, 4))
    max_side: int = 512
    mask_side: int = 1024

    def __post_init__(self) -> None:
        """Refuse empty or non-positive values."""
        check_settings("predictions", self, scales="> 0", max_side=">= 32", mask_side=">= 32")
