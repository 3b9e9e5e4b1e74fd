"""Masks of new images with what a run has trained."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset, open_labelled_folder
from weakseg.data.paths import read_classes
from weakseg.errors import ConfigError
from weakseg.methods import METHODS
from weakseg.methods.finished import open_finished
from weakseg.methods.publication import labeller_of
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import recipe_as_json
from weakseg.methods.run import CONTENT_FILE, RunResult, write_classes
from weakseg.pipeline.intake import take_in
from weakseg.pipeline.keys import digest_of, hash_of
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import TRAIN, Kind, Step, result_of, way_to
from weakseg.pipeline.runner import run_plan
from weakseg.pipeline.shards import run_shard
from weakseg.pipeline.store import Store
from weakseg.steps.base import given_model
from weakseg.steps.reliability import LIST_FILE, RELIABILITY, reliability_step, write_list
from weakseg.steps.saliency import check_weights
from weakseg.steps.segment import PREDICTIONS, SEGMENTER, in_round, restricted_step

LABEL_FILE = "label.json"
"""Settings of the run that labelled; not called as a run's, for the folder is none."""


def label_images(
    run: Path, images: Path, labels: Path, out: Path, options: RunOptions | None = None, *, method: str = ""
) -> RunResult:
    """Make masks of new tagged images with the networks that a run, or a method of a comparison, has trained.

    ``masks.csv`` lists them with their reliability.

    Args:
        run: Folder of a run of a method that starts from tags, of a comparison, or a published one with its labeller.
        images: Folder of the new images.
        labels: Their tags: CSV, JSON or JSONL, with the classes of the run.
        out: Gets a folder for each step that leads to the masks; can be resumed.
        options: Processes and device.
        method: Which method of a comparison.

    Raises:
        ConfigError: If the method has no labeller, or reads saliency maps of files, or by weights that are not there.
        CheckpointError: If a network has not been trained to the end.
    """
    finished = open_finished(run := labeller_of(run), method)
    recipe = finished.decided_recipe
    build = METHODS[recipe.method].build
    options = (options or RunOptions()).resolve()
    dataset = open_labelled_folder(images, labels, Classes(read_classes(run, ()) or ()))
    way = labelling_steps(recipe, dataset, build(recipe, dataset))
    if not way:
        raise ConfigError(
            f"{run}: method {recipe.method!r} has no labeller; use a run of a method that starts from tags"
        )
    _check_maps(recipe, way)
    models = {step.name: finished.model_of(step.name) for step in way if step.kind == Kind.MODEL}
    share = options.share
    with Store(out, share=share) as store:
        intake = take_in(dataset, out / "data" / "images", engine=options.make_engine(), learns=False, share=share)
        digests = {name: digest_of(path) for name, path in models.items()}
        content = {"models": digests, "images": dict(intake.content)}
        plan = [
            given_model(step, models[step.name], digests[step.name]) if step.name in models else step
            for step in labelling_steps(recipe, intake.dataset, build(recipe, intake.dataset))
        ]
        write_classes(out, dataset.classes.names)
        told, way = {LABEL_FILE: recipe_as_json(recipe), CONTENT_FILE: content}, way_to(plan, plan[-1].name)
        way.append(reliability_step(intake.dataset, way, way[-1]))
        if share:
            shard = run_shard(way, store, hash_of(content), options, failures=intake.failures, told=told)
            return RunResult(out, shard.failures, out / plan[-1].name, shard=shard)
        failures = run_plan(way, store, hash_of(content), options, failures=intake.failures, told=told)
        masks, ids = out / plan[-1].name, [sample.id for sample in intake.dataset.splits[TRAIN]]
        write_list(out / LIST_FILE, dataset.classes, ids, out / RELIABILITY, masks)
    return RunResult(out, failures, masks)


def labelling_steps(recipe: Recipe, dataset: Dataset, plan: Sequence[Step]) -> list[Step]:
    """Return the steps from trained networks to masks of tagged images, which come last.

    Of one round these are the method's own; of several its last segmenter, and what tags leave of its predictions.

    Args:
        recipe: Of the run.
        dataset: The images.
        plan: Of the method, for them.

    Returns:
        None where the method does not start from tags and has one round.
    """
    if recipe.rounds > 1:
        steps = {step.name: step for step in plan}
        model, predictions = (steps[in_round(name, recipe.rounds)] for name in (SEGMENTER, PREDICTIONS))
        return [model, restricted_step(dataset, recipe.predictions, model.name, predictions.settings["init"])]
    result = result_of(plan)
    way = way_to(plan, result.name) if result else []
    return way if any(step.kind == Kind.ACTIVATIONS for step in way) else []


def _check_maps(recipe: Recipe, way: Sequence[Step]) -> None:
    """Refuse saliency maps that new images do not have, where labelling reads any."""
    untrained = [replace(step, needs={}) if step.kind == Kind.MODEL else step for step in way]
    if not any(step.kind == Kind.SALIENCY for step in way_to(untrained, way[-1].name)):
        return
    if recipe.saliency_maps.detector == "files":
        raise ConfigError(
            "saliency.detector: the run has read its maps from files, and new images have none; label them with a run "
            "that names a detector"
        )
    check_weights(recipe.saliency_maps)
