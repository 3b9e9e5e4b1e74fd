"""A whole run: recipe and data to a run folder; and what a finished run can do for new images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakseg.data.dataset import open_dataset
from weakseg.errors import StoreError
from weakseg.files import read_json, write_bytes, write_json
from weakseg.methods import METHODS
from weakseg.methods.recipes import RECIPE_FILE, load_recipe, recipe_as_json
from weakseg.pipeline.intake import take_in
from weakseg.pipeline.plan import Failure, check_plan
from weakseg.pipeline.recipe import Recipe
from weakseg.pipeline.runner import RunOptions, run_plan
from weakseg.pipeline.store import Store, hash_of

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
