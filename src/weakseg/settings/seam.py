"""SEAM's classifier, its losses and its training."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class SeamLossConfig:
    """SEAM's losses.

    Attributes:
        scale: Size of the second view, as a share of the first.
        equivariance: Weight of ``L_ER``: raw evidence of both views.
        correlation: Weight of ``L_ECR``: refined evidence of one view, raw evidence of the other.
        low: Weight of the term that keeps refined evidence low where it is lowest, which makes a fixed background
            score fit; not in the paper, but in its code.
        hard_fraction: Share of the largest differences that ``L_ECR`` is the mean of.
        low_fraction: Share of the pixels that ``low`` is the mean over.
    """

    scale: float = 0.3
    equivariance: float = 1.0
    correlation: float = 1.0
    low: float = 1.0
    hard_fraction: float = 0.2
    low_fraction: float = 0.25

    def __post_init__(self) -> None:
        """Refuse shares outside of (0, 1] and negative weights."""
        section = "classifier.loss"
        check_settings(section, self, scale="in (0, 1)", hard_fraction="in (0, 1]", low_fraction="in (0, 1]")
        check_settings(section, self, equivariance=">= 0", correlation=">= 0", low=">= 0")


@dataclass(frozen=True)
class SeamConfig(ClassifierConfig):
    """SEAM's classifier and its training.

    Attributes:
        backbone: The feature extractor.
        convolutions: Of the plain classifier alone.
        dropout: Of whole feature channels before the linear layer.
        frozen: Train the linear layer and the correlation module alone.
        augment: Variation of the training images.
        fit: Optimisation.
        warn_below: Validation mAP (percent) under which activations are not to be trusted.
        accumulate: Of the plain classifier alone.
        accumulation: Of the plain classifier alone.
        attention_drop: Of the plain classifier alone.
        class_graph: Of the plain classifier alone.
        loss: What both views are wanted to agree on.
        published: Absent classes take part in the correlation module, too.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(output_stride=8))
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(6, batch_size=16, lr=0.01, norm_affine="frozen", frozen_levels=1)
    )
    dropout: float = 0.5
    frozen: bool = False
    loss: SeamLossConfig = field(default_factory=SeamLossConfig)
    published: bool = False

    def __post_init__(self) -> None:
        """Refuse what a classifier refuses, and accumulation."""
        super().__post_init__()
        self.class_graph.refuse("belongs to the plain classifier, and SEAM's has none")
        for name in ("accumulate", "convolutions"):
            if getattr(self, name):
                raise ConfigError(
                    f"classifier.{name}: belongs to the plain classifier, and SEAM's has none; leave it out, or use "
                    "another method"
                )
