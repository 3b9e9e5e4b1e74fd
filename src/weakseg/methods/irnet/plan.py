"""The plan of the ``irnet`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.irnet.config import IrnetRecipe
from weakseg.methods.plans import boundary_walk_plan, from_tags
from weakseg.pipeline.plan import Step


def build_plan(recipe: IrnetRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    return boundary_walk_plan(recipe, dataset, from_tags(recipe, dataset))
