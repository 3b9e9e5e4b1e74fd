"""The plan of the ``group`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.group.config import GroupRecipe
from weakseg.methods.plans import saliency_steps, with_segmenter
from weakseg.pipeline.plan import Step
from weakseg.steps.group import from_groups
from weakseg.steps.refine import masks_step
from weakseg.steps.seed import seeds_step


def build_plan(recipe: GroupRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter: those of ``cam`` with a classifier of groups."""
    steps = [
        *saliency_steps(recipe, dataset),
        *from_groups(dataset, recipe.classifier, recipe.activations, recipe.seed),
        seeds_step(dataset, recipe.seeds),
        masks_step(dataset, recipe.masks, with_background=recipe.seeds.background != "none"),
    ]
    return with_segmenter(recipe, dataset, steps, targets=recipe.targets)
