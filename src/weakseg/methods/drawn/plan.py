"""The plan of the ``drawn`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.drawn.config import DrawnRecipe
from weakseg.methods.plans import with_segmenter
from weakseg.pipeline.plan import Step
from weakseg.steps.features import with_stroke_features
from weakseg.steps.proposals import proposal_steps
from weakseg.steps.refine import masks_step
from weakseg.steps.weak_seeds import weak_seeds_step


def build_plan(recipe: DrawnRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from drawn labels to a scored segmenter."""
    seeds = with_stroke_features(dataset, recipe.seeds, [weak_seeds_step(dataset, recipe.seeds, activations=False)])
    steps = [*proposal_steps(dataset, recipe.seeds), *seeds, masks_step(dataset, recipe.masks, use=recipe.seeds.use)]
    return with_segmenter(recipe, dataset, steps)
