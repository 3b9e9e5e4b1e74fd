"""The plan of the ``seam`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.plans import from_seam, walk_plan
from weakseg.methods.seam.config import SeamRecipe
from weakseg.pipeline.plan import Step


def build_plan(recipe: SeamRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter: those of ``psa`` with a classifier of its own."""
    return walk_plan(recipe, dataset, from_seam(recipe, recipe.classifier, dataset))
