"""What A2GNN does to single images, or to several at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap, Scores
from weakseg.data.sample import WeakSample
from weakseg.methods.a2gnn.config import A2gnnConfig, RegionConfig
from weakseg.methods.a2gnn.graphnet import build_graphnet_problem, region_source
from weakseg.methods.a2gnn.graphs import GraphSettings, GraphSource
from weakseg.methods.a2gnn.problem import A2gnnProblem, build_cell_problem, image_cells, reduce_labelled
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.pipeline.plan import Kind
from weakseg.pipeline.units import ImageJob
from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.instances import Overlap
from weakseg.settings.weak_seeds import Use
from weakseg.stages.box_instances import instances_from_boxes
from weakseg.stages.weak_seeds import counted
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
        regions: Superpixels that take the place of the graph's nodes and edges, and its features; ``None``: cells.
    """

    graph: GraphSettings
    config: A2gnnConfig
    use: Use
    num_classes: int
    seed: int
    regions: RegionConfig | None = None


@dataclass(frozen=True)
class A2gnnJob(PerImageTraining):
    """Image, labels and seeds to scores."""

    source: GraphSource
    seeds: Path
    out: Path
    how: A2gnnCompletion
    device: str = "cpu"

    def train_batch(self, samples: Sequence[WeakSample]) -> list[Scores]:
        """Train the networks of some images, as many at once as memory allows."""
        problems, sizes = [], []
        for sample in samples:
            photograph = sample.load_image()
            labelled, image, seeds = self._labelled(sample, photograph)
            problems.append(self._problem(labelled, image, seeds))
            sizes.append((photograph.shape[0], photograph.shape[1]))
        solutions = train_a2gnn(problems, self.how.config, seed=self.how.seed, device=self.device)
        for warning in (text for solution in solutions for text in solution.warnings):
            logger.info("%s", warning)
        return [one.scores.of_photograph(size) for one, size in zip(solutions, sizes, strict=True)]

    def _labelled(self, sample: WeakSample, image: NDArray[np.uint8]) -> tuple[WeakSample, NDArray[np.uint8], LabelMap]:
        """Return labels, pixels and seeds at the size that the graph is made for."""
        labelled, seeds = counted(sample, self.how.use), LabelMap.load(self.seeds / f"{sample.id}.png")
        if isinstance(self.how.graph, FreeGraphConfig):
            return reduce_labelled(labelled, image, seeds, max_side=self.how.graph.max_side)
        return labelled, image, seeds

    def _problem(self, sample: WeakSample, image: NDArray[np.uint8], seeds: LabelMap) -> A2gnnProblem:
        how = self.how
        soft = how.regions is not None and how.regions.edges == "distance"
        graph = self.source.graph(image, sample.id, self.device, normalized=not soft)
        if how.regions is None:
            cells = image_cells(image, graph, how.config)
            return build_cell_problem(sample, cells, seeds, how.config, num_classes=how.num_classes)
        source = region_source(image, graph, None if isinstance(how.graph, FreeGraphConfig) else how.graph.norm)
        return build_graphnet_problem(
            sample, source, seeds, how.config, regions=how.regions, num_classes=how.num_classes
        )


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
