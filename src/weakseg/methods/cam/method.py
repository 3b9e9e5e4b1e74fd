"""The plan of the ``cam`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.cam.config import CamRecipe
from weakseg.pipeline.plan import Step
from weakseg.pipeline.steps import (
    activations_step,
    classifier_step,
    evaluation_step,
    masks_step,
    predictions_step,
    seeds_step,
    segmenter_step,
)


def build_plan(recipe: CamRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter."""
    steps = [
        classifier_step(dataset, recipe.classifier, recipe.seed),
        activations_step(dataset, recipe.activations),
        seeds_step(dataset, recipe.seeds),
        masks_step(dataset, recipe.masks, recipe.seeds),
        segmenter_step(dataset, recipe.segmenter, recipe.seed, targets=recipe.targets),
        predictions_step(dataset, recipe.predictions),
    ]
    return [*steps, evaluation_step(dataset, recipe.data, steps)]
