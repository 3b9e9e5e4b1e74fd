"""The graph of an image, and the walk of its activations on it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, PixelGraph
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.nn.backbones import embedded_backbone
from weakseg.nn.weights import MODEL_FILE
from weakseg.ops.resample import scaled_size
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.graph import FreeGraphConfig, WindowGraphConfig
from weakseg.settings.walk import GraphWalkConfig
from weakseg.stages.build_graph import free_graph, window_graph
from weakseg.stages.walk import walk_on_graph
from weakseg.stages.window_affinity import load_window_affinity
from weakseg.steps.base import cached, over_images

GraphSettings = WindowGraphConfig | FreeGraphConfig


def image_graph(
    model: Path | None, image: NDArray[np.uint8], config: GraphSettings, device: str, *, normalized: bool = True
) -> PixelGraph:
    """Return the graph of an image.

    Args:
        model: Of the affinity network, for a window graph.
        image: ``(H, W, 3)`` uint8; for a free graph it is reduced.
        config: Which graph.
        device: Where the network runs.
        normalized: Whether features of the nodes of a window graph are divided by their norm.
    """
    if isinstance(config, FreeGraphConfig):
        return free_graph(embedded_backbone(), image, config)
    assert model is not None
    network = cached(load_window_affinity, model, device)
    return window_graph(network, image, config, normalized=normalized)


@dataclass(frozen=True)
class GraphWalkJob(ImageJob):
    """Image and activations to scores that have walked on the image's graph."""

    model: Path | None
    activations: Path
    out: Path
    graph: GraphSettings
    walk: GraphWalkConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.SCORES.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the scores."""
        image = sample.load_image()
        size = working = (image.shape[0], image.shape[1])
        if isinstance(self.graph, FreeGraphConfig):
            working = scaled_size(size, 1.0, max_side=self.graph.max_side)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        graph = image_graph(self.model, image, self.graph, self.device)
        walked = walk_on_graph(replace(activations, image_size=working), graph, self.walk)
        walked.of_photograph(size).save(self.output(sample.id))


def graph_walk_step(dataset: Dataset, graph: GraphSettings, walk: GraphWalkConfig) -> Step:
    """Let background and activations walk on the graphs that the images' networks have."""
    learned = isinstance(graph, WindowGraphConfig)

    def make(context: StepContext) -> GraphWalkJob:
        model = context.inputs["affinity"] / MODEL_FILE if learned else None
        return GraphWalkJob(model, context.inputs["activations"], context.folder, graph, walk, context.device)

    settings = asdict(walk)
    settings.pop("fused")
    needs = {"activations": Kind.ACTIVATIONS, **({"affinity": Kind.MODEL} if learned else {})}
    work = over_images(GraphWalkJob, make, dataset.splits[TRAIN], source=("activations", Kind.ACTIVATIONS))
    return Step("walk", Kind.SCORES, needs, {"graph": asdict(graph), "walk": settings}, work)
