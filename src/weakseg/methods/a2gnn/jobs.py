"""What A2GNN does to single images, or to several at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap, PixelGraph, Scores
from weakseg.data.sample import WeakSample
from weakseg.methods.a2gnn.config import A2gnnConfig, RegionConfig
from weakseg.methods.a2gnn.graphnet import build_graphnet_problem, region_source
from weakseg.methods.a2gnn.problem import A2gnnProblem, build_cell_problem, image_cells, reduce_labelled
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.nn.backbones import embedded_backbone
from weakseg.ops.fuse import fuse_scores
from weakseg.pipeline.plan import Kind
from weakseg.pipeline.units import ImageJob
from weakseg.settings.graph import FreeGraphConfig, WindowGraphConfig
from weakseg.settings.instances import Overlap
from weakseg.settings.weak_seeds import Use
from weakseg.stages.box_instances import instances_from_boxes
from weakseg.stages.build_graph import free_graph, window_graph
from weakseg.stages.walk import walk_on_graph
from weakseg.stages.weak_seeds import counted
from weakseg.stages.window_affinity import load_window_affinity
from weakseg.steps.base import cached
from weakseg.steps.per_image import PerImageTraining

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class A2gnnCompletion:
    """How images are completed.

    Attributes:
        graph: Whether an affinity network makes the graph, or nothing that was trained; large photographs are reduced
            for the latter, and their labels with them.
        config: Network, losses and training.
        use: Which labels count.
        num_classes: K of the data.
        seed: Of the run; each image draws by this and its id.
        walk_weight: Share of a walk of the activations on the same graph.
        regions: Superpixels that take the place of the graph's nodes and edges, and its features; ``None``: cells.
    """

    graph: WindowGraphConfig | FreeGraphConfig
    config: A2gnnConfig
    use: Use
    num_classes: int
    seed: int
    walk_weight: float = 0.0
    regions: RegionConfig | None = None


@dataclass(frozen=True)
class A2gnnJob(PerImageTraining):
    """Image, labels and seeds to scores; ``model`` is the affinity network of a graph that needs one."""

    model: Path | None
    seeds: Path
    activations: Path | None
    out: Path
    how: A2gnnCompletion
    device: str = "cpu"

    def train_batch(self, samples: Sequence[WeakSample]) -> list[Scores]:
        """Train the networks of some images, as many at once as memory allows."""
        graphs, problems, sizes = [], [], []
        for sample in samples:
            photograph = sample.load_image()
            labelled, image, seeds = self._labelled(sample, photograph)
            graphs.append(self._graph(image))
            problems.append(self._problem(labelled, image, graphs[-1], seeds))
            sizes.append((photograph.shape[0], photograph.shape[1]))
        solutions = train_a2gnn(problems, self.how.config, seed=self.how.seed, device=self.device)
        for warning in (text for solution in solutions for text in solution.warnings):
            logger.info("%s", warning)
        found = zip(samples, graphs, solutions, sizes, strict=True)
        return [self._fused(sample, graph, one.scores).of_photograph(size) for sample, graph, one, size in found]

    def _labelled(self, sample: WeakSample, image: NDArray[np.uint8]) -> tuple[WeakSample, NDArray[np.uint8], LabelMap]:
        """Return labels, pixels and seeds at the size that the graph is made for."""
        labelled, seeds = counted(sample, self.how.use), LabelMap.load(self.seeds / f"{sample.id}.png")
        if isinstance(self.how.graph, FreeGraphConfig):
            return reduce_labelled(labelled, image, seeds, max_side=self.how.graph.max_side)
        return labelled, image, seeds

    def _graph(self, image: NDArray[np.uint8]) -> PixelGraph:
        if isinstance(self.how.graph, FreeGraphConfig):
            return free_graph(embedded_backbone(), image, self.how.graph)
        assert self.model is not None
        return window_graph(cached(load_window_affinity, self.model, self.device), image, self.how.graph)

    def _problem(
        self, sample: WeakSample, image: NDArray[np.uint8], graph: PixelGraph, seeds: LabelMap
    ) -> A2gnnProblem:
        how = self.how
        if how.regions is None:
            cells = image_cells(image, graph, how.config)
            return build_cell_problem(sample, cells, seeds, how.config, num_classes=how.num_classes)
        source = region_source(image, graph, None if isinstance(how.graph, FreeGraphConfig) else how.graph.norm)
        return build_graphnet_problem(
            sample, source, seeds, how.config, regions=how.regions, num_classes=how.num_classes
        )

    def _fused(self, sample: WeakSample, graph: PixelGraph, scores: Scores) -> Scores:
        """Return the scores together with those of the walk, over the labels that both know."""
        if not self.how.walk_weight or self.activations is None:
            return scores
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        walked = walk_on_graph(replace(activations, image_size=scores.image_size), graph)
        both = scores.values.new_zeros(scores.values.shape)
        for index, label in enumerate(scores.label_ids):
            if label in walked.label_ids:
                both[index] = walked.values[walked.label_ids.index(label)]
        fused = fuse_scores(scores.values, both, weight=self.how.walk_weight).clamp(0, 1)
        return replace(scores, values=fused)


@dataclass(frozen=True)
class BoxInstanceJob(ImageJob):
    """Mask and boxes to instances."""

    masks: Path
    out: Path
    overlap: Overlap
    suffix: ClassVar[str] = Kind.INSTANCES.suffix

    def one(self, sample: WeakSample) -> None:
        """Cut the mask by the boxes and save the objects."""
        labels = LabelMap.load(self.masks / f"{sample.id}.png").labels
        instances_from_boxes(labels, sample.drawn.boxes, overlap=self.overlap).instances.save(self.output(sample.id))
