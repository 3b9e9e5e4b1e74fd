"""Pixel graphs, and regions as nodes."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.backbone import EMBEDDED
from weakseg.settings.rules import check_settings

Norm = Literal["l1", "l2"]
EdgeRule = Literal["threshold", "helper"]
NodeFeatures = Literal["taps", "affinity", "both"]
EdgeFeatures = Literal["affinity", "taps"]


@dataclass(frozen=True)
class GraphConfig:
    """How a pixel graph is built.

    Attributes:
        radius_cells: Cells nearer than this are neighbours.
        beta: Sharpening exponent of the affinity.
        weighted: Boundary features are multiplied by their weight in the boundary logit.
        align_mirror: See ``weakseg.stages.boundary.find_boundary``.
    """

    radius_cells: float = 5.0
    beta: float = 10.0
    weighted: bool = True
    align_mirror: bool = False

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        check_settings("graph", self, radius_cells="> 1", beta="> 0")


@dataclass(frozen=True)
class WindowGraphConfig:
    """How a pixel graph is built of a window affinity network; its window is that of the network.

    Attributes:
        features: Node features: the ``taps`` of the backbone, as published, the ``affinity`` features, which learned
            what labels have in common, or ``both``, each normalised for itself.
        norm: ``l1``, as published, for taps that are not negative (ResNet); ``l2`` for all.
        edges: Whose distances are affinities: those of the ``affinity`` features, or of the ``taps`` (plain features, a
            control, which a network that is not trained has, too).
    """

    features: NodeFeatures = "taps"
    norm: Norm = "l2"
    edges: EdgeFeatures = "affinity"

    def __post_init__(self) -> None:
        """Refuse what does not exist, and sums of signed features."""
        check_settings("graph", self, features=get_args(NodeFeatures), norm=get_args(Norm))
        check_settings("graph", self, edges=get_args(EdgeFeatures))
        if self.features != "taps" and self.norm == "l1":
            raise ConfigError("graph.norm: affinity features are signed; use norm 'l2'")


@dataclass(frozen=True)
class FeaturesConfig:
    """Whose features a graph without training has: those of a network that is taken as it is.

    Attributes:
        name: Name of a backbone: the embedded one, a plain vision transformer of timm (DINOv2, DINOv3, CLIP), or any
            other that ``weakseg doctor --backbone NAME`` knows.
        file: PyTorch or safetensors file of its weights; empty: those that come with the installation for the embedded
            one, and timm's, downloaded or cached, for all others.
        enlarged: How much larger the network sees the image than the graph is made for, so that its cells are finer;
            2 takes four times the cells, and attention between them sixteen times the time.
    """

    name: str = EMBEDDED
    file: str = ""
    enlarged: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        check_settings("graph.features", self, enlarged="in [1, 8]")

    @property
    def outside(self) -> bool:
        """Whether they are other features than the embedded network's, so that runs keep them."""
        return self != FeaturesConfig()


@dataclass(frozen=True)
class FreeGraphConfig:
    """How a pixel graph is built with no training: from colours and the levels of a network that does not learn.

    Attributes:
        radius_cells: Cells nearer than this are neighbours.
        feature_weight: How fast affinity falls with the mean absolute difference of standardised features.
        sigma_rgb: Standard deviation of the colour kernel, on the scale 0..255.
        levels: How many of the network's levels count, from ``stride`` on; of a plain vision transformer the last ones.
        max_side: Larger images are reduced to this long side first; bounds time and memory.
        stride: Pixels a cell.
        features: The network.
    """

    radius_cells: float = 5.0
    feature_weight: float = 16.0
    sigma_rgb: float = 20.0
    levels: int = 3
    max_side: int = 512
    stride: int = 4
    features: FeaturesConfig = field(default_factory=FeaturesConfig)

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        check_settings("graph", self, radius_cells="> 1", feature_weight=">= 0", sigma_rgb="> 0")
        check_settings("graph", self, levels=">= 1", max_side=">= 32", stride=">= 1")
