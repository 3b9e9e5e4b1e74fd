"""Masks of new images with what a run has trained."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from weakseg.data.classes import Classes
from weakseg.data.dataset import open_labelled_folder
from weakseg.data.paths import read_classes
from weakseg.errors import ConfigError
from weakseg.files import write_bytes
from weakseg.methods import METHODS
from weakseg.methods.figures import TRAININGS, final_product, way_to
from weakseg.methods.recipes import RECIPE_FILE, recipe_as_json
from weakseg.methods.run import CONTENT_FILE, RunResult, load_run
from weakseg.nn.weights import MODEL_FILE, read_header
from weakseg.pipeline.intake import take_in
from weakseg.pipeline.plan import Step, StepContext, StepResult
from weakseg.pipeline.runner import RunOptions, run_plan
from weakseg.pipeline.store import Store, hash_of


def label_images(run: Path, images: Path, labels: Path, out: Path, options: RunOptions | None = None) -> RunResult:
    """Make masks of new tagged images with the networks that a run has trained.

    Args:
        run: A run folder of a method that starts from tags.
        images: Folder of the new images.
        labels: Their tags: CSV, JSON or JSONL, with the classes of the run.
        out: Gets a folder for each step that leads to ``masks``; can be resumed.
        options: Processes and device.

    Raises:
        ConfigError: If the run's method has no labeller.
        CheckpointError: If a network has not been trained to the end.
    """
    recipe = load_run(run)
    if not hasattr(recipe, "classifier"):
        raise ConfigError(
            f"{run}: method {recipe.method!r} has no labeller; use a run of a method that starts from tags"
        )
    options = (options or RunOptions()).resolve()
    dataset = open_labelled_folder(images, labels, Classes(read_classes(run, ()) or ()))
    build = METHODS[recipe.method].build
    models = _models(build(recipe, dataset), run)
    store = Store(out)
    intake = take_in(dataset, out / "data" / "images", workers=options.workers)
    content = {"models": {name: _digest(path) for name, path in models.items()}, "images": dict(intake.content)}
    store.settle(RECIPE_FILE, recipe_as_json(recipe), "settings of the run")
    store.settle(CONTENT_FILE, content, "images, labels or models")
    plan = build(recipe, intake.dataset)
    steps = [_trained(step, models[step.name]) if step.name in models else step for step in plan]
    way = way_to(steps, final_product(steps))
    return RunResult(out, run_plan(way, store, hash_of(content), options, failures=intake.failures))


def _models(steps: Sequence[Step], run: Path) -> dict[str, Path]:
    """Return the files of the networks that lead to the masks, by step."""
    way = way_to(steps, final_product(steps))
    trained = [step for step in way if step.produces in TRAININGS]
    for step in trained:
        read_header(run / step.name / MODEL_FILE)
    return {step.name: run / step.name / MODEL_FILE for step in trained}


def _trained(step: Step, model: Path) -> Step:
    """Return a training step that takes what it trained before; what only the training needed falls out of the plan."""

    def work(context: StepContext) -> StepResult:
        write_bytes(context.folder / MODEL_FILE, model.read_bytes())
        return StepResult()

    return Step(step.name, step.produces, {}, {"model": _digest(model)}, work)


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
