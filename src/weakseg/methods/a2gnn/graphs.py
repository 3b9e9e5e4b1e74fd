"""The graph of an image, and the walk of its activations on it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, PixelGraph, Scores
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.feature_maps import FeatureMaps
from weakseg.nn.weights import MODEL_FILE
from weakseg.ops.resample import scaled_size
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.affinity import GRID_STRIDE
from weakseg.settings.graph import FreeGraphConfig, WindowGraphConfig
from weakseg.settings.walk import GraphWalkConfig
from weakseg.stages.build_graph import free_graph, window_graph
from weakseg.stages.walk import start_scores, walk_on_graph
from weakseg.stages.window_affinity import load_window_affinity
from weakseg.steps.base import cached, over_images
from weakseg.steps.features import FEATURES, kept_of

GraphSettings = WindowGraphConfig | FreeGraphConfig


@dataclass(frozen=True)
class GraphSource:
    """What the graphs of a run's images are made of.

    Attributes:
        config: Which graph.
        model: Of the affinity network, for a window graph.
        features: Folder of the features of a free graph; ``None``: they are the embedded network's, made when needed.
    """

    config: GraphSettings
    model: Path | None = None
    features: Path | None = None

    @classmethod
    def of(cls, config: GraphSettings, context: StepContext) -> "GraphSource":
        """Return what a step takes that has the needs of ``graph_needs``."""
        model = context.inputs["affinity"] / MODEL_FILE if isinstance(config, WindowGraphConfig) else None
        return cls(config, model, context.inputs.get(FEATURES))

    def graph(self, image: NDArray[np.uint8], image_id: str, device: str, *, normalized: bool = True) -> PixelGraph:
        """Return the graph of an image.

        Args:
            image: ``(H, W, 3)`` uint8; for a free graph it is reduced.
            image_id: Its id.
            device: Where the network runs.
            normalized: Whether features of the nodes of a window graph are divided by their norm.
        """
        if isinstance(self.config, FreeGraphConfig):
            path = kept_of(self.features, image_id)
            return free_graph(image, self.config, maps=FeatureMaps.load(path) if path else None)
        assert self.model is not None
        network = cached(load_window_affinity, self.model, device)
        return window_graph(network, image, self.config, normalized=normalized)


def graph_needs(config: GraphSettings) -> dict[str, Kind]:
    """Return the steps that graphs are made of."""
    if isinstance(config, WindowGraphConfig):
        return {"affinity": Kind.MODEL}
    return {FEATURES: Kind.FEATURES} if config.features.outside else {}


@dataclass(frozen=True)
class GraphWalkJob(ImageJob):
    """Image and activations to scores that have walked on the image's graph."""

    activations: Path
    out: Path
    source: GraphSource
    walk: GraphWalkConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.SCORES.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the scores."""
        image = sample.load_image()
        size = working = (image.shape[0], image.shape[1])
        if isinstance(self.source.config, FreeGraphConfig):
            working = scaled_size(size, 1.0, max_side=self.source.config.max_side)
        activations = replace(Activations.load(self.activations / f"{sample.id}.safetensors"), image_size=working)
        if activations.class_ids:
            walked = walk_on_graph(activations, self.source.graph(image, sample.id, self.device), self.walk)
        else:  # all is background on any graph
            walked = Scores(start_scores(activations, self.walk.background_power), (0,), working, GRID_STRIDE)
        walked.of_photograph(size).save(self.output(sample.id))


def graph_walk_step(dataset: Dataset, graph: GraphSettings, walk: GraphWalkConfig) -> Step:
    """Let background and activations walk on the graphs that the images' networks have."""

    def make(context: StepContext) -> GraphWalkJob:
        source = GraphSource.of(graph, context)
        return GraphWalkJob(context.inputs["activations"], context.folder, source, walk, context.device)

    settings = asdict(walk)
    settings.pop("fused")
    needs = {"activations": Kind.ACTIVATIONS, **graph_needs(graph)}
    work = over_images(GraphWalkJob, make, dataset.splits[TRAIN], source=("activations", Kind.ACTIVATIONS))
    return Step("walk", Kind.SCORES, needs, {"graph": asdict(graph), "walk": settings}, work)
