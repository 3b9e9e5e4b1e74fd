"""Recipe of A2GNN: boxes, points, scribbles or tags, each image by its strongest label."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.methods.a2gnn.config import A2GNN_CRF, A2gnnConfig, RegionConfig
from weakseg.methods.recipe import TagRecipe
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import FreeGraphConfig, WindowGraphConfig
from weakseg.settings.instances import Overlap
from weakseg.settings.rules import check_settings
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.settings.window_affinity import WindowAffinityConfig

GraphFrom = Literal["affinity", "free"]
Nodes = Literal["cells", "superpixels"]


@dataclass(frozen=True)
class A2gnnRecipe(TagRecipe):
    """Labels of any kind to seeds, an affinity network, a graph network for each image, masks and a segmenter.

    Attributes:
        with_activations: Whether a tag classifier's activations join in: tags and points need them, boxes are checked
            against them, scribbles, and points that ``seeds.strokes_as`` follows by a walk, can do without. Where
            nothing would look at them, they are refused.
        seeds: How each kind of label becomes seeds.
        graph_from: Where the graph comes from: the trained ``affinity`` network, or ``free``: colours and ImageNet
            features, with no training.
        affinity: The window affinity network and its training.
        graph: Features of the nodes of its graph.
        free: The graph of ``free``.
        nodes: What the network labels: ``cells`` of 8 pixels, or GraphNet's ``superpixels``, which have the mean
            features of the same graph, and edges where they touch.
        regions: The superpixels, their edges and seeds.
        completion: The network of an image; its defaults are those for boxes.
        walk_weight: Weight of a random walk of the activations on the same graph, fused with the network's
            probabilities; the paper takes 3 for tags, and 0 otherwise.
        masks: How masks are made of scores.
        within_boxes: Whether a class appears in its boxes alone, where boxes are drawn.
        instances: Whether masks are split by boxes into objects.
        overlap: Whose a pixel is that several boxes of its class hold.
    """

    method: str = "a2gnn"
    with_activations: bool = True
    seeds: WeakSeedConfig = field(default_factory=WeakSeedConfig)
    graph_from: GraphFrom = "affinity"
    affinity: WindowAffinityConfig = field(default_factory=WindowAffinityConfig)
    graph: WindowGraphConfig = field(default_factory=WindowGraphConfig)
    free: FreeGraphConfig = field(default_factory=lambda: FreeGraphConfig(stride=8))
    nodes: Nodes = "cells"
    regions: RegionConfig = field(default_factory=RegionConfig)
    completion: A2gnnConfig = field(default_factory=A2gnnConfig)
    walk_weight: float = 0.0
    masks: DecodeConfig = field(default_factory=lambda: DecodeConfig(A2GNN_CRF, enlarged="logits"))
    within_boxes: bool = True
    instances: bool = False
    overlap: Overlap = "shared"

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        check_settings("", self, graph_from=get_args(GraphFrom), nodes=get_args(Nodes), overlap=get_args(Overlap))
        check_settings("", self, walk_weight=">= 0")
        if self.nodes == "superpixels" and (self.walk_weight or self.completion.needs_cells):
            raise ConfigError(
                "nodes: walk_weight, completion.crf_weight and completion.consistency need cells; set them to 0, 0 and "
                "none for superpixels"
            )
        if self.free.stride != 8:
            raise ConfigError(f"free.stride: the nodes of A2GNN are cells of 8 pixels, got {self.free.stride}")
        if self.walk_weight and not self.with_activations:
            raise ConfigError(f"walk_weight: the walk needs with_activations, got {self.walk_weight}; set it to 0")
        if self.affinity.start == "classifier" and not self.with_activations and self.graph_from == "affinity":
            raise ConfigError("affinity.start: without a classifier (with_activations: false) only 'pretrained' works")
