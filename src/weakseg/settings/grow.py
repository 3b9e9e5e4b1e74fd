"""How labels grow from seeds while a segmenter learns from them."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.rules import Rule, SettingError, check_settings, spoken
from weakseg.settings.segment import SegmenterTrainingConfig

GrowthKind = Literal["cut", "regions", "propagation", "none"]
Confidence = Literal["softmax", "crf"]
FeatureNorm = Literal["per_stage", "none", "global"]
TerminalLinks = Literal["energy", "as_printed"]
Unary = Literal["logprob", "prob"]

ON_GRAPH, GROWING = ("cut", "propagation"), ("cut", "regions", "propagation")
_USED_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("threshold", "background_threshold", "confidence"), GROWING),
    **dict.fromkeys(("neighbors", "feature_norm", "position_weight"), ON_GRAPH),
    **dict.fromkeys(("link_weight", "tlinks"), ("cut",)),
}
_PUBLISHED: dict[str, Any] = {"threshold": 0.7, "background_threshold": 1.0, "confidence": "softmax"}
_OF_REGIONS: dict[str, Any] = {"threshold": 0.85, "background_threshold": 0.99, "confidence": "crf"}


@dataclass(frozen=True)
class GrowthConfig:
    """How the labels of an image grow from its seeds.

    Attributes:
        kind: ``cut`` (DGCN: a minimum cut for each class on the graph of nearest neighbours), ``regions`` (DSRG:
            connected regions of confident cells that hold a seed), ``propagation`` (the label that random walks on the
            graph of ``cut`` meet first) or ``none`` (the seeds alone).
        threshold: A cell that is no seed gets a class only if its confidence in it is above this, in [0, 1]; ``null``:
            as published, 0.85 of ``regions``, else 0.7.
        background_threshold: The same for the background; 1: only seeds are background; ``null``: as published, 0.99
            of ``regions``, else 1.
        confidence: ``softmax`` (the network's probabilities) or ``crf`` (after the CRF of the boundary loss), which
            minimum cuts are made with, too; ``null``: as published, ``crf`` of ``regions``, else ``softmax``.
        neighbors: Nearest neighbours of each cell in the graph (the paper's K).
        feature_norm: What of a cell's features has length one before distances are taken: those of each stage of the
            backbone (``per_stage``), all together (``global``), or ``none``.
        position_weight: Of the cell's place, as a share of the longer side, among its features.
        link_weight: Price of a cut between two neighbours (C0), beside ``-log`` of probabilities.
        tlinks: ``energy``, or ``as_printed``: the paper's table, which has two entries exchanged and labels falsely;
            for audits.
    """

    kind: GrowthKind = "cut"
    threshold: float | None = None
    background_threshold: float | None = None
    confidence: Confidence | None = None
    neighbors: int = 9
    feature_norm: FeatureNorm = "per_stage"
    position_weight: float = 0.0
    link_weight: float = 0.5
    tlinks: TerminalLinks = "energy"

    def __post_init__(self) -> None:
        """Refuse values out of range, and settings of another kind of growth."""
        check_settings("growth", self, kind=get_args(GrowthKind), neighbors=">= 1", feature_norm=get_args(FeatureNorm))
        check_settings("growth", self, position_weight=">= 0", link_weight=">= 0", tlinks=get_args(TerminalLinks))
        given: dict[str, Rule] = {
            "threshold": "in [0, 1]",
            "background_threshold": "in [0, 1]",
            "confidence": get_args(Confidence),
        }
        check_settings(
            "growth", self, **{name: rule for name, rule in given.items() if getattr(self, name) is not None}
        )
        for name, kinds in _USED_BY.items():
            value = getattr(self, name)
            if self.kind not in kinds and value != getattr(type(self), name):
                wanted = f"belongs to kind {spoken(kinds) if len(kinds) > 1 else repr(kinds[0])}"
                raise SettingError("growth", name, value, f"{wanted}, and the kind is {self.kind!r}; leave it out")

    @property
    def completed(self) -> "GrowthConfig":
        """The same with what is published in the place of ``null``; nothing where labels do not grow."""
        if self.kind not in GROWING:
            return self
        published = _OF_REGIONS if self.kind == "regions" else _PUBLISHED
        return replace(self, **{name: value for name, value in published.items() if getattr(self, name) is None})

    @property
    def on_graph(self) -> bool:
        """Whether labels grow on the graph of nearest neighbours."""
        return self.kind in ON_GRAPH


@dataclass(frozen=True)
class BoundaryConfig:
    """The loss that pulls probabilities of cells to what a CRF makes of them.

    Attributes:
        weight: Of the loss, beside that of the labels; 0: none.
        unary: What the CRF starts from: ``logprob`` (minus the logarithm of probabilities) or ``prob`` (minus the
            probabilities, as the code of DSRG has it: the surroundings of a cell decide nearly alone).
        crf: On the image at the size of the logits; widths are in cells.
    """

    weight: float = 1.0
    unary: Unary = "logprob"
    crf: CrfParams = field(default_factory=lambda: CrfParams(10, 3 / 12, 3.0, 80 / 12, 13.0, 10.0))

    def __post_init__(self) -> None:
        """Refuse a negative weight, and a unary that does not exist."""
        check_settings("boundary", self, weight=">= 0", unary=get_args(Unary))


@dataclass(frozen=True)
class SeededConfig(SegmenterTrainingConfig):
    """A segmenter that learns from seeds, and from what grows from them.

    Attributes:
        boundary: The loss beside that of the labels.
    """

    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(long_side=None, warp=True))
    boundary: BoundaryConfig = field(default_factory=BoundaryConfig)


def check_boundary(boundary: BoundaryConfig, growth: GrowthConfig) -> None:
    """Refuse settings of a CRF that nothing uses.

    Raises:
        ConfigError: Without boundary loss, where labels do not grow by what the CRF refines either.
    """
    if boundary.weight or growth.completed.confidence == "crf":
        return
    for entry in fields(BoundaryConfig):
        if entry.name != "weight" and getattr(boundary, entry.name) != getattr(BoundaryConfig(), entry.name):
            raise ConfigError(
                f"boundary.{entry.name}: with weight 0 the CRF refines nothing, unless growth.confidence is 'crf'; "
                "leave it out"
            )
