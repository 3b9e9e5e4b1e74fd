"""Settings of masks of one photograph."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from weakseg.data.annotations import Drawn
from weakseg.errors import ConfigError, DataError
from weakseg.methods.a2gnn.config import A2GNN_CRF, PRESETS, A2gnnConfig
from weakseg.methods.wsgcn.config import GcnConfig, PropagationConfig, SmoothnessConfig, WsgcnConfig
from weakseg.methods.wsgcn.recipe import wsgcn_masks
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.settings.click_odds import ClickOddsConfig
from weakseg.settings.corrections import CorrectionConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.rules import check_settings
from weakseg.settings.seed import SeedConfig
from weakseg.settings.weak_seeds import WeakSeedConfig

PhotographMethod = Literal["auto", "cam", "wsgcn", "a2gnn", "clicks"]
GRID_STRIDE = 8
QUICK_SEEDS = WeakSeedConfig(boxes=BoxSeedConfig(iterations=3, max_side=320), boxes_as="grabcut", strokes_as="walk")


def free_completion() -> WsgcnConfig:
    """Return how seeds are completed on a graph that was not learned: one step of propagation, colour counts."""
    gcn = GcnConfig(propagation=PropagationConfig("affinity", diagonal="twice"))
    return WsgcnConfig(gcn=gcn, smoothness=SmoothnessConfig(color_denominator=0.02))


def clicked_masks() -> DecodeConfig:
    """Return the CRF on scores of clicks: few updates, while somebody waits."""
    return DecodeConfig(replace(A2GNN_CRF, iterations=5), enlarged="logits", max_side=384)


def quick() -> A2gnnConfig:
    """Return the training for one photograph while somebody waits: a small network and few steps.

    Seeds of drawn labels are whole regions here, whatever the kind.
    """
    config = PRESETS["boxes"]
    return replace(config, first_steps=15, second_steps=15, network=replace(config.network, hidden=32))


@dataclass(frozen=True)
class DrawnOptions:
    """How drawn labels become a mask.

    Attributes:
        seeds: How each kind of label becomes seeds.
        graph: The pixel graph; its stride is 8.
        completion: The photograph's network.
        decode: The CRF on the scores.
        corrections: How strokes and clicks beside boxes change the mask that these make.
        clicks: For points alone: how they become scores without seeds and without a network.
        clicks_decode: The CRF on these.
        surroundings: In photographs that ``decode.tiles`` are for each box is segmented in a view of its own, wider by
            this share of its sides on each side; views that overlap are one. Not where regions are drawn, too, or views
            are more than half of the photograph. 0: in the whole photograph, reduced.
    """

    seeds: WeakSeedConfig = field(default_factory=lambda: QUICK_SEEDS)
    graph: FreeGraphConfig = field(default_factory=lambda: FreeGraphConfig(stride=GRID_STRIDE, max_side=320))
    completion: A2gnnConfig = field(default_factory=quick)
    decode: DecodeConfig = field(default_factory=lambda: DecodeConfig(A2GNN_CRF, enlarged="logits"))
    corrections: CorrectionConfig = field(default_factory=CorrectionConfig)
    clicks: ClickOddsConfig = field(default_factory=ClickOddsConfig)
    clicks_decode: DecodeConfig = field(default_factory=clicked_masks)
    surroundings: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what would have no effect."""
        check_settings("drawn", self, surroundings=">= 0")
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
            also knows that boxes are tight. ``clicks``: a regression on cues of each place, for points alone, with no
            training. ``auto``: ``clicks`` where points decide, ``a2gnn`` where boxes or scribbles do, else ``cam``.
        activations: Scales and size.
        seeds: Background and CRF.
        masks: For ``cam``: the CRF that decides every pixel.
        graph: For ``wsgcn``: the pixel graph.
        completion: For ``wsgcn``: the network of the image; its ``partial`` is not used, the seeds are;
            nor are its ``labels`` and ``decoded``: a photograph has those that it is marked with.
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


def method_for(method: PhotographMethod, drawn: Drawn) -> PhotographMethod:
    """Return the method of a photograph by what it is made from; nothing is drawn where tags are.

    Raises:
        DataError: If it is ``clicks``, and something else than points and strokes decides.
    """
    clicked = drawn.strongest in ("points", "scribbles") and not drawn.strokes
    if method == "clicks" and not clicked:
        kind = "painted pixels" if drawn.strokes else drawn.strongest
        raise DataError(f"method: 'clicks' is of points and strokes, and {kind} decide here; take another")
    usual: PhotographMethod = (
        "clicks" if drawn.strongest == "points" else "cam" if drawn.strongest == "tags" else "a2gnn"
    )
    return usual if method == "auto" else method


def group_options() -> SegmentOptions:
    """Return the defaults of photographs that are segmented together: what is heard raises the background, too."""
    return SegmentOptions(seeds=SeedConfig(strict=0.55, lenient=0.45))
