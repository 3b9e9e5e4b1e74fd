"""The boundary network and its training."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.networks import Start, check_network
from weakseg.settings.rules import check_settings

PAD_MULTIPLE = 16


@dataclass(frozen=True)
class BoundaryConfig:
    """The boundary network and its training.

    Attributes:
        start: What the frozen backbone is: ``classifier`` (the trained one) or ``pretrained`` (``backbone``).
        backbone: The feature extractor for ``pretrained``.
        radius_cells: Pairs are nearer than this, in cells of four pixels.
        augment: Variation of the training images; the crop is also what images are padded to when it is applied.
        fit: Optimisation of the boundary branch; the displacement branch learns ten times as fast.
    """

    start: Start = "pretrained"
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    radius_cells: float = 10.0
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig((160, 480), 320))
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(epochs=4, batch_size=16, lr=0.1, head_lr_factor=1.0, momentum=0.0)
    )

    def __post_init__(self) -> None:
        """Refuse names that do not exist, a radius without pairs, and crops that are no whole cells."""
        check_network("boundary", self, PAD_MULTIPLE)
        check_settings("boundary", self, radius_cells="> 1")
        if self.fit.frozen_levels:
            raise ConfigError("boundary.fit.frozen_levels: the whole backbone stays as it is; leave it out")
