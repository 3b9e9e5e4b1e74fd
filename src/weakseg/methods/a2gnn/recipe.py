"""Recipe of A2GNN: boxes, points, scribbles or tags, each image by its strongest label."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.methods.a2gnn.config import A2GNN_CRF, A2gnnConfig, RegionConfig
from weakseg.methods.recipe import TagRecipe
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import FreeGraphConfig, WindowGraphConfig
from weakseg.settings.instances import Overlap
from weakseg.settings.rules import check_settings
from weakseg.settings.seam import SeamConfig
from weakseg.settings.seed import SeedConfig, psa_readings
from weakseg.settings.walk import GraphWalkConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.settings.window_affinity import WindowAffinityConfig

GraphFrom = Literal["affinity", "free"]
Nodes = Literal["cells", "superpixels"]
ActivationsOf = Literal["classifier", "seam"]
AffinitySeeds = Literal["seeds", "agreed", "fused", "confident"]
MasksFrom = Literal["network", "walk"]
Rule = tuple[str, bool, str]  # a setting, whether it is wrong, and what to do


@dataclass(frozen=True)
class A2gnnRecipe(TagRecipe):
    """Labels of any kind to seeds, an affinity network, a graph network for each image, masks and a segmenter.

    Attributes:
        with_activations: Whether a tag classifier's activations join in: tags and points need them, boxes are checked
            against them, scribbles, and points that ``seeds.strokes_as`` follows by a walk, can do without. Where
            nothing would look at them, they are refused.
        activations_of: Whose they are: the plain ``classifier``'s, or those of ``seam``'s, as published, with
            ``activations.normalize`` ``range``; with ``activations.from_folder`` neither is trained.
        seam: SEAM's classifier and its training.
        seeds: How each kind of label becomes seeds.
        affinity_seeds: What the affinity network learns from: the ``seeds``, and what confident activations say where
            no scribble does; of boxes those that are ``agreed`` (``M_g``) or ``fused`` (``M_F``); or the ``confident``
            part of activations alone (``M'_I``), whatever is drawn, as published for points.
        graph_from: Where the graph comes from: the trained ``affinity`` network, or ``free``: colours and ImageNet
            features, with no training.
        readings: For ``affinity.start`` ``affinity``: what the first affinity network learns from.
        first_affinity: That network, SEAM's, and its training.
        affinity: The window affinity network and its training.
        graph: Features of the nodes of its graph.
        free: The graph of ``free``.
        nodes: What the network labels: ``cells`` of 8 pixels, or GraphNet's ``superpixels``, which have the mean
            features of the same graph, and edges where they touch.
        regions: The superpixels, their edges and seeds.
        completion: The network of an image; its defaults are those for boxes.
        walk_weight: Weight of a random walk of the activations on the graph of cells, fused with the network's
            probabilities; the paper takes 3 for tags, and 0 otherwise.
        walk: That walk.
        masks_from: What masks are made of: the images' ``network``, or the ``walk`` alone, a control.
        masks: How masks are made of scores.
        within_boxes: Whether a class appears in its boxes alone, where boxes are drawn.
        instances: Whether masks are split by boxes into objects.
        overlap: Whose a pixel is that several boxes of its class hold.
    """

    method: str = "a2gnn"
    with_activations: bool = True
    activations_of: ActivationsOf = "classifier"
    seam: SeamConfig = field(default_factory=SeamConfig)
    seeds: WeakSeedConfig = field(default_factory=WeakSeedConfig)
    affinity_seeds: AffinitySeeds = "seeds"
    graph_from: GraphFrom = "affinity"
    readings: SeedConfig = field(default_factory=lambda: replace(psa_readings(), lenient=24.0))
    first_affinity: AffinityConfig = field(default_factory=AffinityConfig)
    affinity: WindowAffinityConfig = field(default_factory=WindowAffinityConfig)
    graph: WindowGraphConfig = field(default_factory=WindowGraphConfig)
    free: FreeGraphConfig = field(default_factory=lambda: FreeGraphConfig(stride=8))
    nodes: Nodes = "cells"
    regions: RegionConfig = field(default_factory=RegionConfig)
    completion: A2gnnConfig = field(default_factory=A2gnnConfig)
    walk_weight: float = 0.0
    walk: GraphWalkConfig = field(default_factory=GraphWalkConfig)
    masks_from: MasksFrom = "network"
    masks: DecodeConfig = field(default_factory=lambda: DecodeConfig(A2GNN_CRF, enlarged="logits"))
    within_boxes: bool = True
    instances: bool = False
    overlap: Overlap = "shared"

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, and settings that would have no effect."""
        super().__post_init__()
        check_settings("", self, graph_from=get_args(GraphFrom), nodes=get_args(Nodes), overlap=get_args(Overlap))
        check_settings("", self, walk_weight=">= 0", activations_of=get_args(ActivationsOf))
        check_settings("", self, affinity_seeds=get_args(AffinitySeeds), masks_from=get_args(MasksFrom))
        if self.free.stride != 8:
            raise ConfigError(f"free.stride: the nodes of A2GNN are cells of 8 pixels, got {self.free.stride}")
        for name, wrong, wanted in (*self._of_activations(), *self._of_affinity(), *self._of_walk(), *self._of_nodes()):
            if wrong:
                raise ConfigError(f"{name}: {wanted}")

    @property
    def reads_saliency(self) -> bool:
        """Whether what tags say is read off saliency maps, too."""
        return self.with_activations and self.seeds.reads_saliency

    def _of_activations(self) -> Iterator[Rule]:
        """Yield what needs activations."""
        without = not self.with_activations
        start, learned = self.affinity.start, self.graph_from == "affinity"
        for name in ("walk_weight", "activations_of", "affinity_seeds", "masks_from"):
            value, default = getattr(self, name), getattr(type(self), name)
            yield name, without and value != default, f"needs with_activations, got {value!r}; leave it out"
        wanted = "without activations (with_activations: false) only 'pretrained' or 'file' works"
        yield "affinity.start", without and learned and start in ("classifier", "affinity"), wanted

    def _of_affinity(self) -> Iterator[Rule]:
        """Yield what concerns the affinity network and its seeds."""
        learned, own = self.graph_from == "affinity" and self.affinity.trained, self.affinity_seeds
        yield "affinity_seeds", own != "seeds" and not learned, "no affinity network is trained; leave it out"
        boxed = own in ("seeds", "confident") or self.seeds.use in ("strongest", "boxes")
        yield "affinity_seeds", not boxed, f"{own!r} is of boxes, and seeds.use is {self.seeds.use!r}; leave it out"
        plain = (self.graph.edges, self.graph.features) == ("taps", "taps")
        untrained = self.affinity.start in ("classifier", "pretrained") and not self.affinity.trained
        wanted = "an affinity network that starts without a head has to learn one; set graph.edges: taps, or train it"
        yield "affinity.trained", self.graph_from == "affinity" and untrained and not plain, wanted

    def _of_walk(self) -> Iterator[Rule]:
        """Yield what concerns the walk."""
        alone = self.masks_from == "walk"
        yield "masks_from", alone and self.graph_from == "free", "a walk needs learned affinities; leave it out"
        yield "walk_weight", alone and self.walk_weight > 0, "masks are made of the walk alone; leave it out"
        yield "nodes", alone and self.nodes != "cells", "a walk is on cells; leave it out"
        fused = self.walk.fused != "cells" and not self.walk_weight
        yield "walk.fused", fused, "nothing is fused without a walk_weight; set one or leave it out"

    def _of_nodes(self) -> Iterator[Rule]:
        """Yield what superpixels have not."""
        if self.nodes == "superpixels":
            trained, pixels = self.completion, self.regions.seeds == "pixels"
            cells = self.walk_weight > 0 and self.walk.fused == "cells"
            yield "walk.fused", cells, "superpixels are no cells; write 'pixels'"
            checked = trained.consistency != "none" and not pixels
            yield "completion.consistency", checked, "seeds of superpixels lie in no box; set regions.seeds: pixels"
            sampled = trained.crf_weight > 0 and trained.kernel.sampling != "mean"
            yield "completion.kernel.sampling", sampled, "superpixels have their mean colours; write 'mean'"
