"""What plans of several methods begin and end with."""

from collections.abc import Mapping, Sequence
from typing import Any

from weakseg.data.dataset import Dataset
from weakseg.errors import ConfigError
from weakseg.methods.affinity_walk import AffinityWalkRecipe
from weakseg.methods.boundary_walk import BoundaryWalkRecipe
from weakseg.methods.growing import GrowingRecipe
from weakseg.methods.recipe import Recipe, SaliencyRecipe, TagRecipe
from weakseg.methods.seeding import SeedingRecipe
from weakseg.pipeline.plan import Role, Step, result_of
from weakseg.settings.seam import SeamConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.seam import train_seam
from weakseg.steps.activate import activations_step, external_step
from weakseg.steps.affinity import affinity_step, affinity_walk_step
from weakseg.steps.area_seeds import area_seeds_step
from weakseg.steps.boundary import boundary_step, boundary_walk_step, instances_step
from weakseg.steps.classify import classifier_step
from weakseg.steps.decode import decode_steps
from weakseg.steps.evaluate import evaluation_step
from weakseg.steps.refine import masks_step
from weakseg.steps.reliability import reliability_step
from weakseg.steps.saliency import saliency_step
from weakseg.steps.seed import reading_steps, seeds_step
from weakseg.steps.segment import (
    MASKS,
    SEGMENTER,
    in_round,
    predictions_step,
    restricted_step,
    seeded_segmenter_step,
    segmenter_step,
)


def saliency_steps(recipe: SaliencyRecipe, dataset: Dataset, *, every_map: bool = True) -> list[Step]:
    """Return the step to the saliency maps, where a recipe reads them; arguments as those of ``saliency_step``."""
    return [saliency_step(dataset, recipe.saliency, every=every_map)] if recipe.reads_saliency else []


def from_tags(recipe: TagRecipe, dataset: Dataset, *, every_map: bool = True) -> list[Step]:
    """Return the steps from tags to activations, which may be there already, and to saliency maps that are read.

    Args:
        recipe: Settings of classifier, activations and saliency.
        dataset: Its images.
        every_map: As of ``saliency_step``; what is missing is said before anything is trained.

    Raises:
        ConfigError: If a network is to start from the classifier, or activations are to be accumulated, and no
            classifier is trained.
    """
    if recipe.activations.from_folder:
        for name, section in vars(recipe).items():
            if getattr(section, "start", "") == "classifier":
                raise ConfigError(
                    f"{name}.start: 'classifier' needs one, but with activations.from_folder none is trained; set it "
                    "to 'pretrained'"
                )
        if recipe.classifier.accumulate:
            raise ConfigError(
                "classifier.accumulate: with activations.from_folder there is no training whose activations could be "
                "accumulated; leave one of them out"
            )
        return [*saliency_steps(recipe, dataset, every_map=every_map), external_step(dataset, recipe.activations)]
    return [
        *saliency_steps(recipe, dataset, every_map=every_map),
        classifier_step(dataset, recipe.classifier, recipe.seed),
        activations_step(dataset, recipe.activations, accumulated=recipe.classifier.accumulate),
    ]


def from_seam(recipe: TagRecipe, classifier: SeamConfig, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to the activations of SEAM's classifier, or to those of a folder.

    Raises:
        ConfigError: As ``from_tags``, or if activations of the plain classifier are to be accumulated.
    """
    if recipe.activations.from_folder:
        return from_tags(recipe, dataset)
    if recipe.classifier.accumulate:
        raise ConfigError(
            "classifier.accumulate: the activations are those of SEAM's classifier, which are not accumulated; leave "
            "it out, or take those of the plain one"
        )
    return [
        *saliency_steps(recipe, dataset),
        classifier_step(dataset, classifier, recipe.seed, train=train_seam, role=Role.PART),
        activations_step(dataset, recipe.activations, role=Role.PART),
    ]


def with_segmenter(
    recipe: Recipe,
    dataset: Dataset,
    steps: Sequence[Step],
    *,
    targets: str = MASKS,
    after: Sequence[Step] = (),
    first: Mapping[str, Any] | None = None,
) -> list[Step]:
    """Return steps with the segmenters that are trained in rounds, their predictions, and all scores.

    Args:
        recipe: Settings of segmenters and predictions, rounds, and where ground truth is.
        dataset: Its images.
        steps: To the masks.
        targets: Which of them the first segmenter is trained on.
        after: What is made of the last predictions.
        first: Where ``steps`` train the first round's segmenter themselves, and make their masks with it: what it has
            started from. The second round then learns from these masks.
    """
    whole = [*steps, *segmenter_steps(recipe, dataset, targets=targets, first=first), *after]
    if masks := last_masks(recipe, whole):
        seeds = getattr(recipe, "seeds", None)
        use = seeds.use if isinstance(seeds, WeakSeedConfig) else "tags"
        whole.insert(whole.index(masks) + 1, reliability_step(dataset, whole, masks, use=use))
    return [*whole, evaluation_step(dataset, recipe.data, whole)]


def segmenter_steps(
    recipe: Recipe, dataset: Dataset, *, targets: str = MASKS, first: Mapping[str, Any] | None = None
) -> list[Step]:
    """Return the segmenter of each round and its predictions, and from the second on the masks that it learns from.

    Args:
        recipe: As of ``with_segmenter``.
        dataset: Its images.
        targets: What the first segmenter is trained on.
        first: As of ``with_segmenter``.

    Reference:
        [feng2021dgcn] and [huang2018dsrg], retraining.
    """
    config, own = recipe.segmenter, recipe.segmenter.initial
    trained = [segmenter_step(dataset, config, recipe.seed, targets=targets)] if first is None else []
    init = own if first is None else first
    found = [*trained, predictions_step(dataset, recipe.predictions, init)]
    for number in range(2, recipe.rounds + 1):
        made = first is not None and number == 2  # the plan's masks are those of the first segmenter
        targets, before = MASKS if made else in_round(MASKS, number), in_round(SEGMENTER, number - 1)
        if not made:
            found.append(restricted_step(dataset, recipe.predictions, before, init, name=targets, role=Role.AFTER))
        going_on = _going_on(before, init) if recipe.rounds_from == "before" else None
        init, seed = going_on or own, recipe.seed
        found += [
            segmenter_step(dataset, config, seed, targets=targets, number=number, before=going_on),
            predictions_step(dataset, recipe.predictions, init, number=number),
        ]
    return found


def _going_on(before: str, init: Mapping[str, Any]) -> dict[str, Any]:
    """Return what results say of a segmenter that goes on with another one: masks that people drew stay known."""
    return {
        "network": before,
        "trained_on": "labels of the round before",
        "pixel_masks": bool(init.get("pixel_masks", False)),
    }


def last_masks(recipe: Recipe, steps: Sequence[Step]) -> Step | None:
    """Return the step that makes the last masks of the training images: of the last round, else the plan's result."""
    last = in_round(MASKS, recipe.rounds)
    return next((step for step in steps if step.name == last), result_of(steps))


def seeding_plan(recipe: SeedingRecipe, dataset: Dataset, start: Sequence[Step]) -> list[Step]:
    """Return the steps from activations, which ``start`` ends with, to a scored segmenter: seeds and their CRF."""
    steps = [
        *start,
        seeds_step(dataset, recipe.seeds),
        masks_step(dataset, recipe.masks, with_background=recipe.seeds.background != "none"),
    ]
    return with_segmenter(recipe, dataset, steps, targets=recipe.targets)


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


def boundary_walk_plan(recipe: BoundaryWalkRecipe, dataset: Dataset, start: Sequence[Step]) -> list[Step]:
    """Return the steps from activations, which ``start`` ends with, to a scored segmenter."""
    steps = [
        *start,
        seeds_step(dataset, recipe.seeds),
        boundary_step(dataset, recipe.boundary, recipe.seed),
        boundary_walk_step(dataset, recipe.walk),
        *decode_steps(dataset, recipe.masks, "walk"),
        *([instances_step(dataset, recipe.instance)] if recipe.instances else []),
    ]
    return with_segmenter(recipe, dataset, steps)


def growing_plan(recipe: GrowingRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to the segmenter whose labels grow, its masks, and what is trained on them."""
    steps = [
        *from_tags(recipe, dataset, every_map=False),
        area_seeds_step(dataset, recipe.seeds, recipe.saliency),
        seeded_segmenter_step(dataset, recipe.growing, recipe.growth, recipe.seed),
        restricted_step(dataset, recipe.predictions, SEGMENTER, recipe.growing.initial),
    ]
    return with_segmenter(recipe, dataset, steps, first=recipe.growing.initial)
