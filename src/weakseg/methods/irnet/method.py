"""The plan of the ``irnet`` method."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.methods.irnet.config import IrnetRecipe, WalkConfig
from weakseg.methods.irnet.instances import InstanceJob
from weakseg.methods.irnet.walk import WalkJob
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.label_steps import boundary_step, decode_steps
from weakseg.pipeline.plan import Kind, Step, StepContext
from weakseg.pipeline.steps import (
    activations_step,
    classifier_step,
    evaluation_step,
    image_step,
    predictions_step,
    seeds_step,
    segmenter_step,
)
from weakseg.settings.instances import InstanceConfig


def build_plan(recipe: IrnetRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    steps = [
        classifier_step(dataset, recipe.classifier, recipe.seed),
        activations_step(dataset, recipe.activations),
        seeds_step(dataset, recipe.seeds),
        boundary_step(dataset, recipe.boundary, recipe.seed),
        walk_step(dataset, recipe.walk),
        *decode_steps(dataset, recipe.masks, "walk"),
        *([instances_step(dataset, recipe.instance)] if recipe.instances else []),
        segmenter_step(dataset, recipe.segmenter, recipe.seed),
        predictions_step(dataset, recipe.predictions),
    ]
    return [*steps, evaluation_step(dataset, recipe.data, steps)]


def walk_step(dataset: Dataset, config: WalkConfig) -> Step:
    """Let the activations walk within the boundaries."""

    def job(context: StepContext) -> WalkJob:
        model = context.inputs["boundary"] / MODEL_FILE
        return WalkJob(model, context.inputs["activations"], context.folder, config, context.device)

    needs = {"activations": Kind.ACTIVATIONS, "boundary": Kind.BOUNDARY}
    return image_step("walk", Kind.SCORES, needs, asdict(config), dataset.splits["train"], job)


def instances_step(dataset: Dataset, config: InstanceConfig) -> Step:
    """Split the activations by the centres that the displacement field points to, and let each part walk."""

    def job(context: StepContext) -> InstanceJob:
        model = context.inputs["boundary"] / MODEL_FILE
        return InstanceJob(model, context.inputs["activations"], context.folder, config, context.device)

    needs = {"activations": Kind.ACTIVATIONS, "boundary": Kind.BOUNDARY}
    return image_step("instances", Kind.INSTANCES, needs, asdict(config), dataset.splits["train"], job)
