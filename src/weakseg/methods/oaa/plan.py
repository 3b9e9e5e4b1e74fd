"""The plan of the ``oaa`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.oaa.config import OaaRecipe
from weakseg.methods.plans import from_tags, seeding_plan
from weakseg.pipeline.plan import Role, Step
from weakseg.steps.activate import activations_step
from weakseg.steps.integral import INTEGRAL, integral_step


def build_plan(recipe: OaaRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    start = from_tags(recipe, dataset)
    if recipe.integral:  # what was accumulated is learned, and its activations are those of the network
        start[-1:] = [
            integral_step(dataset, recipe.network, recipe.seed),
            activations_step(dataset, recipe.activations, role=Role.PART, model=INTEGRAL),
        ]
    return seeding_plan(recipe, dataset, start)
