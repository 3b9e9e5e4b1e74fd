"""What a run, or one method of a comparison, has left: its recipe, and where the products of its steps are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from weakseg.errors import CheckpointError, ConfigError, StoreError, cut, quoted
from weakseg.files import read_json_object, write_json
from weakseg.methods import METHODS
from weakseg.methods.publication import is_publication, open_publication
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import RECIPE_FILE, load_recipe, parse_recipe
from weakseg.nn.weights import MODEL_FILE, read_header
from weakseg.pipeline.manifests import MANIFEST
from weakseg.settings.old_words import refuse_old_words
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.steps.decided import decided, decided_masks, decided_seeds
from weakseg.steps.segment import SEGMENTER, in_round

PLACE_FILE = "data/place.json"
COMPARISON_FILE = "results.json"


@dataclass(frozen=True)
class FinishedRun:
    """A run folder, or one method of a comparison's folder.

    Attributes:
        folder: The folder.
        recipe: With the data root that was last used.
        places: Folder of each step below ``folder``; a step that is not named has that of its name.
    """

    folder: Path
    recipe: Recipe
    places: Mapping[str, str] = field(default_factory=dict)

    def step_folder(self, name: str) -> Path:
        """Return where the products of a step are."""
        return self.folder / self.places.get(name, name)

    @property
    def decided_recipe(self) -> Recipe:
        """The recipe, with what its seeds and masks have decided for all images in place of ``auto``."""
        found: dict[str, Any] = {}
        for name, section in vars(self.recipe).items():
            if isinstance(section, SeedConfig | RefineConfig):
                told, kept = (
                    decided(self.step_folder(name)),
                    replace(section, check_crf=False),
                )
                found[name] = decided_seeds(kept, told) if isinstance(kept, SeedConfig) else decided_masks(kept, told)
        return replace(self.recipe, **found)

    def model_of(self, name: str) -> Path:
        """Return the file of the network that a step has trained, by the step's name.

        Raises:
            CheckpointError: If it has not been trained to the end, or its file is damaged.
        """
        folder = self.step_folder(name)
        manifest = read_json_object(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
        if not manifest.get("complete"):
            raise CheckpointError(f"{folder}: {name!r} has not been trained to the end; finish the run first")
        read_header(folder / MODEL_FILE)
        return folder / MODEL_FILE


def open_finished(folder: Path, method: str = "") -> FinishedRun:
    """Return what a folder holds.

    Args:
        folder: Of a run, or of a comparison.
        method: Which method of a comparison; may be left out where there is one.

    Raises:
        StoreError: If it is neither.
        ConfigError: If the comparison has no such method, or several and none is named.
    """
    if (folder / RECIPE_FILE).is_file():
        recipe = load_recipe(str(folder / RECIPE_FILE), _root_words(folder))
        if method not in ("", recipe.method):
            raise ConfigError(f"{folder}: is a run of {recipe.method!r}, not of {method!r}; leave the method out")
        return FinishedRun(folder, recipe)
    if not is_finished(folder):
        raise StoreError(
            f"{folder}: no run folder ({RECIPE_FILE} is missing) and no comparison ({COMPARISON_FILE} is missing); "
            "weakseg run and weakseg compare make them"
        )
    entry = _entry(folder, method)
    settings = entry["settings"]
    refuse_old_words(settings, str(folder / COMPARISON_FILE))
    words = ["--config", json.dumps(settings), *_root_words(folder)]
    return FinishedRun(folder, parse_recipe(_method_of(settings, folder), words, str(folder)), entry["steps"])


def segmenter_of(path: Path, method: str = "") -> Path:
    """Return a model file: as given, that of a published folder, or the last segmenter of a run or compared method.

    Raises:
        ConfigError: If a method is named of what is no comparison.
        CheckpointError: If the segmenter has not been trained to the end.
    """
    if is_finished(path):
        finished = open_finished(path, method)
        return finished.model_of(in_round(SEGMENTER, finished.recipe.rounds))
    if method:
        raise ConfigError(f"--method: {path} is no folder of a comparison; leave it out")
    return open_publication(path).model if is_publication(path) else path


def is_finished(folder: Path) -> bool:
    """Return whether a path is the folder of a run or of a comparison."""
    return (folder / RECIPE_FILE).is_file() or is_comparison(folder)


def is_comparison(folder: Path) -> bool:
    """Return whether a path is the folder of a comparison; other results have the same name, but no methods."""
    path = folder / COMPARISON_FILE
    return path.is_file() and not (folder / RECIPE_FILE).is_file() and "methods" in read_json_object(path)


def remember_place(folder: Path, recipe: Recipe) -> None:
    """Write where the data lay when the folder was last worked on."""
    write_json(folder / PLACE_FILE, {"root": str(Path(recipe.data.root).expanduser().resolve())})


def _entry(folder: Path, method: str) -> Mapping[str, Any]:
    """Return what the comparison says of a method."""
    entries = _entries(folder / COMPARISON_FILE)
    if not method and len(entries) == 1:
        return next(iter(entries.values()))
    if method not in entries:
        what = f"has no method {method!r}" if method else "is a comparison of several methods"
        raise ConfigError(f"{folder}: {what}; name one by --method: {', '.join(entries)}")
    return entries[method]


def _entries(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return what a comparison says of its methods, by name.

    Raises:
        StoreError: If an entry lacks something, or is of another kind.
    """
    found: dict[str, Mapping[str, Any]] = {}
    methods = read_json_object(path).get("methods")
    for entry in methods if isinstance(methods, list) else [None]:
        if not isinstance(entry, dict) or not isinstance(entry.get("method"), str):
            raise StoreError(f"{path}: 'methods' is no list of named methods; restore it, or compare again")
        settings, steps = entry.get("settings"), entry.get("steps")
        if not isinstance(settings, dict) or not isinstance(steps, dict) or not all(map(_is_below, steps.values())):
            raise StoreError(f"{path}: method {quoted(entry['method'])} has no settings or steps; compare again")
        found[entry["method"]] = entry
    return found


def _is_below(place: object) -> bool:
    """Return whether the place of a step is a path below the folder."""
    return isinstance(place, str) and not Path(place).is_absolute() and ".." not in Path(place).parts


def _method_of(settings: Mapping[str, Any], folder: Path) -> str:
    method = settings.get("method")
    if not isinstance(method, str) or method not in METHODS:
        raise StoreError(f"{folder}: is of method {cut(repr(method))}, which is unknown; compare again")
    return method


def _root_words(folder: Path) -> list[str]:
    path = folder / PLACE_FILE
    root = read_json_object(path).get("root") if path.exists() else "."
    if not isinstance(root, str):
        raise StoreError(f"{path}: 'root' must be text, got {cut(repr(root))}; delete the file")
    return ["--data.root", root]
