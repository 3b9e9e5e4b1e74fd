"""The plan of the ``group`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.group.config import GroupRecipe
from weakseg.methods.plans import saliency_steps, seeding_plan
from weakseg.pipeline.plan import Step
from weakseg.steps.group import from_groups


def build_plan(recipe: GroupRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter: those of ``cam`` with a classifier of groups."""
    groups = from_groups(dataset, recipe.classifier, recipe.activations, recipe.seed)
    return seeding_plan(recipe, dataset, [*saliency_steps(recipe, dataset), *groups])
