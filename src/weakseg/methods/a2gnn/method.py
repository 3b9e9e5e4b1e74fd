"""The plan of A2GNN."""

from dataclasses import asdict, replace

from weakseg.data.dataset import Dataset
from weakseg.methods.a2gnn.jobs import BoxInstanceJob, CompleteJob
from weakseg.methods.a2gnn.recipe import A2gnnRecipe
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.label_steps import decode_steps, weak_seeds_step, window_affinity_step
from weakseg.pipeline.plan import Kind, Step, StepContext
from weakseg.pipeline.steps import (
    activations_step,
    classifier_step,
    evaluation_step,
    image_step,
    predictions_step,
    segmenter_step,
)
from weakseg.stages.weak_seeds import counted


def build_plan(recipe: A2gnnRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from labels of any kind to a scored segmenter."""
    start = [
        classifier_step(dataset, recipe.classifier, recipe.seed),
        activations_step(dataset, recipe.activations),
    ]
    boxed = recipe.seeds.use in ("strongest", "boxes")
    steps = [
        *(start if recipe.with_activations else []),
        weak_seeds_step(dataset, recipe.seeds, activations=recipe.with_activations),
        *(_affinity_steps(recipe, dataset) if recipe.graph_from == "affinity" else []),
        completed_step(recipe, dataset),
        *decode_steps(dataset, recipe.masks, "completed", within_boxes=recipe.within_boxes and boxed),
        *([instances_step(recipe, dataset)] if recipe.instances and boxed else []),
        segmenter_step(dataset, recipe.segmenter, recipe.seed),
        predictions_step(dataset, recipe.predictions),
    ]
    return [*steps, evaluation_step(dataset, recipe.data, steps)]


def completed_step(recipe: A2gnnRecipe, dataset: Dataset) -> Step:
    """Train each image's network."""
    learned = recipe.graph_from == "affinity"
    graph = recipe.graph if learned else recipe.free
    regions = recipe.regions if recipe.nodes == "superpixels" else None
    config = replace(recipe.completion, seed=recipe.seed)

    def job(context: StepContext) -> CompleteJob:
        model = context.inputs["affinity"] / MODEL_FILE if learned else None
        seeds, activations = context.inputs["seeds"], context.inputs.get("activations")
        count, weight = len(dataset.classes), recipe.walk_weight
        place, device = context.folder, context.device
        return CompleteJob(
            model, seeds, activations, place, graph, config, recipe.seeds, count, weight, regions, device
        )

    needs = {"seeds": Kind.SEEDS}
    needs |= {"affinity": Kind.AFFINITY} if learned else {}
    needs |= {"activations": Kind.ACTIVATIONS} if recipe.walk_weight else {}
    settings = {**asdict(config), "graph": asdict(graph), "walk_weight": recipe.walk_weight, "use": recipe.seeds.use}
    settings |= {"regions": asdict(regions)} if regions else {}
    settings.pop("memory_mb")  # it changes no result
    return image_step("completed", Kind.SCORES, needs, settings, dataset.splits["train"], job)


def instances_step(recipe: A2gnnRecipe, dataset: Dataset) -> Step:
    """Split masks by boxes into objects."""

    def job(context: StepContext) -> BoxInstanceJob:
        return BoxInstanceJob(context.inputs["masks"], context.folder, recipe.overlap)

    samples = [sample for sample in dataset.splits["train"] if sample.drawn.boxes] or dataset.splits["train"]
    settings = {"overlap": recipe.overlap}
    return image_step("instances", Kind.INSTANCES, {"masks": Kind.MASKS}, settings, samples, job)


def _affinity_steps(recipe: A2gnnRecipe, dataset: Dataset) -> list[Step]:
    """Train on the seeds, those of scribbles with what confident activations say elsewhere."""
    kinds = (counted(sample, recipe.seeds.use).drawn.strongest for sample in dataset.splits["train"])
    scribbled = "scribbles" in kinds
    if not scribbled or not recipe.with_activations or recipe.seeds.scribbles_over_tags:
        return [window_affinity_step(dataset, recipe.affinity, "seeds", recipe.seed)]
    wider = replace(recipe.seeds, scribbles_over_tags=True)
    return [
        weak_seeds_step(dataset, wider, activations=True, name="affinity_seeds"),
        window_affinity_step(dataset, recipe.affinity, "affinity_seeds", recipe.seed),
    ]
