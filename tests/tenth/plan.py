"""The made-up method's steps, jobs and plan."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from tenth.config import PairRecipe
from tenth.network import load_activations, load_pairs, partner, prototype, train_pairs
from weakseg.artifacts import LabelMap, Scores
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.methods.plans import from_tags, with_segmenter
from weakseg.nn.weights import MODEL_FILE
from weakseg.ops.resample import image_tensor
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob, Unit
from weakseg.steps.base import cached, fitted, having, over_images, prediction_split, tagged, training
from weakseg.steps.decode import decode_steps
from weakseg.steps.segment import PREDICTIONS, in_round
from weakseg.training.loop import FitPlace


@dataclass(frozen=True)
class PairJob:
    """Two images to the scores of the first."""

    model: Path
    activations: Path
    out: Path
    seed: int
    device: str = "cpu"

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        """Return each image with one that it has a class in common with, alone where there is none."""
        pairs = [(sample, partner(sample, samples, self.seed, "tenth/unit")) for sample in samples]
        return [
            Unit((one, *([other] if other else [])), name=one.id, together=True, seed=self.seed) for one, other in pairs
        ]

    def output(self, name: str) -> Path:
        """Return the file of an image."""
        return self.out / f"{name}{Kind.SCORES.suffix}"

    @torch.no_grad()
    def run(self, unit: Unit) -> None:
        """Save the scores of the first image."""
        samples = unit.samples
        model, _ = cached(load_pairs, self.model, self.device)
        images = [sample.load_image() for sample in samples]
        sizes = [image.shape[:2] for image in images]
        features = [model(image_tensor(image)[None].to(self.device))[0].cpu() for image in images]
        maps = [load_activations(self.activations, s, size) for s, size in zip(samples, sizes, strict=True)]
        found = {}
        for class_id, own in maps[0].items():
            common = [prototype(f, each[class_id]) for f, each in zip(features, maps, strict=True) if class_id in each]
            found[class_id] = model.scores(features[0], own, torch.stack(common).mean(0))
        values = torch.stack([torch.full(sizes[0], 0.5), *found.values()])
        Scores(values, (0, *found), sizes[0]).save(self.output(unit.products[0]))


@dataclass(frozen=True)
class SmoothJob(ImageJob):
    """A label map to one where each pixel has the label that is most frequent around it."""

    labels: Path
    out: Path
    radius: int
    suffix: ClassVar[str] = Kind.LABELS.suffix

    def one(self, sample: WeakSample) -> None:
        """Save the smoothed labels."""
        labels = LabelMap.load(self.labels / f"{sample.id}.png").labels
        around = np.lib.stride_tricks.sliding_window_view(
            np.pad(labels, self.radius, "edge"), [2 * self.radius + 1] * 2
        )
        votes = np.stack([(around == label).sum((2, 3)) for label in np.unique(labels)])
        LabelMap(np.unique(labels)[votes.argmax(0)]).save(self.output(sample.id))


def build_plan(recipe: PairRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to smoothed predictions."""
    steps = [
        *from_tags(recipe, dataset),
        pairs_step(recipe, dataset),
        scores_step(recipe, dataset),
        *decode_steps(dataset, recipe.masks, "pair_scores"),
    ]
    return with_segmenter(recipe, dataset, steps, after=[smooth_step(recipe, dataset)])


def pairs_step(recipe: PairRecipe, dataset: Dataset) -> Step:
    """Train the network of pairs."""

    def run(context: StepContext, place: FitPlace) -> StepResult:
        activations = context.inputs["activations"]
        samples = tagged(having(dataset.splits[TRAIN], activations, Kind.ACTIVATIONS))
        return fitted(train_pairs(samples, activations, config=recipe.pairs, place=place), samples)

    settings = {**asdict(recipe.pairs), "seed": recipe.seed}
    needs = {"activations": Kind.ACTIVATIONS}
    return Step("pairs", Kind.MODEL, needs, settings, training(train_pairs, run, recipe.seed))


def scores_step(recipe: PairRecipe, dataset: Dataset) -> Step:
    """Score each image with another's help."""

    def make(context: StepContext) -> PairJob:
        model = context.inputs["pairs"] / MODEL_FILE
        return PairJob(model, context.inputs["activations"], context.folder, recipe.seed, context.device)

    source = ("activations", Kind.ACTIVATIONS)
    work = over_images(PairJob, make, dataset.splits[TRAIN], source=source)
    needs = {"pairs": Kind.MODEL, "activations": Kind.ACTIVATIONS}
    return Step("pair_scores", Kind.SCORES, needs, {"seed": recipe.seed}, work)


def smooth_step(recipe: PairRecipe, dataset: Dataset) -> Step:
    """Smooth the last segmenter's predictions."""
    predictions = in_round(PREDICTIONS, recipe.rounds)

    def make(context: StepContext) -> SmoothJob:
        return SmoothJob(context.inputs[predictions], context.folder, recipe.smoothing)

    split = prediction_split(dataset)
    work = over_images(SmoothJob, make, dataset.splits[split], source=(predictions, Kind.LABELS))
    needs, settings = {predictions: Kind.LABELS}, {"radius": recipe.smoothing}
    return Step("smoothed", Kind.LABELS, needs, settings, work, Role.AFTER, split)
