"""Settings of masks of one photograph."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.methods.a2gnn.config import A2GNN_CRF, PRESETS, A2gnnConfig
from weakseg.methods.wsgcn.config import GcnConfig, PropagationConfig, SmoothnessConfig, WsgcnConfig
from weakseg.methods.wsgcn.recipe import wsgcn_masks
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.rules import check_settings
from weakseg.settings.seed import SeedConfig
from weakseg.settings.weak_seeds import WeakSeedConfig

PhotographMethod = Literal["auto", "cam", "wsgcn", "a2gnn"]
GRID_STRIDE = 8
QUICK_SEEDS = WeakSeedConfig(boxes=BoxSeedConfig(iterations=3), boxes_as="grabcut")


def free_completion() -> WsgcnConfig:
    """Return how seeds are completed on a graph that was not learned: one step of propagation, colour counts."""
    gcn = GcnConfig(propagation=PropagationConfig("affinity"))
    return WsgcnConfig(gcn=gcn, smoothness=SmoothnessConfig(color_denominator=0.02))


def quick(kind: str) -> A2gnnConfig:
    """Return the training of a kind of label for one photograph while somebody waits: a small network, few steps.

    Seeds of boxes are whole regions, from which it learns in half the steps that strokes need.
    """
    config, steps = PRESETS[kind], 15 if kind == "boxes" else 30
    return replace(config, first_steps=steps, second_steps=steps, network=replace(config.network, hidden=32))


@dataclass(frozen=True)
class DrawnOptions:
    """How drawn labels become a mask.

    Attributes:
        seeds: How each kind of label becomes seeds.
        boxes_graph: The pixel graph where boxes are drawn; its stride is 8.
        strokes_graph: The same for scribbles, points and tags, of the finest level alone: over coarser ones labels run
            across edges where no other stroke is near. A smaller ``max_side`` would lose strokes.
        boxes: The photograph's network where boxes are drawn.
        strokes: The same for scribbles, points and tags.
        decode: The CRF on the scores.
    """

    seeds: WeakSeedConfig = field(default_factory=lambda: QUICK_SEEDS)
    boxes_graph: FreeGraphConfig = field(default_factory=lambda: FreeGraphConfig(stride=GRID_STRIDE, max_side=320))
    strokes_graph: FreeGraphConfig = field(default_factory=lambda: FreeGraphConfig(stride=GRID_STRIDE, levels=1))
    boxes: A2gnnConfig = field(default_factory=lambda: quick("boxes"))
    strokes: A2gnnConfig = field(default_factory=lambda: quick("scribbles"))
    decode: DecodeConfig = field(default_factory=lambda: DecodeConfig(A2GNN_CRF, enlarged="logits"))

    def __post_init__(self) -> None:
        """Refuse what would have no effect."""
        if self.seeds.use != "strongest":
            raise ConfigError(
                f"drawn.seeds.use: on one photograph the strongest label counts, got {self.seeds.use!r}; draw the "
                "labels alone that should count"
            )


@dataclass(frozen=True)
class SegmentOptions:
    """How one photograph is segmented.

    Attributes:
        method: ``cam``: a dense CRF decides what the seeds leave open. ``wsgcn``: a small graph network, trained on the
            seeds of this photograph alone, does, on a graph of colours and ImageNet features. ``a2gnn``: another, which
            also knows that boxes are tight. ``auto``: ``a2gnn`` where something is drawn, else ``cam``.
        activations: Scales and size.
        seeds: Background and CRF.
        masks: For ``cam``: the CRF that decides every pixel.
        graph: For ``wsgcn``: the pixel graph.
        completion: For ``wsgcn``: the network of the image; its ``partial`` is not used, the seeds are.
        decode: For ``wsgcn``: the CRF on the completed scores.
        drawn: For boxes, points and scribbles: how they become seeds, and how these are completed.
    """

    method: PhotographMethod = "auto"
    activations: ActivateConfig = field(default_factory=ActivateConfig)
    seeds: SeedConfig = field(default_factory=SeedConfig)
    masks: RefineConfig = field(default_factory=RefineConfig)
    graph: FreeGraphConfig = field(default_factory=FreeGraphConfig)
    completion: WsgcnConfig = field(default_factory=free_completion)
    decode: DecodeConfig = field(default_factory=wsgcn_masks)
    drawn: DrawnOptions = field(default_factory=DrawnOptions)

    def __post_init__(self) -> None:
        """Refuse a method that does not exist."""
        check_settings("", self, method=get_args(PhotographMethod))
