"""The instance segmenter, its training and its application."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.fit import FitConfig
from weakseg.settings.rules import check_settings

KIND = "instance segmenter"  # as files name it
MASK_SIDE = 28  # cells of a mask in its box
NORM_GROUPS = 8
PyramidNorm = Literal["group", "none"]


@dataclass(frozen=True)
class InstanceModelConfig:
    """Architecture of the instance segmenter.

    Attributes:
        backbone: The encoder; the pyramid takes its levels from stride 4 on.
        width: Channels of the pyramid and of the mask branch; with group norm a multiple of 8.
        hidden: Channels of the two layers that classify a box.
        mask_layers: 3x3 convolutions of the mask branch.
        anchor_px: Side of the anchors of the finest level; it doubles from level to level.
        proposals: Boxes an image that are classified.
        samples: Of them, boxes an image that the losses of classes, boxes and masks are made of at most; 0: all.
        pyramid_norm: ``group`` norm keeps the levels of the pyramid on one scale, which a training on a CPU needs;
            ``none``, as published.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(output_stride=32))
    width: int = 128
    hidden: int = 512
    mask_layers: int = 4
    anchor_px: int = 16
    proposals: int = 200
    samples: int = 0
    pyramid_norm: PyramidNorm = "group"

    def __post_init__(self) -> None:
        """Refuse sizes below one, and channels that do not fall into groups."""
        check_settings("model", self, samples=">= 0", pyramid_norm=get_args(PyramidNorm))
        check_settings(
            "model", self, width=">= 1", hidden=">= 1", mask_layers="in [1, 64]", anchor_px=">= 1", proposals=">= 1"
        )
        if self.pyramid_norm == "group" and self.width % NORM_GROUPS:
            raise ConfigError(f"model.width: a multiple of {NORM_GROUPS}, got {self.width}")


@dataclass(frozen=True)
class InstanceSegmentConfig:
    """The instance segmenter and its training.

    Attributes:
        model: Architecture.
        augment: Variation of the training images.
        fit: Optimisation.
    """

    model: InstanceModelConfig = field(default_factory=InstanceModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(epochs=12, batch_size=4, optimizer="adamw", lr=1e-4, weight_decay=1e-2)
    )

    def __post_init__(self) -> None:
        """Refuse turns: a turned box is none."""
        if self.augment.rotation:
            raise ConfigError(f"augment.rotation: boxes cannot be turned, got {self.augment.rotation}; leave it out")


@dataclass(frozen=True)
class InstancePredictConfig:
    """How the instance segmenter is applied.

    Attributes:
        max_side: Larger images are first reduced to this long side; masks are made at the full size.
        short_side: Images are first scaled to this short side, as far as ``max_side`` allows; 0: reduced alone.
        score: Objects below this score are left out.
        nms: Of two boxes of a class with a larger IoU the surer one is kept.
        most: Largest number of objects an image.
        mask: Probability from which on a pixel belongs to an object.
        crf: Dense CRF on each mask.
        crf_params: Its parameters.
    """

    max_side: int = 512
    short_side: int = 0
    score: float = 0.05
    nms: float = 0.5
    most: int = 100
    mask: float = 0.5
    crf: bool = False
    crf_params: CrfParams = field(default_factory=lambda: CrfParams(5, 1, 3, 67, 3, 4))

    def __post_init__(self) -> None:
        """Refuse sizes and probabilities that mean nothing."""
        check_settings(
            "",
            self,
            max_side=">= 32",
            short_side=">= 0",
            most=">= 1",
            score="in (0, 1)",
            nms="in (0, 1)",
            mask="in (0, 1)",
        )
