"""The plan of the supervised reference."""

from weakseg.data.dataset import Dataset
from weakseg.methods.plans import segmenter_steps
from weakseg.methods.supervised.config import SupervisedRecipe
from weakseg.pipeline.plan import Step
from weakseg.steps.evaluate import evaluation_step, true_masks_step


def build_plan(recipe: SupervisedRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from true masks to a scored segmenter; the masks themselves need no score."""
    masks = true_masks_step(dataset, recipe.data, void_is_background=recipe.void_is_background)
    after = segmenter_steps(recipe, dataset)
    return [masks, *after, evaluation_step(dataset, recipe.data, after)]
