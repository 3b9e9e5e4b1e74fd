"""The plan of A2GNN."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from weakseg.data.annotations import LabelKind
from weakseg.data.dataset import Dataset
from weakseg.errors import ConfigError
from weakseg.methods.a2gnn.jobs import A2gnnCompletion, A2gnnJob, BoxInstanceJob
from weakseg.methods.a2gnn.recipe import A2gnnRecipe
from weakseg.methods.plans import from_tags, with_segmenter
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.stages.weak_seeds import counted
from weakseg.steps.base import over_images
from weakseg.steps.decode import decode_steps
from weakseg.steps.weak_seeds import weak_seeds_step
from weakseg.steps.window_affinity import window_affinity_step


def build_plan(recipe: A2gnnRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from labels of any kind to a scored segmenter.

    Raises:
        ConfigError: If nothing would look at the activations that are asked for.
    """
    boxed = recipe.seeds.use in ("strongest", "boxes")
    read = any(recipe.seeds.reads_activations(kind) for kind in _kinds(recipe, dataset))
    steps = [
        weak_seeds_step(dataset, recipe.seeds, activations=recipe.with_activations and read),
        *(_affinity_steps(recipe, dataset) if recipe.graph_from == "affinity" else []),
        completed_step(recipe, dataset),
        *decode_steps(dataset, recipe.masks, "completed", within_boxes=recipe.within_boxes and boxed),
        *([instances_step(recipe, dataset)] if recipe.instances and boxed else []),
    ]
    if recipe.with_activations:
        _check_activations_count(steps)
        steps = [*from_tags(recipe, dataset), *steps]
    return with_segmenter(recipe, dataset, steps)


def completed_step(recipe: A2gnnRecipe, dataset: Dataset) -> Step:
    """Train each image's network."""
    learned = recipe.graph_from == "affinity"
    how = A2gnnCompletion(
        recipe.graph if learned else recipe.free,
        recipe.completion,
        recipe.seeds.use,
        len(dataset.classes),
        recipe.seed,
        recipe.walk_weight,
        recipe.regions if recipe.nodes == "superpixels" else None,
    )

    def make(context: StepContext) -> A2gnnJob:
        model = context.inputs["affinity"] / MODEL_FILE if learned else None
        seeds, activations = context.inputs["seeds"], context.inputs.get("activations")
        return A2gnnJob(model, seeds, activations, context.folder, how, context.device)

    needs = {"seeds": Kind.LABELS}
    needs |= {"affinity": Kind.MODEL} if learned else {}
    needs |= {"activations": Kind.ACTIVATIONS} if recipe.walk_weight else {}
    work = over_images(A2gnnJob, make, dataset.splits[TRAIN], source=("seeds", Kind.LABELS))
    return Step("completed", Kind.SCORES, needs, asdict(how), work)


def instances_step(recipe: A2gnnRecipe, dataset: Dataset) -> Step:
    """Split masks by boxes into objects."""

    def make(context: StepContext) -> BoxInstanceJob:
        return BoxInstanceJob(context.inputs["masks"], context.folder, recipe.overlap)

    samples = [sample for sample in dataset.splits[TRAIN] if sample.drawn.boxes] or dataset.splits[TRAIN]
    work = over_images(BoxInstanceJob, make, samples, source=("masks", Kind.LABELS))
    return Step("instances", Kind.INSTANCES, {"masks": Kind.LABELS}, {"overlap": recipe.overlap}, work)


def _affinity_steps(recipe: A2gnnRecipe, dataset: Dataset) -> list[Step]:
    """Train on the seeds, those of scribbles with what confident activations say elsewhere."""
    followed = recipe.seeds.strokes_as == "walk" or recipe.seeds.scribbles_over_tags  # no more is to be said of them
    if "scribbles" not in _kinds(recipe, dataset) or not recipe.with_activations or followed:
        return [window_affinity_step(dataset, recipe.affinity, recipe.seed)]
    wider = replace(recipe.seeds, scribbles_over_tags=True)
    return [
        weak_seeds_step(dataset, wider, activations=True, name="affinity_seeds", role=Role.PART),
        window_affinity_step(dataset, recipe.affinity, recipe.seed, seeds="affinity_seeds"),
    ]


def _kinds(recipe: A2gnnRecipe, dataset: Dataset) -> set[LabelKind]:
    """Return the kinds of labels that photographs become seeds by."""
    shown = (sample for sample in dataset.splits[TRAIN] if not sample.shows_nothing)
    return {counted(sample, recipe.seeds.use).drawn.strongest for sample in shown}


def _check_activations_count(steps: Sequence[Step]) -> None:
    """Refuse activations that no step looks at: they take longer than all else."""
    if not any({"activations", "classifier"} & step.needs.keys() for step in steps):
        raise ConfigError(
            "with_activations: nothing would look at activations: every photograph has labels that become seeds "
            "without them (seeds.strokes_as, seeds.boxes_as), and the graph needs none; set it to false"
        )
