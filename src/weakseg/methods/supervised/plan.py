"""The plan of the supervised reference."""

from weakseg.data.dataset import Dataset
from weakseg.methods.supervised.config import SupervisedRecipe
from weakseg.pipeline.plan import Step
from weakseg.steps.evaluate import evaluation_step, true_masks_step
from weakseg.steps.segment import predictions_step, segmenter_step


def build_plan(recipe: SupervisedRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from true masks to a scored segmenter; the masks themselves need no score."""
    masks = true_masks_step(dataset, recipe.data, void_is_background=recipe.void_is_background)
    segmenter = segmenter_step(dataset, recipe.segmenter, recipe.seed)
    predictions = predictions_step(dataset, recipe.predictions, recipe.segmenter.initial)
    return [masks, segmenter, predictions, evaluation_step(dataset, recipe.data, [predictions])]
