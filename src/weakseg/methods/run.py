"""A whole run: recipe and data to a run folder; and what a finished run can do for new images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakseg.data.dataset import open_dataset, open_labelled_folder
from weakseg.errors import ConfigError, StoreError
from weakseg.files import read_json, write_bytes, write_json
from weakseg.methods import METHODS
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.recipes import RECIPE_FILE, load_recipe, recipe_as_json
from weakseg.pipeline.intake import take_in
from weakseg.pipeline.plan import Failure, check_plan
from weakseg.pipeline.recipe import Recipe
from weakseg.pipeline.runner import RunOptions, run_plan
from weakseg.pipeline.steps import activations_step, masks_step, seeds_step
from weakseg.pipeline.store import Store, hash_of
from weakseg.stages.classify import MODEL_FILE, load_classifier

CONTENT_FILE = "data/content.json"
PLACE_FILE = "data/place.json"


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        folder: The run folder.
        failures: Images that some step could not do; also in ``failures.csv``.
    """

    folder: Path
    failures: Sequence[Failure]


def run_recipe(recipe: Recipe, out: Path, options: RunOptions | None = None) -> RunResult:
    """Carry out a recipe in ``out``; an interrupted run goes on where it stopped.

    Args:
        recipe: From ``load_recipe``.
        out: The run folder; new, or of the same recipe and data.
        options: Processes and device.

    Raises:
        ConfigError: If the plan does not fit together; nothing has run then.
        DataError: If the data set cannot be used.
        StoreError: If ``out`` was made with other settings or data, or cannot be written.
    """
    options = (options or RunOptions()).resolve()
    dataset = open_dataset(recipe.data)
    build = METHODS[recipe.method].build
    check_plan(build(recipe, dataset))
    store = Store(out)
    store.settle(RECIPE_FILE, recipe_as_json(recipe), "settings")
    intake = take_in(dataset, out / "data" / "images", workers=options.workers)
    content = {"classes": list(dataset.classes.names), "images": dict(intake.content)}
    store.settle(CONTENT_FILE, content, "images or labels")
    write_json(out / PLACE_FILE, {"root": str(Path(recipe.data.root).expanduser().resolve())})
    write_bytes(out / "classes.txt", ("\n".join(dataset.classes.names) + "\n").encode())
    steps = build(recipe, intake.dataset)
    return RunResult(out, run_plan(steps, store, hash_of(content), options, failures=intake.failures))


def load_run(folder: Path) -> Recipe:
    """Return the recipe of a run folder, with the data root that was last used.

    Raises:
        StoreError: If ``folder`` is no run folder.
    """
    if not (folder / RECIPE_FILE).is_file():
        raise StoreError(f"{folder}: no run folder ({RECIPE_FILE} is missing); weakseg run makes one")
    place = read_json(folder / PLACE_FILE) if (folder / PLACE_FILE).exists() else {"root": "."}
    return load_recipe(str(folder / RECIPE_FILE), ["--data.root", place["root"]])


def label_images(run: Path, images: Path, labels: Path, out: Path, options: RunOptions | None = None) -> RunResult:
    """Make masks of new tagged images with the trained labeller of a run.

    Args:
        run: A run folder of a method that trains a labeller.
        images: Folder of the new images.
        labels: Their tags: CSV, JSON or JSONL, with the classes of the run.
        out: Gets ``activations``, ``seeds`` and ``masks``; can be resumed.
        options: Processes and device.

    Raises:
        ConfigError: If the run's method has no labeller.
        CheckpointError: If the classifier has not been trained to the end.
    """
    recipe = load_run(run)
    if not isinstance(recipe, CamRecipe):
        raise ConfigError(
            f"{run}: method {recipe.method!r} has no labeller; use a run of a method that starts from tags"
        )
    options = (options or RunOptions()).resolve()
    model = run / "classifier" / MODEL_FILE
    _, classes = load_classifier(model)
    dataset = open_labelled_folder(images, labels, classes)
    store = Store(out)
    intake = take_in(dataset, out / "data" / "images", workers=options.workers)
    content = {"model": hashlib.blake2b(model.read_bytes()).hexdigest(), "images": dict(intake.content)}
    store.settle(RECIPE_FILE, recipe_as_json(recipe), "settings of the run")
    store.settle(CONTENT_FILE, content, "images, labels or model")
    steps = [
        activations_step(intake.dataset, recipe.activations, model=model),
        seeds_step(intake.dataset, recipe.seeds),
        masks_step(intake.dataset, recipe.masks, recipe.seeds),
    ]
    return RunResult(out, run_plan(steps, store, hash_of(content), options, failures=intake.failures))
