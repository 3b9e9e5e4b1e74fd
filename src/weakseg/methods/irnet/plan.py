"""The plan of the ``irnet`` method."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.methods.irnet.config import BoundaryWalkConfig, IrnetRecipe
from weakseg.methods.irnet.instances import BoundaryInstanceJob
from weakseg.methods.irnet.walk import BoundaryWalkJob
from weakseg.methods.plans import from_tags, with_segmenter
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext
from weakseg.settings.instances import InstanceConfig
from weakseg.steps.base import over_images
from weakseg.steps.boundary import boundary_step
from weakseg.steps.decode import decode_steps
from weakseg.steps.seed import seeds_step

NEEDS = {"activations": Kind.ACTIVATIONS, "boundary": Kind.MODEL}
SOURCE = ("activations", Kind.ACTIVATIONS)


def build_plan(recipe: IrnetRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    steps = [
        *from_tags(recipe, dataset),
        seeds_step(dataset, recipe.seeds),
        boundary_step(dataset, recipe.boundary, recipe.seed),
        boundary_walk_step(dataset, recipe.walk),
        *decode_steps(dataset, recipe.masks, "walk"),
        *([instances_step(dataset, recipe.instance)] if recipe.instances else []),
    ]
    return with_segmenter(recipe, dataset, steps)


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
