"""How WSGCN makes partial labels, and completes them by a network of an image."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
from weakseg.settings.rules import check_settings

WSGCN_SEEDS = CrfParams(10, 4.0, 3.0, 20.0, 3.0, 10.0)  # on a quarter of the image side; unary of scores
PropagationKind = Literal["walk", "walk_maxsym", "affinity", "affinity_plain"]
Diagonal = Literal["once", "twice"]
Reduced = Literal["lanczos", "bilinear"]
Which = Literal["tagged", "all"]


@dataclass(frozen=True)
class PropagationConfig:
    """Which propagation matrix.

    Attributes:
        kind: ``walk``: ``(I + R^t) / 2``, R the transition matrix of the affinity A, never formed. ``walk_maxsym``:
            rows of ``max(G, G^T) + I`` normalised, ``G = (R^t)^T``, as in the official code; dense. ``affinity``: rows
            of ``A + I`` normalised, A without its diagonal. ``affinity_plain``: ``A + I``, the paper's formula.
        walk_steps: t.
        walk_error: Largest error of the walk, see ``weakseg.ops.walk.walk``; 0 takes all steps.
        max_nodes: Nodes of an image up to which a dense matrix is formed.
        diagonal: How often the ones on the diagonal count that A has already, in ``affinity`` and ``affinity_plain``:
            ``once`` (no more are added) or ``twice`` (I is added to them). Walks never count them twice.
    """

    kind: PropagationKind = "walk"
    walk_steps: int = 256
    walk_error: float = 1e-3
    max_nodes: int = 20_000
    diagonal: Diagonal = "once"

    def __post_init__(self) -> None:
        """Refuse what does not exist, or has no effect."""
        check_settings("propagation", self, kind=get_args(PropagationKind), walk_steps=">= 0", walk_error="in [0, 1)")
        check_settings("propagation", self, max_nodes=">= 1", diagonal=get_args(Diagonal))
        if self.diagonal == "twice" and self.kind.startswith("walk"):
            raise ConfigError(
                f"propagation.diagonal: 'twice' is for kinds 'affinity' and 'affinity_plain', got {self.kind!r}; walks "
                "count it once"
            )


SMOOTHED = ("log_probs", "probs")


@dataclass(frozen=True)
class GcnConfig:
    """The network of an image, its losses and its training.

    Attributes:
        propagation: The propagation matrix.
        hidden: Hidden units.
        biases: Whether both layers add one after the propagation (the code), or none does (the paper).
        dropout: Of hidden units, in training.
        steps: Full-batch steps of Adam.
        lr: Learning rate.
        weight_decay: L2 decay, on biases too.
        entropy: Weight of the mean entropy of unlabelled nodes, nats; 10 / 21 is WSGCN's 10 on a mean over 21 classes.
        laplacian: Weight of the smoothness, divided by the nodes.
        smoothed: What is smooth: ``log_probs`` (the code) or ``probs`` (the paper; wants a larger weight).
    """

    propagation: PropagationConfig = field(default_factory=PropagationConfig)
    hidden: int = 16
    biases: bool = True
    dropout: float = 0.3
    steps: int = 250
    lr: float = 0.01
    weight_decay: float = 5e-4
    entropy: float = 10 / 21
    laplacian: float = 0.01
    smoothed: Literal["log_probs", "probs"] = "log_probs"

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        check_settings("gcn", self, hidden=">= 1", steps=">= 0", dropout="in [0, 0.99]", lr="> 0")
        check_settings("gcn", self, weight_decay=">= 0", entropy=">= 0", laplacian=">= 0", smoothed=SMOOTHED)


@dataclass(frozen=True)
class PartialConfig:
    """How partial labels are read off activations.

    Attributes:
        strict: Exponent of the background score of the run whose foreground counts.
        lenient: Exponent of the run whose background counts; also used to rank activations.
        crf: The CRF of both runs, on the grid.
        kept: Fraction of a class's strongest cells that may be labelled.
        floor: Activations up to this are not ranked.
        confidence: CRF probability from which a cell may be labelled, and background score from which background may.
        min_seeds: Cells that a class gets at least: where the rules leave fewer, its strongest ones are taken.
        reduced: How the image is reduced to the grid for the CRF, see ``SmoothnessConfig``.
    """

    strict: float = 4.0
    lenient: float = 32.0
    crf: CrfParams = WSGCN_SEEDS
    kept: float = 0.3
    floor: float = 0.1
    confidence: float = 0.8
    min_seeds: int = 0
    reduced: Reduced = "lanczos"

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        check_settings("partial", self, strict="> 0", kept="in [0, 1]", floor="in [0, 1)", confidence="in (0, 1]")
        check_settings("partial", self, min_seeds=">= 0", reduced=get_args(Reduced))
        if not self.strict <= self.lenient:
            raise ConfigError(f"partial: need strict <= lenient, got {self.strict} and {self.lenient}")


@dataclass(frozen=True)
class SmoothnessConfig:
    """Which cells should have equal labels.

    Attributes:
        source: ``color`` (colour and position in a window) or ``affinity`` (that of the graph, for comparison).
        window_cells: Half the side of the window, the cell itself left out: 2 for 5 x 5.
        color_denominator: Of squared colour differences, colours in [0, 1]. At the published 12 colour hardly counts:
            black and white differ by a factor of 0.78.
        position_denominator: Of squared distances in cells.
        reduced: How the image is reduced to the grid: by ``lanczos`` (the code) or ``bilinear`` (the paper), both with
            antialiasing.
    """

    source: Literal["color", "affinity"] = "color"
    window_cells: int = 2
    color_denominator: float = 12.0
    position_denominator: float = 20.0
    reduced: Reduced = "lanczos"

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        check_settings("smoothness", self, source=("color", "affinity"), window_cells=">= 1")
        check_settings("smoothness", self, reduced=get_args(Reduced))
        check_settings("smoothness", self, color_denominator="> 0", position_denominator="> 0")


@dataclass(frozen=True)
class WsgcnConfig:
    """How partial labels become complete ones.

    Attributes:
        partial: Partial labels.
        gcn: Network and training.
        smoothness: Which cells should have equal labels.
        labels: What a network's outputs are: ``tagged`` (background and the image's classes) or ``all`` (every class of
            the data, as in the code).
        decoded: Whose scores are kept of ``all`` outputs, before the softmax and the CRF of the masks: ``tagged``
            (background and the image's classes, as in the code) or ``all``, so that a class without a tag can win.
        memory_mb: Bound on what the networks that are trained at once may take; an image that is over it goes alone.
    """

    partial: PartialConfig = field(default_factory=PartialConfig)
    gcn: GcnConfig = field(default_factory=GcnConfig)
    smoothness: SmoothnessConfig = field(default_factory=SmoothnessConfig)
    labels: Which = "tagged"
    decoded: Which = "tagged"
    memory_mb: int = 4000

    def __post_init__(self) -> None:
        """Refuse what does not exist, or contradicts itself."""
        check_settings("completion", self, labels=get_args(Which), decoded=get_args(Which), memory_mb=">= 1")
        if self.labels == "tagged" and self.decoded == "all":
            raise ConfigError("completion.decoded: 'all' needs labels 'all'; with labels 'tagged' there are no others")
