"""The plan of the ``seam`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.plans import walk_plan
from weakseg.methods.seam.config import SeamRecipe
from weakseg.pipeline.plan import Role, Step
from weakseg.stages.seam import train_seam
from weakseg.steps.activate import activations_step
from weakseg.steps.classify import classifier_step


def build_plan(recipe: SeamRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter: those of ``psa`` with a classifier of its own."""
    start = [
        classifier_step(dataset, recipe.classifier, recipe.seed, train=train_seam, role=Role.PART),
        activations_step(dataset, recipe.activations, role=Role.PART),
    ]
    return walk_plan(recipe, dataset, start)
