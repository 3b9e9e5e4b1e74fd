"""The plan of A2GNN."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from weakseg.data.annotations import LabelKind
from weakseg.data.dataset import Dataset
from weakseg.data.regions import deciding
from weakseg.errors import ConfigError
from weakseg.methods.a2gnn.graphs import GraphSettings, GraphSource, graph_needs, graph_walk_step
from weakseg.methods.a2gnn.jobs import A2gnnCompletion, A2gnnJob, BoxInstanceJob
from weakseg.methods.a2gnn.recipe import A2gnnRecipe
from weakseg.methods.plans import from_seam, from_tags, with_segmenter
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.settings.decode import Fusion
from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.seed import SeedConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.weak_seeds import counted
from weakseg.steps.affinity import affinity_step
from weakseg.steps.base import over_images
from weakseg.steps.decode import Kept, decode_steps
from weakseg.steps.features import FEATURES, features_step, with_stroke_features
from weakseg.steps.proposals import PROPOSALS, proposal_steps
from weakseg.steps.saliency import SALIENCY
from weakseg.steps.seed import reading_steps
from weakseg.steps.weak_seeds import weak_seeds_step
from weakseg.steps.window_affinity import FIRST, window_affinity_step


def build_plan(recipe: A2gnnRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from labels of any kind to a scored segmenter.

    Raises:
        ConfigError: If nothing would look at the activations, or saliency maps, that are asked for.
    """
    boxed = recipe.seeds.use in ("strongest", "boxes")
    kept = Kept(recipe.within_boxes and boxed, recipe.seeds.use)
    walked = recipe.walk_weight > 0 or recipe.masks_from == "walk"
    graph = _graph(recipe)
    kept_features = FEATURES in graph_needs(graph)
    steps = [
        *([features_step(dataset, recipe.free)] if kept_features else []),
        *_with_proposals(recipe, dataset, _seed_steps(recipe, dataset, recipe.free if kept_features else None)),
        *([graph_walk_step(dataset, graph, recipe.walk)] if walked else []),
        *([completed_step(recipe, dataset)] if recipe.masks_from == "network" else []),
        *_mask_steps(recipe, dataset, kept),
        *([instances_step(recipe, dataset)] if recipe.instances and boxed else []),
    ]
    if recipe.with_activations:
        _check_activations_count(steps)
        _check_saliency_counts(recipe, steps)
        seam = recipe.activations_of == "seam"
        steps = [*(from_seam(recipe, recipe.seam, dataset) if seam else from_tags(recipe, dataset)), *steps]
    return with_segmenter(recipe, dataset, steps)


def _graph(recipe: A2gnnRecipe) -> GraphSettings:
    return recipe.graph if recipe.graph_from == "affinity" else recipe.free


def completed_step(recipe: A2gnnRecipe, dataset: Dataset) -> Step:
    """Train each image's network."""
    how = A2gnnCompletion(
        _graph(recipe),
        recipe.completion,
        recipe.seeds.use,
        len(dataset.classes),
        recipe.seed,
        recipe.regions if recipe.nodes == "superpixels" else None,
    )

    def make(context: StepContext) -> A2gnnJob:
        return A2gnnJob(
            GraphSource.of(how.graph, context), context.inputs["seeds"], context.folder, how, context.device
        )

    needs = {"seeds": Kind.LABELS, **graph_needs(how.graph)}
    work = over_images(A2gnnJob, make, dataset.splits[TRAIN], source=("seeds", Kind.LABELS))
    return Step("completed", Kind.SCORES, needs, asdict(how), work)


def instances_step(recipe: A2gnnRecipe, dataset: Dataset) -> Step:
    """Split masks by boxes into objects."""

    def make(context: StepContext) -> BoxInstanceJob:
        return BoxInstanceJob(context.inputs["masks"], context.folder, recipe.overlap)

    samples = [sample for sample in dataset.splits[TRAIN] if sample.drawn.boxes] or dataset.splits[TRAIN]
    work = over_images(BoxInstanceJob, make, samples, source=("masks", Kind.LABELS))
    return Step("instances", Kind.INSTANCES, {"masks": Kind.LABELS}, {"overlap": recipe.overlap}, work)


def _seed_steps(recipe: A2gnnRecipe, dataset: Dataset, kept: FreeGraphConfig | None) -> list[Step]:
    """Return the steps to the seeds of the images' networks, and to the affinity network with seeds of its own.

    Args:
        recipe: The recipe.
        dataset: The data.
        kept: The graph whose features a step before has made; ``None``: no step has made any.
    """
    if recipe.graph_from != "affinity":
        return with_stroke_features(dataset, recipe.seeds, [_seeds_step(recipe, dataset, recipe.seeds)], graph=kept)
    own, name = affinity_seeds(recipe, dataset), "seeds"
    if recipe.masks_from == "walk":  # nothing else has seeds
        steps = [_seeds_step(recipe, dataset, own)] if recipe.affinity.trained else []
    else:
        steps = [_seeds_step(recipe, dataset, recipe.seeds)]
        if own != recipe.seeds:
            name = "affinity_seeds"
            steps.append(_seeds_step(recipe, dataset, own, name=name, role=Role.PART))
    network = window_affinity_step(dataset, recipe.affinity, recipe.seed, seeds=name)
    seeds = with_stroke_features(dataset, recipe.seeds, steps, graph=kept)
    return [*seeds, *_first_steps(recipe, dataset), network]


def _with_proposals(recipe: A2gnnRecipe, dataset: Dataset, steps: Sequence[Step]) -> list[Step]:
    """Return steps after the one in which a network proposes masks, where one of them reads these."""
    read = any(PROPOSALS in step.needs for step in steps)
    return [*(proposal_steps(dataset, recipe.seeds) if read else []), *steps]


def _seeds_step(
    recipe: A2gnnRecipe, dataset: Dataset, seeds: WeakSeedConfig, *, name: str = "seeds", role: Role = Role.SEEDS
) -> Step:
    kinds = _kinds(seeds, dataset) if recipe.with_activations else ()
    read = any(map(seeds.reads_activations, kinds))
    mapped = any(map(seeds.reads_saliency_for, kinds))
    return weak_seeds_step(dataset, seeds, activations=read, saliency=mapped, name=name, role=role)


def affinity_seeds(recipe: A2gnnRecipe, dataset: Dataset) -> WeakSeedConfig:
    """Return how seeds are made that the affinity network learns from; see ``A2gnnRecipe.affinity_seeds``."""
    seeds, wanted = recipe.seeds, recipe.affinity_seeds
    if not recipe.affinity.trained:
        return seeds
    if wanted == "confident":
        thresholds = SeedConfig() if seeds.reads_saliency else seeds.thresholds  # which nothing reads
        return replace(seeds, use="tags", tags_as="confident", thresholds=thresholds)
    if wanted != "seeds":
        return replace(seeds, boxes_as=wanted)
    followed = seeds.strokes_as == "walk"  # no more is to be said of scribbles
    wider = "scribbles" in _kinds(seeds, dataset) and recipe.with_activations and not followed
    return replace(seeds, scribbles_over_tags=True) if wider else seeds


def _kinds(seeds: WeakSeedConfig, dataset: Dataset) -> set[LabelKind]:
    """Return the kinds of labels that photographs become seeds by."""
    shown = (sample for sample in dataset.splits[TRAIN] if not sample.shows_nothing)
    return {deciding(counted(sample, seeds.use).drawn) for sample in shown}


def _first_steps(recipe: A2gnnRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps to the affinity network that another goes on with."""
    if recipe.affinity.start != "affinity":
        return []
    readings = reading_steps(dataset, recipe.readings)
    return [*readings, affinity_step(dataset, recipe.first_affinity, recipe.seed, name=FIRST)]


def _mask_steps(recipe: A2gnnRecipe, dataset: Dataset, kept: Kept) -> list[Step]:
    """Return the steps from the scores of networks, or of the walk, to masks."""
    if recipe.masks_from == "walk":
        return decode_steps(dataset, recipe.masks, "walk", kept=kept)
    fusion = Fusion(recipe.walk_weight, recipe.walk.fused) if recipe.walk_weight else None
    return decode_steps(dataset, recipe.masks, "completed", kept=kept, fusion=fusion)


def _check_activations_count(steps: Sequence[Step]) -> None:
    """Refuse activations that no step looks at: they take longer than all else."""
    if not any({"activations", "classifier"} & step.needs.keys() for step in steps):
        raise ConfigError(
            "with_activations: nothing would look at activations: every photograph has labels that become seeds "
            "without them (seeds.strokes_as, seeds.boxes_as), and the graph needs none; set it to false"
        )


def _check_saliency_counts(recipe: A2gnnRecipe, steps: Sequence[Step]) -> None:
    """Refuse saliency maps that no seeds are read off."""
    if recipe.reads_saliency and not any(SALIENCY in step.needs for step in steps):
        raise ConfigError(
            "seeds.thresholds.background: no photograph's seeds would be read off saliency maps, which join the "
            "activations of tags; leave it out"
        )
