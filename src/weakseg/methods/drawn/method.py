"""The plan of the ``drawn`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.drawn.config import DrawnRecipe
from weakseg.pipeline.label_steps import weak_seeds_step
from weakseg.pipeline.plan import Step
from weakseg.pipeline.steps import evaluation_step, masks_step, predictions_step, segmenter_step
from weakseg.settings.seed import SeedConfig


def build_plan(recipe: DrawnRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from drawn labels to a scored segmenter."""
    steps = [
        weak_seeds_step(dataset, recipe.seeds, activations=False),
        masks_step(dataset, recipe.masks, SeedConfig()),
        segmenter_step(dataset, recipe.segmenter, recipe.seed),
        predictions_step(dataset, recipe.predictions),
    ]
    return [*steps, evaluation_step(dataset, recipe.data, steps)]
