"""The plan of the ``seam`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.seam.config import SeamRecipe
from weakseg.pipeline.label_steps import affinity_step, decode_steps, reading_steps, walk_step
from weakseg.pipeline.plan import Step
from weakseg.pipeline.steps import (
    activations_step,
    classifier_step,
    evaluation_step,
    predictions_step,
    segmenter_step,
)
from weakseg.stages.seam import train_seam


def build_plan(recipe: SeamRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter: those of ``psa`` with another classifier."""
    steps = [
        classifier_step(dataset, recipe.classifier, recipe.seed, train_it=train_seam),
        activations_step(dataset, recipe.activations),
        *reading_steps(dataset, recipe.readings),
        affinity_step(dataset, recipe.affinity, recipe.seed),
        walk_step(dataset, recipe.walk),
        *decode_steps(dataset, recipe.masks, "walk"),
        segmenter_step(dataset, recipe.segmenter, recipe.seed),
        predictions_step(dataset, recipe.predictions),
    ]
    return [*steps, evaluation_step(dataset, recipe.data, steps)]
