"""The plan of the ``irnet`` method."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.methods.irnet.config import IrnetRecipe, WalkConfig
from weakseg.methods.irnet.instances import InstanceJob
from weakseg.methods.irnet.walk import WalkJob
from weakseg.pipeline.label_steps import boundary_step, decode_steps
from weakseg.pipeline.plan import Kind, Step, StepContext, StepResult
from weakseg.pipeline.steps import (
    activations_step,
    classifier_step,
    evaluation_step,
    having,
    map_job,
    predictions_step,
    seeds_step,
    segmenter_step,
)
from weakseg.stages.classify import MODEL_FILE
from weakseg.stages.instances import InstanceConfig


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

    def work(context: StepContext) -> StepResult:
        source, model = context.inputs["activations"], context.inputs["boundary"] / MODEL_FILE
        job = WalkJob(model, source, context.folder, config, context.device)
        return map_job(job, having(dataset.splits["train"], source, ".safetensors"), context)

    needs = {"activations": Kind.ACTIVATIONS, "boundary": Kind.BOUNDARY}
    return Step("walk", Kind.SCORES, needs, asdict(config), work)


def instances_step(dataset: Dataset, config: InstanceConfig) -> Step:
    """Split the activations by the centres that the displacement field points to, and let each part walk."""

    def work(context: StepContext) -> StepResult:
        source, model = context.inputs["activations"], context.inputs["boundary"] / MODEL_FILE
        job = InstanceJob(model, source, context.folder, config, context.device)
        return map_job(job, having(dataset.splits["train"], source, ".safetensors"), context)

    needs = {"activations": Kind.ACTIVATIONS, "boundary": Kind.BOUNDARY}
    return Step("instances", Kind.INSTANCES, needs, asdict(config), work)
