"""What WSGCN does to single images, or to several at once: partial labels, and their completion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.data.sample import WeakSample
from weakseg.methods.wsgcn.complete import GcnTask, build_gcn_problem, complete_by_gcn
from weakseg.methods.wsgcn.config import PartialConfig, WsgcnConfig
from weakseg.methods.wsgcn.graphs import GraphSource
from weakseg.methods.wsgcn.partial import partial_labels
from weakseg.ops.resample import grid_labels
from weakseg.pipeline.plan import Kind
from weakseg.pipeline.units import ImageJob
from weakseg.rng import derive_seed
from weakseg.settings.graph import GraphConfig
from weakseg.stages.build_graph import activations_on
from weakseg.steps.per_image import PerImageTraining


@dataclass(frozen=True)
class PartialJob(ImageJob):
    """Image and activations to partial labels: each cell of the grid is written as ``stride`` pixels square."""

    activations: Path
    out: Path
    config: PartialConfig
    stride: int
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the partial labels."""
        image = sample.load_image()
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        labels = partial_labels(activations_on(activations, self.stride), image, self.config).numpy()
        whole = np.kron(labels, np.ones((self.stride, self.stride), np.uint8))
        LabelMap(np.ascontiguousarray(whole[: image.shape[0], : image.shape[1]])).save(self.output(sample.id))


@dataclass(frozen=True)
class GcnCompletion:
    """How images are completed.

    Attributes:
        source: Where graphs come from.
        graph: How they are built.
        config: Network, training and labels.
        num_classes: K of the data.
        seed: Of the run; each image draws by this and its id.
    """

    source: GraphSource
    graph: GraphConfig
    config: WsgcnConfig
    num_classes: int
    seed: int


@dataclass(frozen=True)
class GcnJob(PerImageTraining):
    """Image and partial labels to scores; ``model`` is the file of the network that makes graphs."""

    model: Path
    partial: Path
    out: Path
    how: GcnCompletion
    device: str = "cpu"

    def is_background(self, sample: WeakSample) -> bool:
        """Return whether no class is known to be there, so that there are no activations."""
        return not sample.tags.present

    def train_batch(self, samples: Sequence[WeakSample]) -> list[Scores]:
        """Train the networks of some images, as many at once as memory allows."""
        return complete_by_gcn([self._task(sample) for sample in samples], self.how.config, device=self.device)

    def _task(self, sample: WeakSample) -> GcnTask:
        how, image = self.how, sample.load_image()
        graph = how.source.build(self.model, self.device, image, how.graph)
        labels = LabelMap.load(self.partial / f"{sample.id}.png").labels
        partial = torch.from_numpy(grid_labels(labels, graph.size, how.source.stride))
        every, tagged = tuple(range(how.num_classes + 1)), (0, *sorted(sample.tags.present))
        label_ids, decoded = (every if which == "all" else tagged for which in (how.config.labels, how.config.decoded))
        seed = derive_seed(how.seed, sample.id, "wsgcn")
        problem = build_gcn_problem(partial, image, graph, label_ids, how.config.smoothness, seed=seed)
        return GcnTask(problem, label_ids, (image.shape[0], image.shape[1]), decoded)
