"""The plans of WSGCN."""

from dataclasses import asdict

from weakseg.data.dataset import Dataset
from weakseg.methods.wsgcn.config import CompleteConfig, PartialConfig
from weakseg.methods.wsgcn.jobs import STRIDES, CompleteJob, PartialJob
from weakseg.methods.wsgcn.recipe import WsgcnIRecipe, WsgcnPRecipe
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.label_steps import affinity_step, boundary_step, decode_steps, reading_steps
from weakseg.pipeline.plan import Kind, Step, StepContext
from weakseg.pipeline.steps import (
    activations_step,
    classifier_step,
    evaluation_step,
    image_step,
    predictions_step,
    seeds_step,
    segmenter_step,
)
from weakseg.settings.graph import GraphConfig


def build_plan_i(recipe: WsgcnIRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter, on learned boundaries."""
    graph_steps = [
        seeds_step(dataset, recipe.seeds),
        boundary_step(dataset, recipe.boundary, recipe.seed),
    ]
    return _build_plan(recipe, dataset, graph_steps)


def build_plan_p(recipe: WsgcnPRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter, on learned affinities."""
    graph_steps = [
        *([seeds_step(dataset, recipe.seeds)] if recipe.partial_from == "seeds" else []),
        *reading_steps(dataset, recipe.readings),
        affinity_step(dataset, recipe.affinity, recipe.seed),
    ]
    return _build_plan(recipe, dataset, graph_steps)


def _build_plan(recipe: WsgcnIRecipe | WsgcnPRecipe, dataset: Dataset, graph_steps: list[Step]) -> list[Step]:
    source = graph_steps[-1].produces
    partial = "seeds" if recipe.partial_from == "seeds" else "partial"
    steps = [
        classifier_step(dataset, recipe.classifier, recipe.seed),
        activations_step(dataset, recipe.activations),
        *graph_steps,
        *([] if partial == "seeds" else [partial_step(dataset, recipe.completion.partial, STRIDES[source])]),
        completed_step(dataset, recipe.graph, recipe.completion, inputs=(partial, source), seed=recipe.seed),
        *decode_steps(dataset, recipe.masks, "completed"),
        segmenter_step(dataset, recipe.segmenter, recipe.seed),
        predictions_step(dataset, recipe.predictions),
    ]
    return [*steps, evaluation_step(dataset, recipe.data, steps)]


def partial_step(dataset: Dataset, config: PartialConfig, stride: int) -> Step:
    """Read partial labels off the activations."""

    def job(context: StepContext) -> PartialJob:
        return PartialJob(context.inputs["activations"], context.folder, config, stride)

    settings = {**asdict(config), "stride": stride}
    return image_step("partial", Kind.SEEDS, {"activations": Kind.ACTIVATIONS}, settings, dataset.splits["train"], job)


def completed_step(
    dataset: Dataset, graph: GraphConfig, config: CompleteConfig, *, inputs: tuple[str, Kind], seed: int
) -> Step:
    """Train each image's network; ``inputs``: the step of the partial labels, and that, and kind, of the graph."""
    labels, source = inputs

    def job(context: StepContext) -> CompleteJob:
        partial, model = context.inputs[labels], context.inputs[source.value] / MODEL_FILE
        count = len(dataset.classes)
        return CompleteJob(model, source, partial, context.folder, graph, config, count, seed, context.device)

    needs = {labels: Kind.SEEDS, source.value: source}
    settings = asdict(config)
    for name in ("partial", "memory_mb"):  # the first is in the step before, the second changes no result
        settings.pop(name)
    settings = {**settings, "graph": asdict(graph), "seed": seed}
    return image_step("completed", Kind.SCORES, needs, settings, dataset.splits["train"], job)
