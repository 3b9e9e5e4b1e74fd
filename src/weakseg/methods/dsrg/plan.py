"""The plan of the ``dsrg`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.dsrg.config import DsrgRecipe
from weakseg.methods.plans import growing_plan
from weakseg.pipeline.plan import Step


def build_plan(recipe: DsrgRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    return growing_plan(recipe, dataset)
