"""The plan of the ``cam`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.plans import from_tags, seeding_plan
from weakseg.pipeline.plan import Step


def build_plan(recipe: CamRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    return seeding_plan(recipe, dataset, from_tags(recipe, dataset))
