"""What WSGCN does to single images, or to several at once: partial labels, and their completion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap, PixelGraph, Scores
from weakseg.data.sample import WeakSample
from weakseg.methods.wsgcn.batch import Problem
from weakseg.methods.wsgcn.complete import build_problem, choose_batches
from weakseg.methods.wsgcn.config import CompleteConfig, PartialConfig
from weakseg.methods.wsgcn.gcn import train_gcn
from weakseg.methods.wsgcn.partial import partial_labels
from weakseg.nn.boundary import GRID_STRIDE as BOUNDARY_STRIDE
from weakseg.ops.resample import grid_labels
from weakseg.pipeline.jobs import PerImageTraining, cached
from weakseg.pipeline.plan import Kind
from weakseg.rng import derive_seed
from weakseg.settings.affinity import GRID_STRIDE as AFFINITY_STRIDE
from weakseg.settings.graph import GraphConfig
from weakseg.stages.affinity import load_affinity
from weakseg.stages.boundary import load_boundary
from weakseg.stages.build_graph import activations_on, affinity_graph, boundary_graph

STRIDES = {Kind.BOUNDARY: BOUNDARY_STRIDE, Kind.AFFINITY: AFFINITY_STRIDE}


@dataclass(frozen=True)
class PartialJob:
    """Image and activations to partial labels: each cell of the grid is written as ``stride`` pixels square."""

    activations: Path
    out: Path
    config: PartialConfig
    stride: int

    def output(self, image_id: str) -> Path:
        """Return the label file."""
        return self.out / f"{image_id}.png"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the partial labels."""
        image = sample.load_image()
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        labels = partial_labels(activations_on(activations, self.stride), image, self.config).numpy()
        whole = np.kron(labels, np.ones((self.stride, self.stride), np.uint8))
        LabelMap(np.ascontiguousarray(whole[: image.shape[0], : image.shape[1]])).save(self.output(sample.id))


@dataclass(frozen=True)
class CompleteJob(PerImageTraining):
    """Image and partial labels to scores; ``model`` is a network of the kind ``graph_of``."""

    model: Path
    graph_of: Kind
    partial: Path
    out: Path
    graph: GraphConfig
    config: CompleteConfig
    num_classes: int
    seed: int
    device: str = "cpu"

    def is_background(self, sample: WeakSample) -> bool:
        """Return whether no class is known to be there, so that there are no activations."""
        return not sample.tags.present

    def train_batch(self, samples: Sequence[WeakSample]) -> list[Scores]:
        """Train the networks of some images, as many at once as memory allows."""
        found = [self._problem(sample) for sample in samples]
        scores: dict[int, Scores] = {}
        for members in choose_batches([problem for problem, _, _ in found], self.config.gcn, self.config.memory_mb):
            solutions = train_gcn([found[member][0] for member in members], self.config.gcn, device=self.device)
            for member, solution in zip(members, solutions, strict=True):
                problem, label_ids, image_size = found[member]
                values = solution.probs.T.reshape(-1, *problem.graph.size).clamp(0, 1)
                scores[member] = Scores(values, label_ids, image_size)
        return [scores[member] for member in range(len(found))]

    def _problem(self, sample: WeakSample) -> tuple[Problem, tuple[int, ...], tuple[int, int]]:
        image = sample.load_image()
        graph = self._graph(image)
        labels = LabelMap.load(self.partial / f"{sample.id}.png").labels
        partial = torch.from_numpy(grid_labels(labels, graph.size, STRIDES[self.graph_of]))
        classes = sample.tags.present if self.config.labels == "tagged" else range(1, self.num_classes + 1)
        label_ids = (0, *sorted(classes))
        seed = derive_seed(self.seed, sample.id, "wsgcn")
        problem = build_problem(partial, image, graph, label_ids, self.config.smoothness, seed=seed)
        return problem, label_ids, (image.shape[0], image.shape[1])

    def _graph(self, image: NDArray[np.uint8]) -> PixelGraph:
        if self.graph_of == Kind.BOUNDARY:
            boundary, side = cached(load_boundary, self.model, self.device)
            return boundary_graph(boundary, side, image, self.graph)
        affinity = cached(load_affinity, self.model, self.device)
        return affinity_graph(affinity, image, self.graph)
