"""What A2GNN does to single images, or to several at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap, PixelGraph, Scores
from weakseg.data.sample import WeakSample
from weakseg.instances import SUFFIX
from weakseg.methods.a2gnn.config import A2gnnConfig, RegionConfig
from weakseg.methods.a2gnn.graphnet import build_graphnet_problem, region_source
from weakseg.methods.a2gnn.problem import Problem, build_problem, reduce_labelled
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.nn.backbones import embedded_backbone
from weakseg.ops.fuse import fuse_scores
from weakseg.pipeline.jobs import PerImageTraining, cached
from weakseg.settings.graph import FreeGraphConfig, WindowGraphConfig
from weakseg.settings.instances import Overlap
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.box_instances import instances_from_boxes
from weakseg.stages.build_graph import free_graph, window_graph
from weakseg.stages.walk import walk_on_graph
from weakseg.stages.weak_seeds import counted
from weakseg.stages.window_affinity import load_window_affinity

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompleteJob(PerImageTraining):
    """Image, labels and seeds to scores; ``graph`` says whether ``model``, an affinity network, makes it.

    With ``activations`` and ``walk_weight``, a walk of the activations on the same graph joins in. With ``regions``,
    superpixels take the place of the graph's nodes and edges, and its features become theirs. For a free graph large
    photographs are reduced, and their labels with them.
    """

    model: Path | None
    seeds: Path
    activations: Path | None
    out: Path
    graph: WindowGraphConfig | FreeGraphConfig
    config: A2gnnConfig
    labels: WeakSeedConfig
    num_classes: int
    walk_weight: float = 0.0
    regions: RegionConfig | None = None
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
        solutions = train_a2gnn(problems, self.config, device=self.device)
        for warning in (text for solution in solutions for text in solution.warnings):
            logger.info("%s", warning)
        found = zip(samples, graphs, solutions, sizes, strict=True)
        return [self._fused(sample, graph, one.scores).of_photograph(size) for sample, graph, one, size in found]

    def _labelled(self, sample: WeakSample, image: NDArray[np.uint8]) -> tuple[WeakSample, NDArray[np.uint8], LabelMap]:
        """Return labels, pixels and seeds at the size that the graph is made for."""
        labelled, seeds = counted(sample, self.labels.use), LabelMap.load(self.seeds / f"{sample.id}.png")
        if isinstance(self.graph, FreeGraphConfig):
            return reduce_labelled(labelled, image, seeds, max_side=self.graph.max_side)
        return labelled, image, seeds

    def _graph(self, image: NDArray[np.uint8]) -> PixelGraph:
        if isinstance(self.graph, FreeGraphConfig):
            return free_graph(embedded_backbone(), image, self.graph)
        assert self.model is not None
        return window_graph(cached(load_window_affinity, self.model, self.device), image, self.graph)

    def _problem(self, sample: WeakSample, image: NDArray[np.uint8], graph: PixelGraph, seeds: LabelMap) -> Problem:
        count = self.num_classes
        if self.regions is None:
            return build_problem(sample, image, graph, seeds, self.config, num_classes=count)
        source = region_source(image, graph, None if isinstance(self.graph, FreeGraphConfig) else self.graph.norm)
        return build_graphnet_problem(sample, source, seeds, self.config, regions=self.regions, num_classes=count)

    def _fused(self, sample: WeakSample, graph: PixelGraph, scores: Scores) -> Scores:
        """Return the scores together with those of the walk, over the labels that both know."""
        if not self.walk_weight or self.activations is None:
            return scores
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        walked = walk_on_graph(replace(activations, image_size=scores.image_size), graph)
        both = scores.values.new_zeros(scores.values.shape)
        for index, label in enumerate(scores.label_ids):
            if label in walked.label_ids:
                both[index] = walked.values[walked.label_ids.index(label)]
        fused = fuse_scores(scores.values, both, weight=self.walk_weight).clamp(0, 1)
        return replace(scores, values=fused)


@dataclass(frozen=True)
class BoxInstanceJob:
    """Mask and boxes to instances."""

    masks: Path
    out: Path
    overlap: Overlap

    def output(self, image_id: str) -> Path:
        """Return the file of instances."""
        return self.out / f"{image_id}{SUFFIX}"

    def run(self, sample: WeakSample) -> None:
        """Cut the mask by the boxes and save the objects."""
        labels = LabelMap.load(self.masks / f"{sample.id}.png").labels
        instances_from_boxes(labels, sample.drawn.boxes, overlap=self.overlap).instances.save(self.output(sample.id))
