"""What plans of several methods begin and end with."""

from collections.abc import Sequence

from weakseg.data.dataset import Dataset
from weakseg.errors import ConfigError
from weakseg.methods.affinity_walk import AffinityWalkRecipe
from weakseg.methods.recipe import Recipe, TagRecipe
from weakseg.pipeline.plan import Role, Step
from weakseg.settings.seam import SeamConfig
from weakseg.stages.seam import train_seam
from weakseg.steps.activate import activations_step, external_step
from weakseg.steps.affinity import affinity_step, affinity_walk_step
from weakseg.steps.classify import classifier_step
from weakseg.steps.decode import decode_steps
from weakseg.steps.evaluate import evaluation_step
from weakseg.steps.seed import reading_steps
from weakseg.steps.segment import predictions_step, segmenter_step


def from_tags(recipe: TagRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to activations, which may be there already.

    Raises:
        ConfigError: If a network is to start from the classifier, and none is trained.
    """
    if recipe.activations.from_folder:
        for name, section in vars(recipe).items():
            if getattr(section, "start", "") == "classifier":
                raise ConfigError(
                    f"{name}.start: 'classifier' needs one, but with activations.from_folder none is trained; set it "
                    "to 'pretrained'"
                )
        return [external_step(dataset, recipe.activations)]
    return [
        classifier_step(dataset, recipe.classifier, recipe.seed),
        activations_step(dataset, recipe.activations),
    ]


def from_seam(recipe: TagRecipe, classifier: SeamConfig, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to the activations of SEAM's classifier, or to those of a folder."""
    if recipe.activations.from_folder:
        return from_tags(recipe, dataset)
    return [
        classifier_step(dataset, classifier, recipe.seed, train=train_seam, role=Role.PART),
        activations_step(dataset, recipe.activations, role=Role.PART),
    ]


def with_segmenter(
    recipe: Recipe, dataset: Dataset, steps: Sequence[Step], *, targets: str = "masks", after: Sequence[Step] = ()
) -> list[Step]:
    """Return steps with the segmenter that is trained on the label maps of one, its predictions, and all scores.

    Args:
        recipe: Settings of the segmenter and its predictions, and where ground truth is.
        dataset: Its images.
        steps: To the masks.
        targets: Which of them the segmenter is trained on.
        after: What is made of the predictions.
    """
    whole = [
        *steps,
        segmenter_step(dataset, recipe.segmenter, recipe.seed, targets=targets),
        predictions_step(dataset, recipe.predictions, recipe.segmenter.initial),
        *after,
    ]
    return [*whole, evaluation_step(dataset, recipe.data, whole)]


def walk_plan(recipe: AffinityWalkRecipe, dataset: Dataset, start: Sequence[Step]) -> list[Step]:
    """Return the steps from activations, which ``start`` ends with, to a scored segmenter."""
    steps = [
        *start,
        *reading_steps(dataset, recipe.readings),
        affinity_step(dataset, recipe.affinity, recipe.seed),
        affinity_walk_step(dataset, recipe.walk),
        *decode_steps(dataset, recipe.masks, "walk"),
    ]
    return with_segmenter(recipe, dataset, steps)
