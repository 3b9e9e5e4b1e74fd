"""The window affinity network, its losses and its training."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.affinity import GRID_STRIDE
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.networks import check_network
from weakseg.settings.rules import check_settings

Align = Literal["cells", "edges"]
Colors = Literal["point", "mean"]
Window = Literal["square", "disc"]
WindowStart = Literal["classifier", "pretrained", "affinity", "file"]


@dataclass(frozen=True)
class WindowConfig:
    """The network.

    Attributes:
        radius_cells: The window reaches this many cells of eight pixels.
        widths: Channels that the last levels of the backbone are reduced to, the finest first; as many levels are used.
        align: ``cells``: levels are put where the cells of the network lie; ``edges``: stretched over the image, as
            published, for levels of stride 8 as they are.
        window: It reaches so far along both axes (``square``, A2GNN's code) or all around (``disc``, its paper).
    """

    radius_cells: int = 4
    widths: tuple[int, ...] = (64, 128, 256)
    align: Align = "cells"
    window: Window = "square"

    def __post_init__(self) -> None:
        """Refuse empty windows, levels without channels, and words that do not exist."""
        check_settings("affinity.network", self, radius_cells="in [1, 64]", widths="in [1, 4096]")
        check_settings("affinity.network", self, align=get_args(Align), window=get_args(Window))


KIND = "window-affinity"


@dataclass(frozen=True)
class PairLossConfig:
    """What the network is trained for: ``L_Ac + similarity L_Ar``.

    Attributes:
        similarity: Weight of ``L_Ar``, which wants cells that look alike to have features alike; 0: without.
        sigma_cells: Standard deviation of its kernel in position, in cells.
        sigma_color: The same in colour, in deviations of ImageNet's colours: 0.1 is 5.7 of 255 grey levels.
        colors: How colours of cells are taken: ``point`` as published, or the ``mean`` over the cell.
        own_pairs: Count each cell and itself, whose affinity is 1, among the pairs of equal label, as published.
    """

    similarity: float = 3.0
    sigma_cells: float = 6.0
    sigma_color: float = 0.1
    colors: Colors = "point"
    own_pairs: bool = True

    def __post_init__(self) -> None:
        """Refuse kernels without width, negative weights, and words that do not exist."""
        check_settings("affinity.loss", self, similarity=">= 0", sigma_cells="> 0", sigma_color="> 0")
        check_settings("affinity.loss", self, colors=get_args(Colors))


@dataclass(frozen=True)
class WindowAffinityConfig:
    """The window affinity network and its training.

    Attributes:
        start: What it starts from: the backbone of the ``classifier``, a ``pretrained`` one (``backbone``), or backbone
            and head of a trained affinity network: that of a plan that trains one first (``affinity``), or a ``file``.
        backbone: The feature extractor for ``pretrained``.
        file: For ``file``: a model file of an affinity network, plain or of windows, with the same widths.
        trained: Whether it is trained at all, or taken as it starts.
        network: Window and widths.
        loss: What the network is trained for.
        augment: Variation of the training images; A2GNN does not rescale.
        fit: Optimisation of backbone and head.
    """

    start: WindowStart = "pretrained"
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    file: str = ""
    trained: bool = True
    network: WindowConfig = field(default_factory=lambda: WindowConfig(widths=(32, 64, 128)))
    loss: PairLossConfig = field(default_factory=PairLossConfig)
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(None, 256, jitter=0.3, hue=0.1))
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            3, batch_size=8, optimizer="adamw", lr=2e-4, head_lr_factor=10.0, norm_affine="frozen", frozen_levels=1
        )
    )

    def __post_init__(self) -> None:
        """Refuse starts that do not exist, a file without its start, and crops that are no whole cells."""
        check_network("affinity", self, GRID_STRIDE, starts=get_args(WindowStart))
        if (self.start == "file") != bool(self.file):
            raise ConfigError(f"affinity: start 'file' and a file go together, got {self.start!r} and {self.file!r}")
