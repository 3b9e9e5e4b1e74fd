"""The plans of WSGCN."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.methods.plans import from_tags, with_segmenter
from weakseg.methods.wsgcn.config import PartialConfig
from weakseg.methods.wsgcn.graphs import AFFINITY, BOUNDARY, GraphSource
from weakseg.methods.wsgcn.jobs import GcnCompletion, GcnJob, PartialJob
from weakseg.methods.wsgcn.recipe import WsgcnIRecipe, WsgcnPRecipe, WsgcnRecipe
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.steps.affinity import affinity_step
from weakseg.steps.base import over_images
from weakseg.steps.boundary import boundary_step
from weakseg.steps.decode import decode_steps
from weakseg.steps.seed import reading_steps, seeds_step


def build_plan_i(recipe: WsgcnIRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter, on learned boundaries."""
    steps = [
        *from_tags(recipe, dataset),
        seeds_step(dataset, recipe.seeds),
        boundary_step(dataset, recipe.boundary, recipe.seed),
    ]
    return with_segmenter(recipe, dataset, [*steps, *_completed(recipe, dataset, BOUNDARY)])


def build_plan_p(recipe: WsgcnPRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter, on learned affinities."""
    steps = [
        *from_tags(recipe, dataset),
        *([seeds_step(dataset, recipe.seeds)] if recipe.partial_from == "seeds" else []),
        *reading_steps(dataset, recipe.readings),
        affinity_step(dataset, recipe.affinity, recipe.seed),
    ]
    return with_segmenter(recipe, dataset, [*steps, *_completed(recipe, dataset, AFFINITY)])


def _completed(recipe: WsgcnRecipe, dataset: Dataset, source: GraphSource) -> list[Step]:
    """Return the steps from partial labels to masks."""
    partial = "seeds" if recipe.partial_from == "seeds" else "partial"
    return [
        *([] if partial == "seeds" else [partial_step(dataset, recipe.completion.partial, source.stride)]),
        completed_step(recipe, dataset, source, partial),
        *decode_steps(dataset, recipe.masks, "completed"),
    ]


def partial_step(dataset: Dataset, config: PartialConfig, stride: int) -> Step:
    """Read partial labels off the activations."""

    def make(context: StepContext) -> PartialJob:
        return PartialJob(context.inputs["activations"], context.folder, config, stride)

    needs, settings = {"activations": Kind.ACTIVATIONS}, {**asdict(config), "stride": stride}
    work = over_images(PartialJob, make, dataset.splits[TRAIN], source=("activations", Kind.ACTIVATIONS))
    return Step("partial", Kind.LABELS, needs, settings, work, Role.SEEDS)


def completed_step(recipe: WsgcnRecipe, dataset: Dataset, source: GraphSource, partial: str) -> Step:
    """Train each image's network on the partial labels of the step ``partial``."""
    completion = GcnCompletion(source, recipe.graph, recipe.completion, len(dataset.classes), recipe.seed)

    def make(context: StepContext) -> GcnJob:
        model = context.inputs[source.step] / MODEL_FILE
        return GcnJob(model, context.inputs[partial], context.folder, completion, context.device)

    settings = asdict(recipe.completion)
    del settings["partial"]  # it counts in the step before
    settings |= {"graph": asdict(recipe.graph), "seed": recipe.seed}
    work = over_images(GcnJob, make, dataset.splits[TRAIN], source=(partial, Kind.LABELS))
    return Step("completed", Kind.SCORES, {partial: Kind.LABELS, source.step: Kind.MODEL}, settings, work)
