"""The plan of the ``cam`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.plans import from_tags, with_segmenter
from weakseg.pipeline.plan import Step
from weakseg.steps.refine import masks_step
from weakseg.steps.seed import seeds_step


def build_plan(recipe: CamRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    steps = [
        *from_tags(recipe, dataset),
        seeds_step(dataset, recipe.seeds),
        masks_step(dataset, recipe.masks, with_background=recipe.seeds.background != "none"),
    ]
    return with_segmenter(recipe, dataset, steps, targets=recipe.targets)
