"""The affinity network and its training."""

from dataclasses import dataclass, field

from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.networks import Start, check_network
from weakseg.settings.rules import check_settings

GRID_STRIDE = 8


@dataclass(frozen=True)
class AffinityConfig:
    """The affinity network and its training.

    Attributes:
        start: What the backbone starts from: ``classifier`` (the trained one) or ``pretrained`` (``backbone``).
        backbone: The feature extractor for ``pretrained``.
        norms: Group norms behind the reduced levels, as published for VGG16, where nothing else normalizes.
        radius_cells: Pairs are nearer than this, in cells of eight pixels.
        augment: Variation of the training images; AffinityNet's authors do not rescale.
        fit: Optimisation of backbone and head.
    """

    start: Start = "pretrained"
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    norms: bool = False
    radius_cells: float = 5.0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            epochs=6, batch_size=8, optimizer="adamw", lr=1e-4, head_lr_factor=10.0, frozen_levels=1
        )
    )

    def __post_init__(self) -> None:
        """Refuse names that do not exist, a radius without pairs, and crops that are no whole cells."""
        check_network("affinity", self, GRID_STRIDE)
        check_settings("affinity", self, radius_cells="> 1")
