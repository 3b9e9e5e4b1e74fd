"""The plan of the ``psa`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.plans import from_tags, walk_plan
from weakseg.methods.psa.config import PsaRecipe
from weakseg.pipeline.plan import Step


def build_plan(recipe: PsaRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    return walk_plan(recipe, dataset, from_tags(recipe, dataset))
