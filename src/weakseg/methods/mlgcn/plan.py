"""The plan of the ``mlgcn`` method."""

from weakseg.data.dataset import Dataset
from weakseg.methods.mlgcn.config import MlgcnRecipe
from weakseg.methods.mlgcn.train import train_mlgcn
from weakseg.methods.plans import saliency_steps, seeding_plan
from weakseg.pipeline.plan import Role, Step
from weakseg.steps.activate import activations_step
from weakseg.steps.classify import classifier_step


def build_plan(recipe: MlgcnRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter: those of ``cam`` with a classifier of its own."""
    start = [
        *saliency_steps(recipe, dataset),
        classifier_step(dataset, recipe.classifier, recipe.seed, train=train_mlgcn, role=Role.PART),
        activations_step(dataset, recipe.activations, role=Role.PART),
    ]
    return seeding_plan(recipe, dataset, start)
