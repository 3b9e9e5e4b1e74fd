"""The segmenter and its training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.rules import SettingError, check_settings

SegmentLoss = Literal["cross_entropy", "balanced", "balanced_halved"]
LossOn = Literal["pixels", "cells"]


@dataclass(frozen=True)
class SegmenterConfig:
    """Architecture of the segmenter.

    Attributes:
        backbone: The encoder.
        head: ``largefov`` (one dilated 3x3 convolution and a 1x1); ``score`` (a 1x1 alone); ``deeplab_v1`` (dilated
            3x3, 1x1, 1x1); ``aspp`` (DeepLab-v2: dilated 3x3, summed); ``aspp_fc`` (DeepLab-v2 on VGG16: branches of
            three layers, summed); ``aspp_hidden`` (GRM's: those of ``aspp`` to ``hidden`` channels, ReLU, 1x1);
            ``pspnet``; ``tree`` (Tree-FCN). What there is is known where they are built.
        hidden: Channels between the layers of the head; 0: as many as the head has by itself.
        dilations: Of the 3x3 convolutions, in feature cells, one a branch; empty: those that the head has by itself.
        multi_scale: Factors at which the network sees the image once more, such as ``[0.5, 0.75]``; the largest logits
            count, and each scale has its own loss. Empty: the image as it is.
        reasoning: What a graph of classes adds to features.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    head: str = "largefov"
    hidden: int = 0
    dilations: tuple[int, ...] = ()
    multi_scale: tuple[float, ...] = ()
    reasoning: ReasoningConfig = field(default_factory=ReasoningConfig)

    def __post_init__(self) -> None:
        """Refuse sizes below one, and scales that are none."""
        check_settings("model", self, hidden=">= 0")
        if self.dilations:
            check_settings("model", self, dilations=">= 1")
        if self.multi_scale:
            check_settings("model", self, multi_scale="in (0, 1)")


@dataclass(frozen=True)
class InitConfig:
    """A file that the whole network starts from; weights of its backbone are in it.

    Attributes:
        file: A segmenter of weakseg, or a PyTorch or safetensors file with the names of the published ones; empty: the
            backbone starts from its own weights, the head at random.
        trained_on: What it was trained on, in words, such as ``COCO masks``; said in every result.
        pixel_masks: Whether people have drawn masks for it: results are then not of weak labels alone, and say so.
    """

    file: str = ""
    trained_on: str = ""
    pixel_masks: bool = True

    def __post_init__(self) -> None:
        """Refuse a file of which nobody says what it knows."""
        if bool(self.file) != bool(self.trained_on.strip()):
            raise ConfigError(
                f"init: file and trained_on go together, got {self.file!r} and {self.trained_on!r}; "
                "say what the file was trained on, such as 'COCO masks'"
            )


@dataclass(frozen=True)
class SegmenterTrainingConfig:
    """A segmenter and its training, whatever it learns from.

    Attributes:
        model: Architecture.
        augment: Variation of the training images.
        fit: Optimisation.
        init: What the whole network starts from.
    """

    model: SegmenterConfig = field(default_factory=SegmenterConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(epochs=8, batch_size=8, optimizer="adamw", lr=2e-4, weight_decay=1e-2)
    )
    init: InitConfig = field(default_factory=InitConfig)

    def __post_init__(self) -> None:
        """Refuse two files for one backbone."""
        if self.init.file and self.model.backbone.file:
            raise ConfigError(
                f"init.file: {self.init.file!r} holds the backbone, too; set its weights to 'none' "
                f"and leave out model.backbone.file, which is {self.model.backbone.file!r}"
            )

    @property
    def initial(self) -> dict[str, Any]:
        """What the network starts from, for the header of its file and for results; files by name, without folder."""
        if self.init.file:
            told = {"trained_on": self.init.trained_on, "pixel_masks": self.init.pixel_masks}
            return {"network": Path(self.init.file).name, **told}
        start = self.model.backbone
        return {"backbone": start.name, "weights": Path(start.file).name if start.file else start.weights}


@dataclass(frozen=True)
class SegmentConfig(SegmenterTrainingConfig):
    """The segmenter and its training on masks.

    Attributes:
        frozen: Train the head alone. Features of the backbone are computed once for each variant of an image, and kept
            on disk meanwhile: with ``augment.variants`` all epochs but the first ones take seconds.
        loss: ``cross_entropy`` (mean over pixels); ``balanced`` (mean over background plus mean over foreground), or
            ``balanced_halved`` (half of that).
        loss_on: ``pixels`` (logits are enlarged to the labels) or ``cells`` (labels are reduced to the logits).
    """

    frozen: bool = False
    loss: SegmentLoss = "cross_entropy"
    loss_on: LossOn = "pixels"

    def __post_init__(self) -> None:
        """Refuse losses that do not exist."""
        super().__post_init__()
        check_settings("segmenter", self, loss=get_args(SegmentLoss), loss_on=get_args(LossOn))
        if not self.frozen:
            return
        sees_image = {"model.multi_scale": self.model.multi_scale, "model.reasoning.level": self.model.reasoning.level}
        learns = {"fit.frozen_levels": self.fit.frozen_levels, "fit.loader_workers": self.fit.loader_workers}
        for name, value in {**sees_image, **learns}.items():
            if value:
                wanted = "with frozen the head gets features that were computed once, in this process; leave it out"
                raise SettingError("segmenter", name, value, wanted)
        if self.fit.norm_statistics == "batch":
            raise SettingError("segmenter", "fit.norm_statistics", "batch", "with frozen they are 'stored'")
