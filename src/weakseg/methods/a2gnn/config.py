"""How A2GNN's network of an image is trained, with the published values by kind of supervision."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
from weakseg.settings.graph_network import NetworkConfig
from weakseg.settings.rules import check_settings

PointScore = Literal["probability", "logit"]
Consistency = Literal["none", "published", "centred"]
Overruled = Literal["own", "all"]
Contested = Literal["kept", "dropped"]
Sampling = Literal["mean", "bilinear"]
RegionEdges = Literal["threshold", "helper", "distance"]
RegionSeeds = Literal["majority", "pixels"]


@dataclass(frozen=True)
class RegionConfig:
    """Superpixels, their edges and their labels.

    Attributes:
        num_regions: About how many; not published.
        compactness: Of SLIC.
        edges: Between superpixels that touch: ones by ``threshold`` or ``helper``, see
            ``weakseg.graph.region_graph.select_edges``, or as soft as those of cells, by the ``distance`` of features.
        least_affinity: For ``threshold``; 0 keeps all edges between superpixels that touch.
        seeds: The label of a superpixel is that of the ``majority`` of its seeds, as in GraphNet; or all ``pixels``
            that have a label count, as they do with cells.
        counted: For ``majority``: whether a superpixel counts as often as it has labelled pixels.
    """

    num_regions: int = 400
    compactness: float = 10.0
    edges: RegionEdges = "threshold"
    least_affinity: float = 0.0
    seeds: RegionSeeds = "majority"
    counted: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        check_settings("regions", self, num_regions=">= 1", compactness="> 0", least_affinity="in [0, 1]")
        check_settings("regions", self, edges=get_args(RegionEdges), seeds=get_args(RegionSeeds))
        if self.counted and self.seeds == "pixels":
            raise ConfigError("regions.counted: with seeds 'pixels' every pixel counts once; leave it out")


@dataclass(frozen=True)
class KernelConfig:
    """The kernel of the gated CRF loss.

    Attributes:
        radius_cells: Half the side of the window, the cell itself left out: 5 for 11 x 11.
        sigma_cells: Standard deviation of positions.
        sigma_rgb: Of colours that are normalised by the ImageNet mean and deviation: 0.1 is 5.7 grey levels.
        sampling: Colour of a cell: the ``mean`` over it, or ``bilinear`` without antialiasing, as in A2GNN's code.
    """

    radius_cells: int = 5
    sigma_cells: float = 6.0
    sigma_rgb: float = 0.1
    sampling: Sampling = "mean"

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        check_settings("kernel", self, radius_cells=">= 1", sigma_cells="> 0", sigma_rgb="> 0")
        check_settings("kernel", self, sampling=get_args(Sampling))


@dataclass(frozen=True)
class A2gnnConfig:
    """Network, losses and training; the defaults are those for boxes.

    Attributes:
        network: The network of an image.
        first_steps: Full-batch steps of Adam on seeds and boxes.
        second_steps: Further steps, with the CRF loss, and with the consistency check.
        lr: Learning rate.
        weight_decay: L2, added to the gradient.
        crf_weight: Of the gated CRF loss.
        points_weight: Of the loss of the points that are picked in boxes.
        point_score: What a point is the best of its row or column in: ``probability`` (the paper) or ``logit`` (its
            code) of the box's class.
        consistency: Which seeds a box's points overrule in the second phase: ``none``, ``published`` (cosine to their
            mean <= 0: never happens, features being >= 0), or ``centred`` (the same less the mean of the image).
        overruled: Which seeds in a box are overruled: those of its ``own`` class that its points disagree with (the
            code), or those and ``all`` of other labels (equation 28 as printed), which takes those of nested objects.
        contested: Whether points that boxes of two classes pick are ``kept`` or ``dropped``.
        least_evidence: Rows and columns of a box are left out whose best probability is below this share of the
            median of all; for objects that do not reach all sides of their box. 0 keeps all.
        restrict_to_tags: Whether the network knows no other labels than the background and the image's classes.
        background_outside_boxes: Whether, where boxes are given, scores of a class are zero away from its boxes: at
            nodes that no pixel of them looks at. ``stages.decode.keep_to_boxes`` does it for the pixels of a mask.
        kernel: Of the gated CRF loss.
        memory_mb: Bound on what the networks that are trained at once may take; an image that is over it goes alone.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    first_steps: int = 150
    second_steps: int = 150
    lr: float = 0.035
    weight_decay: float = 5e-4
    crf_weight: float = 0.01
    points_weight: float = 1.0
    point_score: PointScore = "probability"
    consistency: Consistency = "none"
    overruled: Overruled = "own"
    contested: Contested = "kept"
    least_evidence: float = 0.0
    restrict_to_tags: bool = True
    background_outside_boxes: bool = True
    kernel: KernelConfig = field(default_factory=KernelConfig)
    memory_mb: int = 4000

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        section = "completion"
        check_settings(section, self, first_steps=">= 0", second_steps=">= 0", lr="> 0", memory_mb=">= 1")
        check_settings(section, self, weight_decay=">= 0", crf_weight=">= 0", points_weight=">= 0")
        check_settings(section, self, least_evidence="in [0, 1]", point_score=get_args(PointScore))
        check_settings(section, self, consistency=get_args(Consistency), contested=get_args(Contested))
        check_settings(section, self, overruled=get_args(Overruled))
        if self.overruled == "all" and self.consistency == "none":
            raise ConfigError("completion.overruled: 'all' needs a consistency check; set consistency or leave it out")


_SPARSE = A2gnnConfig(first_steps=50, second_steps=50, lr=0.03, crf_weight=0.3)
A2GNN_CRF = CrfParams(gaussian_sigma_px=2.0)  # of its code, on scores
PRESETS = {"boxes": A2gnnConfig(), "scribbles": _SPARSE, "points": _SPARSE, "tags": _SPARSE}  # [zhang2021a2gnn], code
RADIUS_CELLS = {"boxes": 4, "scribbles": 4, "points": 3, "tags": 3}  # of the graph's square window; its code
GRAPHNET = replace(_SPARSE, network=NetworkConfig("gcn", adjacency="binary"), lr=0.01, crf_weight=0.0)


def fast(config: A2gnnConfig) -> A2gnnConfig:
    """Return the paper's own schedule, 50 and 50 steps, a third of what its code takes for boxes."""
    return replace(config, first_steps=50, second_steps=50)
