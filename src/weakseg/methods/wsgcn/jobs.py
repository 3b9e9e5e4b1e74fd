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
from weakseg.methods.wsgcn.complete import CompleteConfig, build_problem, choose_batches
from weakseg.methods.wsgcn.gcn import train_gcn
from weakseg.methods.wsgcn.partial import PartialConfig, partial_labels
from weakseg.nn.affinity import GRID_STRIDE as AFFINITY_STRIDE
from weakseg.nn.boundary import GRID_STRIDE as BOUNDARY_STRIDE
from weakseg.ops.resample import grid_labels
from weakseg.pipeline.jobs import cached
from weakseg.pipeline.plan import Kind
from weakseg.rng import derive_seed
from weakseg.stages.affinity import load_affinity
from weakseg.stages.boundary import load_boundary
from weakseg.stages.build_graph import GraphConfig, activations_on, affinity_graph, boundary_graph

STRIDES = {Kind.BOUNDARY: BOUNDARY_STRIDE, Kind.AFFINITY: AFFINITY_STRIDE}
CHUNK = 64  # images whose problems are held at once on a GPU


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
class CompleteJob:
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

    @property
    def batch_size(self) -> int:
        """Images that ``run_batch`` takes: on a CPU one, so that a result depends on no other image's company."""
        return CHUNK if self.device != "cpu" else 1

    def output(self, image_id: str) -> Path:
        """Return the scores file."""
        return self.out / f"{image_id}.safetensors"

    def run(self, sample: WeakSample) -> None:
        """Train the image's network and save the scores."""
        self.run_batch([sample])

    def run_batch(self, samples: Sequence[WeakSample]) -> None:
        """Train the networks of several images, as many at once as memory allows, and save the scores."""
        problems = {sample.id: self._problem(sample) for sample in samples if sample.tags.present}
        for sample in samples:
            if sample.id not in problems:
                self._save_background(sample)
        ids = list(problems)
        for members in choose_batches([problems[i][0] for i in ids], self.config.gcn, self.config.memory_mb):
            solutions = train_gcn([problems[ids[m]][0] for m in members], self.config.gcn, device=self.device)
            for member, solution in zip(members, solutions, strict=True):
                problem, label_ids, image_size = problems[ids[member]]
                values = solution.probs.T.reshape(-1, *problem.graph.size).clamp(0, 1)
                Scores(values, label_ids, image_size).save(self.output(ids[member]))

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

    def _save_background(self, sample: WeakSample) -> None:
        """An image without a class is background, and needs no training."""
        height, width = sample.load_image().shape[:2]
        Scores(torch.ones(1, 1, 1), (0,), (height, width)).save(self.output(sample.id))
