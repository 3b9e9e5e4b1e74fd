"""The plan of the ``dgcn`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.dgcn.config import DgcnRecipe
from weakseg.methods.plans import growing_plan
from weakseg.pipeline.plan import Step


def build_plan(recipe: DgcnRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    return growing_plan(recipe, dataset)
