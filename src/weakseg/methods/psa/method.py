"""The plan of the ``psa`` method."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.methods.psa.config import PsaRecipe, WalkConfig
from weakseg.methods.psa.walk import WalkJob
from weakseg.pipeline.label_steps import affinity_step, decode_steps, reading_steps
from weakseg.pipeline.plan import Kind, Step, StepContext
from weakseg.pipeline.steps import (
    activations_step,
    classifier_step,
    evaluation_step,
    image_step,
    predictions_step,
    segmenter_step,
)
from weakseg.stages.classify import MODEL_FILE


def build_plan(recipe: PsaRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    steps = [
        classifier_step(dataset, recipe.classifier, recipe.seed),
        activations_step(dataset, recipe.activations),
        *reading_steps(dataset, recipe.readings),
        affinity_step(dataset, recipe.affinity, recipe.seed),
        walk_step(dataset, recipe.walk),
        *decode_steps(dataset, recipe.masks, "walk"),
        segmenter_step(dataset, recipe.segmenter, recipe.seed),
        predictions_step(dataset, recipe.predictions),
    ]
    return [*steps, evaluation_step(dataset, recipe.data, steps)]


def walk_step(dataset: Dataset, config: WalkConfig) -> Step:
    """Let background and activations walk on the learned affinities."""

    def job(context: StepContext) -> WalkJob:
        model = context.inputs["affinity"] / MODEL_FILE
        return WalkJob(model, context.inputs["activations"], context.folder, config, context.device)

    needs = {"activations": Kind.ACTIVATIONS, "affinity": Kind.AFFINITY}
    return image_step("walk", Kind.SCORES, needs, asdict(config), dataset.splits["train"], job)
