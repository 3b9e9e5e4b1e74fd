"""Several methods on the same data: what they share is computed once, what they differ in is measured."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.errors import ConfigError
from weakseg.files import read_json, write_bytes, write_json
from weakseg.methods import METHODS
from weakseg.methods.figures import MethodFigures, final_product, measure
from weakseg.methods.recipes import recipe_as_json
from weakseg.pipeline.intake import Intake, take_in
from weakseg.pipeline.jobs import release_models
from weakseg.pipeline.plan import Failure, Kind, Step, check_plan
from weakseg.pipeline.recipe import Recipe
from weakseg.pipeline.runner import RunOptions, run_plan, step_folders, step_keys, write_failures
from weakseg.pipeline.steps import RESULTS_FILE, ImageWork, evaluation_step
from weakseg.pipeline.store import Store, hash_of, keyed_place

logger = logging.getLogger(__name__)

OF_SEGMENTER = (Kind.SEGMENTER, Kind.PREDICTIONS)


@dataclass(frozen=True)
class ComparedMethod:
    """One method of a comparison.

    Attributes:
        name: As in ``METHODS``, or as the shared recipe calls a variant.
        recipe: Its settings.
        folders: Where the products of each of its steps are.
        masks: Name of the step that made its masks; empty where none did.
        scores: ``Score.as_json`` of each product that was scored, by the name of its step.
        objects: ``InstanceScore.as_json`` likewise.
        figures: What methods are compared by.
        failures: Images that some step of it could not do.
    """

    name: str
    recipe: Recipe
    folders: Mapping[str, Path]
    masks: str
    scores: Mapping[str, Mapping[str, Any]]
    objects: Mapping[str, Mapping[str, Any]]
    figures: MethodFigures
    failures: Sequence[Failure]


@dataclass(frozen=True)
class Comparison:
    """What a comparison left.

    Attributes:
        folder: Holds ``results.json`` and ``steps``.
        methods: In the order in which they were asked for.
        failures: Of all methods, each once; also in ``failures.csv``.
    """

    folder: Path
    methods: tuple[ComparedMethod, ...]
    failures: Sequence[Failure]


def compare_methods(
    recipes: Mapping[str, Recipe], out: Path, options: RunOptions | None = None, *, segmenter: bool = False
) -> Comparison:
    """Carry out several methods in one folder; a step that two of them have in common is computed once.

    A later call finds every finished step again, also one with other methods or settings.

    Args:
        recipes: From ``load_recipes``, by method; all of the same data.
        out: Gets ``steps``, one folder for each step and key, and ``results.json``.
        options: Processes and device.
        segmenter: Whether segmenters are trained and applied too.

    Raises:
        ConfigError: If the recipes are of different data or a plan does not fit together; nothing has run then.
        DataError: If the data set cannot be used.
        StoreError: If ``out`` cannot be written.
    """
    options = (options or RunOptions()).resolve()
    data = _common_data(recipes)
    dataset = open_dataset(data)
    for recipe in recipes.values():
        check_plan(METHODS[recipe.method].build(recipe, dataset))
    store = Store(out, place=keyed_place)
    intake = take_in(dataset, out / "data" / "images", workers=options.workers)
    content_key = hash_of({"classes": list(dataset.classes.names), "images": dict(intake.content)})
    write_bytes(out / "classes.txt", ("\n".join(dataset.classes.names) + "\n").encode())
    work = _Work(store, content_key, options, intake, segmenter)
    compared = tuple(work.carry_out(name, recipe) for name, recipe in recipes.items())
    failures = list(dict.fromkeys(failure for method in compared for failure in method.failures))
    write_failures(out, failures)
    write_json(out / RESULTS_FILE, {"methods": [_as_json(method, out) for method in compared]})
    return Comparison(out, compared, failures)


def labelling_plan(steps: Sequence[Step], *, segmenter: bool) -> tuple[list[Step], set[str]]:
    """Return a method's plan without evaluation, and the names of its steps that the evaluation would score.

    Args:
        steps: From the method's ``build``.
        segmenter: Whether to keep the segmenter, its predictions, and what needs them.
    """
    left_out: set[str] = set()
    for step in steps:
        of_segmenter = step.produces in OF_SEGMENTER or not left_out.isdisjoint(step.needs)
        if step.produces == Kind.EVALUATION or (of_segmenter and not segmenter):
            left_out.add(step.name)
    scored = {name for step in steps if step.produces == Kind.EVALUATION for name in step.needs}
    return [step for step in steps if step.name not in left_out], scored - left_out


@dataclass(frozen=True)
class _Work:
    """Carries out one method after the other, and remembers what was scored, and by what code a key was made."""

    store: Store
    content_key: str
    options: RunOptions
    intake: Intake
    segmenter: bool
    scores: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)

    def carry_out(self, name: str, recipe: Recipe) -> ComparedMethod:
        """Run what is missing of a method's plan, score what has not been scored, and measure it."""
        logger.info("method %s", name)
        release_models()  # what the method before keeps in memory is none of this one's
        dataset = self.intake.dataset
        steps, scored = labelling_plan(METHODS[recipe.method].build(recipe, dataset), segmenter=self.segmenter)
        keys = step_keys(steps, self.content_key)
        self._refuse_other_code(name, steps, keys)
        plan = [*steps, evaluation_step(dataset, recipe.data, self._unscored(steps, scored, keys))]
        failures = run_plan(plan, self.store, self.content_key, self.options, failures=self.intake.failures)
        folders = step_folders(plan, self.store, self.content_key)
        found = read_json(folders.pop(plan[-1].name) / RESULTS_FILE)
        self.scores.update({keys[score["name"]]: score for score in (*found["scores"], *found["objects"])})
        known = {step.name: self.scores[keys[step.name]] for step in steps if keys[step.name] in self.scores}
        figures = measure(steps, folders, known)
        instances = {step.name for step in steps if step.produces == Kind.INSTANCES}
        scores = {name: score for name, score in known.items() if name not in instances}
        objects = {name: score for name, score in known.items() if name in instances}
        return ComparedMethod(name, recipe, folders, final_product(steps), scores, objects, figures, failures)

    def _unscored(self, steps: Sequence[Step], scored: set[str], keys: Mapping[str, str]) -> list[Step]:
        return [step for step in steps if step.name in scored and keys[step.name] not in self.scores]

    def _refuse_other_code(self, name: str, steps: Sequence[Step], keys: Mapping[str, str]) -> None:
        """Refuse to take for a step of this method what other code made under the same key."""
        for step in steps:
            work = step.work.job if isinstance(step.work, ImageWork) else step.work
            code = f"{work.__module__}.{getattr(work, '__qualname__', '')}"
            if self.codes.setdefault(keys[step.name], code) != code:
                raise ConfigError(
                    f"method {name}: step {step.name!r} has the name, settings and needs of a step of another method, "
                    f"but other code: {code} and {self.codes[keys[step.name]]}; rename one of them"
                )


def _common_data(recipes: Mapping[str, Recipe]) -> DataConfig:
    """Return the data section of all recipes."""
    if not recipes:
        raise ConfigError("a comparison needs at least one method")
    sections = {name: recipe.data for name, recipe in recipes.items()}
    first, *others = sections
    for name in others:
        if sections[name] != sections[first]:
            raise ConfigError(f"methods {first} and {name} have different data; a comparison is on the same data")
    return sections[first]


def _as_json(method: ComparedMethod, out: Path) -> dict[str, Any]:
    return {
        "method": method.name,
        "figures": asdict(method.figures),
        "masks": method.masks,
        "steps": {name: str(folder.relative_to(out)) for name, folder in method.folders.items()},
        "scores": list(method.scores.values()),
        "objects": list(method.objects.values()),
        "failures": [asdict(failure) for failure in method.failures],
        "settings": recipe_as_json(method.recipe),
    }
