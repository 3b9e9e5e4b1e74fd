"""What of a run may be given away: its networks, its settings without paths, what it learned from, its figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset
from weakseg.data.paths import read_classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, StoreError, cut
from weakseg.files import read_json_object, write_bytes, write_json
from weakseg.methods import METHODS
from weakseg.methods.finished import COMPARISON_FILE, FinishedRun, is_comparison, open_finished
from weakseg.methods.label import labelling_steps
from weakseg.methods.publication import LABELLER, SETTINGS_FILE
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import RECIPE_FILE, recipe_as_json
from weakseg.methods.run import COUNTS_FILE, write_classes
from weakseg.nn.weights import HEADER_KEY, MODEL_FILE, load_weights, read_header, save_weights
from weakseg.pipeline.manifests import MANIFEST, as_json
from weakseg.pipeline.plan import Kind
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.counted import FILES, FOLDERS, FOLDERS_OR_NAMES
from weakseg.settings.segment import InitConfig
from weakseg.steps.evaluate import RESULTS_FILE
from weakseg.steps.segment import SEGMENTER, in_round

What = Literal["auto", "segmenter", "labeller", "both"]
KINDS = ("segmenter", "instance segmenter")
KEPT_OF_DATA = ("format", "tags", "classes", "min_pixels", "difficult", "voc_base", "void")  # what names no file
OF_SCORES = frozenset({"name", "mean_iou", "pixel_accuracy", "coverage", "images", "missing", "iou", "protocol"})
OF_OBJECTS = frozenset({"name", "mean_ap_region", "coco", "images", "missing", "objects", "protocol"})


@dataclass(frozen=True)
class Source:
    """What is published.

    Attributes:
        model: File of the segmenter; ``None``: it is not published, or there is none.
        header: What its file says of itself.
        classes: Names of the classes.
        finished: The run, or method of a comparison; ``None``: a model alone.
        models: Files of the networks that labelling needs, by the names of their steps; empty: it is not published.
        counts: What ``data/counts.json`` says; empty where nobody has counted.
        scores: ``Score.as_json`` of what was scored.
        objects: ``InstanceScore.as_json`` of what was scored.
        remarks: What was decided for the user.
    """

    model: Path | None
    header: Mapping[str, Any]
    classes: Classes
    finished: FinishedRun | None = None
    models: Mapping[str, Path] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    scores: Sequence[Mapping[str, Any]] = ()
    objects: Sequence[Mapping[str, Any]] = ()
    remarks: tuple[str, ...] = ()

    @property
    def recipe(self) -> Recipe | None:
        """The settings, with what was decided for all images in place of ``auto``."""
        return self.finished.decided_recipe if self.finished else None


def source_of(path: Path, method: str = "", what: What = "auto") -> Source:
    """Return what there is to publish of a run, a method of a comparison, or a model.

    Args:
        path: Folder of a run or comparison; file of a model, or the folder of a training that was run alone.
        method: Which method of a comparison.
        what: Which parts; ``auto``: the segmenter, or the labeller where none was trained.

    Raises:
        StoreError: If it is nothing of these.
        CheckpointError: If a network has not been trained to the end, or is damaged.
        ConfigError: If there is no such part, or the comparison has no such method.
    """
    model = path / MODEL_FILE if (path / MODEL_FILE).is_file() else path
    if model.is_file():
        return _alone(model, method, what)
    finished = open_finished(path, method)
    name = in_round(SEGMENTER, finished.recipe.rounds)
    trained = (finished.step_folder(name) / MANIFEST).is_file()
    segmenter = what in ("segmenter", "both") or (what == "auto" and trained)
    labeller = what in ("labeller", "both") or (what == "auto" and not trained)
    if segmenter and not trained:
        raise ConfigError(
            f"{path}: no segmenter was trained; take --what labeller, or train one (weakseg compare --segmenter, or "
            "weakseg run without --until)"
        )
    file = finished.model_of(name) if segmenter else None
    header = read_header(file) if file else {}
    classes = Classes(read_classes(path, ()) or ())
    scores, objects = _scored(path, method)
    models = _models(finished, classes) if labeller else {}
    said = ("no segmenter was trained: what is published is the labeller, which needs tags",)
    remarks = said if what == "auto" and not trained else ()
    return Source(file, header, classes, finished, models, _counted(path), scores, objects, remarks)


def _alone(model: Path, method: str, what: What) -> Source:
    """Return a model of which no run tells anything."""
    header = read_header(model)
    if header.get("kind") not in KINDS:
        raise ConfigError(
            f"{model}: is a {cut(header.get('kind'))}, what is published alone is a segmenter; give its run's folder"
        )
    if method or what not in ("auto", "segmenter"):
        flag = f"--method {method}" if method else f"--what {what}"
        raise ConfigError(f"{flag}: {model} is a model alone; give the folder of its run, or leave it out")
    said = "a model alone: what it learned from and how well is not known; the folder of its run would tell"
    return Source(model, header, Classes(tuple(header["classes"])), remarks=(said,))


def _scored(folder: Path, method: str) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the scores of label maps, and of objects, of a run or of a method of a comparison."""
    if is_comparison(folder):
        entries = read_json_object(folder / COMPARISON_FILE)["methods"]
        found = next(entry for entry in entries if entry["method"] == method or not method)
        where = folder / COMPARISON_FILE
    else:
        where = folder / "evaluation" / RESULTS_FILE
        found = read_json_object(where) if where.is_file() else {}
    scores, objects = found.get("scores", []), found.get("objects", [])
    if not _are_results(scores, OF_SCORES) or not _are_results(objects, OF_OBJECTS):
        raise StoreError(f"{where}: 'scores' or 'objects' is no list of results; the same command again makes it anew")
    return scores, objects


def _are_results(values: Any, wanted: frozenset[str]) -> bool:
    """Return whether a JSON value is a list of scores."""
    return isinstance(values, list) and all(isinstance(one, dict) and wanted <= one.keys() for one in values)


def _counted(folder: Path) -> dict[str, Any]:
    """Return how many photographs a run had, by split; empty where it was made before they were counted."""
    path = folder / COUNTS_FILE
    counts = read_json_object(path) if path.is_file() else {}
    splits = counts.get("splits", {})
    if not isinstance(splits, dict) or not all(
        isinstance(told, dict) and {"images", "labels", "showing"} <= told.keys() for told in splits.values()
    ):
        raise StoreError(f"{path}: does not say how many photographs there are; the same command again counts them")
    return counts


def _models(finished: FinishedRun, classes: Classes) -> dict[str, Path]:
    """Return the files of the networks that lead from tags to masks, by the names of their steps."""
    nobody = Dataset(classes, {"train": (WeakSample("photograph", Path("photograph.jpg"), Tags(frozenset())),)})
    recipe = labelling_recipe(finished)
    steps = labelling_steps(recipe, nobody, METHODS[recipe.method].build(recipe, nobody))
    if not steps:
        raise ConfigError(
            f"{finished.folder}: method {recipe.method!r} has no labeller, for it does not start from tags; take "
            "--what segmenter"
        )
    return {step.name: finished.model_of(step.name) for step in steps if step.kind == Kind.MODEL}


def labelling_recipe(finished: FinishedRun) -> Recipe:
    """Return the settings that label with networks that are trained, wherever they lie.

    Raises:
        ConfigError: If they name files that a reader of the publication would not have.
    """
    recipe: Recipe = replace(_without_starts(finished.decided_recipe), data=DataConfig())
    named = [f"{name} = {value}" for name, value in _named_files(recipe_as_json(recipe)) if value]
    if named:
        raise ConfigError(
            f"{finished.folder}: its labeller reads files that nobody else has ({', '.join(named[:3])}); take --what "
            "segmenter"
        )
    return recipe


def _without_starts(value: Any) -> Any:
    """Return settings whose networks start from no file: what they learned is in their own."""
    if isinstance(value, BackboneConfig):
        return replace(value, weights="none", file="") if value.weights == "file" else value
    if isinstance(value, InitConfig):
        return InitConfig()
    if not is_dataclass(value) or isinstance(value, type | DataConfig):
        return value
    return replace(value, **{one.name: _without_starts(getattr(value, one.name)) for one in fields(value) if one.init})


def _named_files(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return name and value of all settings that name files and folders."""
    found: list[tuple[str, Any]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += _named_files(value, f"{prefix}{key}.")
        elif _is_path(key, str(value)):
            found.append((f"{prefix}{key}", value))
    return found


def without_paths(settings: Any) -> Any:
    """Return JSON values in which settings that name files and folders keep the last part of the name alone."""
    if isinstance(settings, Mapping):
        return {
            key: Path(value).name if isinstance(value, str) and _is_path(key, value) else without_paths(value)
            for key, value in settings.items()
        }
    return [without_paths(value) for value in settings] if isinstance(settings, list | tuple) else settings


def _is_path(key: str, value: str) -> bool:
    """Return whether a setting leads to a place on this machine; names on a hub have slashes, too."""
    leads = value.startswith("~") or Path(value).is_absolute() or Path(value).is_dir()
    return key in FILES | FOLDERS or (key in FOLDERS_OR_NAMES and bool(value) and leads)


def shared_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a run as JSON values, without what names files of the one who ran it."""
    found: dict[str, Any] = without_paths(recipe_as_json(recipe))
    found["data"] = {key: value for key, value in found["data"].items() if key in KEPT_OF_DATA}
    return found


def write_model(source: Path, target: Path) -> None:
    """Write a model file again, whose header names no folder of the one who trained it."""
    header = without_paths(read_header(source))
    save_weights(target, load_weights(source), {HEADER_KEY: json.dumps(header)})


def write_parts(source: Source, folder: Path) -> dict[str, Any]:
    """Write networks and settings into a folder, and return what ``config.json`` says of them."""
    recipe = source.recipe
    if source.model:
        write_model(source.model, folder / MODEL_FILE)
    if recipe:
        text = yaml.safe_dump(as_json(shared_settings(recipe)), sort_keys=False, allow_unicode=True)
        write_bytes(folder / SETTINGS_FILE, text.encode())
    if source.finished and source.models:
        _write_labeller(source, source.finished, folder / LABELLER)
    return {
        "method": recipe.method if recipe else None,
        "seed": recipe.seed if recipe else None,
        "kind": source.header.get("kind"),
        "classes": list(source.classes.names),
        "segmenter": MODEL_FILE if source.model else None,
        LABELLER: LABELLER if source.models else None,
    }


def _write_labeller(source: Source, finished: FinishedRun, folder: Path) -> None:
    """Write a folder that is opened as a finished run, of which the networks alone are there."""
    write_json(folder / RECIPE_FILE, recipe_as_json(labelling_recipe(finished)))
    write_classes(folder, source.classes.names)
    for name, model in source.models.items():
        write_model(model, folder / name / MODEL_FILE)
        write_json(folder / name / MANIFEST, {"step": name, "complete": True})
