"""The step that trains a boundary network, and what walks within its boundaries: scores and objects."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import torch

from weakseg.artifacts import Activations
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.instances import Instances
from weakseg.nn.pairs.boundary import GRID_STRIDE
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.boundary import BoundaryConfig
from weakseg.settings.instances import InstanceConfig
from weakseg.settings.walk import BoundaryWalkConfig
from weakseg.stages.boundary import find_boundary, load_boundary, train_boundary
from weakseg.stages.boundary_walk import walk_activations
from weakseg.stages.build_graph import activations_on
from weakseg.stages.instances import find_instances
from weakseg.steps.base import cached, classifier_of, fitted, having, over_images, started, tagged, training
from weakseg.training.loop import FitPlace

NEEDS = {"activations": Kind.ACTIVATIONS, "boundary": Kind.MODEL}
SOURCE = ("activations", Kind.ACTIVATIONS)


@dataclass(frozen=True)
class BoundaryWalkJob(ImageJob):
    """Image and activations to walked scores; ``model`` is a boundary network."""

    model: Path
    activations: Path
    out: Path
    config: BoundaryWalkConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.SCORES.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the scores."""
        model, side = cached(load_boundary, self.model, self.device)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        maps = find_boundary(model, sample.load_image(), side=side, align_mirror=self.config.align_mirror)
        boundary = torch.sigmoid(maps.logits[0, 0])
        walk_activations(activations_on(activations, GRID_STRIDE), boundary, self.config).save(self.output(sample.id))


@dataclass(frozen=True)
class BoundaryInstanceJob(ImageJob):
    """Image and activations to instances; ``model`` is a boundary network with its displacement branch.

    Detections of score 0 are left out.
    """

    model: Path
    activations: Path
    out: Path
    config: InstanceConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.INSTANCES.suffix

    def one(self, sample: WeakSample) -> None:
        """Find and save the instances."""
        model, side = cached(load_boundary, self.model, self.device)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        maps = find_boundary(model, sample.load_image(), side=side)
        found = find_instances(activations, maps, self.config, device=self.device)
        kept = found.scores > 0
        scores = found.scores[kept].clamp(max=1).tolist()
        Instances.of(found.masks[kept].numpy(), found.class_ids[kept].tolist(), scores=scores).save(
            self.output(sample.id)
        )


def boundary_step(dataset: Dataset, config: BoundaryConfig, seed: int) -> Step:
    """Train the boundary network on the seeds of the tagged images."""

    def run(context: StepContext, place: FitPlace) -> StepResult:
        seeds = context.inputs["seeds"]
        samples = tagged(having(dataset.splits[TRAIN], seeds, Kind.LABELS))
        return fitted(
            train_boundary(samples, seeds, config=config, place=place, classifier=classifier_of(context)), samples
        )

    needs = {"seeds": Kind.LABELS, **started(config)}
    return Step("boundary", Kind.MODEL, needs, {**asdict(config), "seed": seed}, training(train_boundary, run, seed))


def boundary_walk_step(dataset: Dataset, config: BoundaryWalkConfig) -> Step:
    """Let the activations walk within the boundaries."""

    def make(context: StepContext) -> BoundaryWalkJob:
        model = context.inputs["boundary"] / MODEL_FILE
        return BoundaryWalkJob(model, context.inputs["activations"], context.folder, config, context.device)

    work = over_images(BoundaryWalkJob, make, dataset.splits[TRAIN], source=SOURCE)
    return Step("walk", Kind.SCORES, NEEDS, asdict(config), work)


def instances_step(dataset: Dataset, config: InstanceConfig) -> Step:
    """Split the activations by the centres that the displacement field points to, and let each part walk."""

    def make(context: StepContext) -> BoundaryInstanceJob:
        model = context.inputs["boundary"] / MODEL_FILE
        return BoundaryInstanceJob(model, context.inputs["activations"], context.folder, config, context.device)

    work = over_images(BoundaryInstanceJob, make, dataset.splits[TRAIN], source=SOURCE)
    return Step("instances", Kind.INSTANCES, NEEDS, asdict(config), work)
