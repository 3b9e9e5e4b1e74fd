"""Several methods on the same data: what they share is computed once, what they differ in is measured."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from weakseg.crew import crew
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.errors import ConfigError
from weakseg.files import read_json, write_json
from weakseg.methods import METHODS
from weakseg.methods.figures import MethodFigures, measure_lists
from weakseg.methods.finished import COMPARISON_FILE, remember_place
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import recipe_as_json
from weakseg.methods.run import check_saliency_is_read, write_classes, write_counts
from weakseg.pipeline.intake import Intake, take_in
from weakseg.pipeline.keys import hash_of, step_keys
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Failure, Kind, Role, Step, result_of, steps_until
from weakseg.pipeline.runner import run_plan, step_folders, write_failures
from weakseg.pipeline.shards import ShardResult, failures_of, run_shard
from weakseg.pipeline.shared import take_part
from weakseg.pipeline.store import Store, keyed_place
from weakseg.steps.base import forget_models
from weakseg.steps.evaluate import RESULTS_FILE, evaluation_step
from weakseg.steps.proposals import proposer_of
from weakseg.steps.saliency import saliency_of

logger = logging.getLogger(__name__)

Score = Mapping[str, Any]
Scores = Mapping[str, Sequence[Score]]


@dataclass(frozen=True)
class MethodProducts:
    """What a method made.

    Attributes:
        steps: Its plan, without evaluation.
        folders: Where the products of each step are, by name.
        scored: ``Score.as_json`` or ``InstanceScore.as_json`` of each product that was scored, by name; one for each
            list that it was scored on.
    """

    steps: Sequence[Step]
    folders: Mapping[str, Path]
    scored: Scores

    @property
    def result(self) -> str:
        """Name of the step that made the masks; empty where none did."""
        step = result_of(self.steps)
        return step.name if step else ""

    @property
    def compared(self) -> str:
        """Name of the step that methods are compared by: that of the masks, else the last one."""
        return self.result or self.steps[-1].name

    @property
    def result_scores(self) -> Sequence[Score]:
        """``Score.as_json`` of what methods are compared by, for each list; none where it was not scored."""
        return self.scored.get(self.compared, ())

    @property
    def saliency(self) -> dict[str, Any]:
        """What is to be said of the saliency maps that the masks depend on; empty where there are none."""
        return saliency_of(self.steps, self.result)

    @property
    def told(self) -> dict[str, Any]:
        """What is to be said of what the masks depend on: of saliency maps, and of a proposer other than GrabCut."""
        found = {"saliency": self.saliency, "proposer": proposer_of(self.steps, self.compared)}
        return {name: said for name, said in found.items() if said}

    @property
    def activations(self) -> Path | None:
        """Folder of the activations, where there are any."""
        return next((self.folders[step.name] for step in self.steps if step.kind == Kind.ACTIVATIONS), None)

    @property
    def scores(self) -> list[Score]:
        """Of label maps and activations."""
        return [score for name, rows in self.scored.items() if name not in self._instances for score in rows]

    @property
    def objects(self) -> list[Score]:
        """Of instances."""
        return [score for name, rows in self.scored.items() if name in self._instances for score in rows]

    @property
    def _instances(self) -> set[str]:
        return {step.name for step in self.steps if step.kind == Kind.INSTANCES}


@dataclass(frozen=True)
class ComparedMethod:
    """One method of a comparison.

    Attributes:
        name: As in ``METHODS``, or as the shared recipe calls a variant.
        recipe: Its settings.
        products: What it made.
        figures: What methods are compared by.
        failures: Images that some step of it could not do.
    """

    name: str
    recipe: Recipe
    products: MethodProducts
    figures: MethodFigures
    failures: Sequence[Failure]


@dataclass(frozen=True)
class Comparison:
    """What a comparison left.

    Attributes:
        folder: Holds ``results.json`` and ``steps``.
        methods: In the order in which they were asked for.
        failures: Of all methods, each once; also in ``failures.csv``.
        dataset: As it was opened; ``None``: it is opened anew where it is needed.
        shards: What a shard has done of each method, which are not compared then.
    """

    folder: Path
    methods: tuple[ComparedMethod, ...]
    failures: Sequence[Failure]
    dataset: Dataset | None = None
    shards: Mapping[str, ShardResult] = field(default_factory=dict)


def compare_methods(
    recipes: Mapping[str, Recipe],
    out: Path,
    options: RunOptions | None = None,
    *,
    segmenter: bool = False,
    until: str = "",
) -> Comparison:
    """Carry out several methods in one folder; a step that two of them have in common is computed once.

    Of several processes of a command the first alone plans and writes; the others take part in its trainings, and get a
    comparison without methods. A later call finds every finished step again, also one with other methods or settings.

    Args:
        recipes: From ``load_recipes``, by method; all of the same data.
        out: Gets ``steps``, one folder for each step and key, and ``results.json``.
        options: Processes and device.
        segmenter: Whether segmenters are trained and applied too.
        until: Name of the last step, ``activations`` for example; empty: all are carried out.

    Raises:
        ConfigError: If the recipes are of different data, a plan does not fit together, or has no step of the name
            ``until``; nothing has run then.
        DataError: If the data set cannot be used.
        StoreError: If ``out`` cannot be written.
    """
    options = (options or RunOptions()).resolve()
    until, options = until or options.until, replace(options, until="")  # each method has an evaluation behind it
    data = _common_data(recipes)
    check_saliency_is_read(list(recipes.values()))
    dataset = open_dataset(data)
    for recipe in recipes.values():
        steps = METHODS[recipe.method].build(recipe, dataset)
        step_keys(steps, "")  # what cannot run ends here, before anything has
        compared_plan(steps, segmenter=segmenter, until=until)
    if crew().follows:
        dataset = crew().tell()
        for recipe in recipes.values():
            take_part(METHODS[recipe.method].build(recipe, dataset), options.device)
        return Comparison(out, (), ())
    share = options.share
    store = Store(out, place=keyed_place, share=share)
    intake = take_in(dataset, out / "data" / "images", engine=options.make_engine(), share=share)
    crew().tell(intake.dataset)
    content_key = hash_of({"classes": list(dataset.classes.names), "images": dict(intake.content)})
    write_classes(out, dataset.classes.names)
    write_counts(out, intake.report)
    remember_place(out, next(iter(recipes.values())))
    work = _Work(store, content_key, options, intake, segmenter, until)
    if share:
        shards = {name: work.carry_out_share(recipe) for name, recipe in recipes.items()}
        failures = list(dict.fromkeys(failure for shard in shards.values() for failure in shard.failures))
        write_failures(out, failures, failures_of(out, share).name)
        return Comparison(out, (), failures, shards=shards)
    compared = tuple(work.carry_out(name, recipe) for name, recipe in recipes.items())
    failures = list(dict.fromkeys(failure for method in compared for failure in method.failures))
    write_failures(out, failures)
    write_json(out / COMPARISON_FILE, {"methods": [_as_json(method, out) for method in compared]})
    return Comparison(out, compared, failures, dataset)


def compared_plan(steps: Sequence[Step], *, segmenter: bool, until: str = "") -> tuple[list[Step], set[str]]:
    """Return a method's plan without evaluation, and the names of its steps that the evaluation would score.

    Args:
        steps: From the method's ``build``.
        segmenter: Whether to keep what is made of the masks: the segmenter, its predictions, and what follows.
        until: Name of the step that nothing is carried out beyond, if any.

    Raises:
        ConfigError: If no step that is kept has this name, or it comes before the segmenter that is asked for.
    """
    dropped = {Role.CHECK} if segmenter else {Role.CHECK, Role.AFTER}
    left_out: set[str] = set()
    for step in steps:
        if step.role in dropped or not left_out.isdisjoint(step.needs):
            left_out.add(step.name)
    scored = {name for step in steps if step.role == Role.CHECK for name in step.needs}
    kept = [step for step in steps if step.name not in left_out]
    if until:
        kept = steps_until(kept, until)
        if segmenter and not any(step.role == Role.AFTER for step in kept):
            raise ConfigError(f"until: {until!r} comes before the segmenter, so that none is trained; leave one out")
    return kept, scored & {step.name for step in kept}


@dataclass(frozen=True)
class _Work:
    """Carries out one method after the other, and remembers what was scored."""

    store: Store
    content_key: str
    options: RunOptions
    intake: Intake
    segmenter: bool
    until: str = ""
    scores: dict[str, list[Score]] = field(default_factory=dict)

    def carry_out(self, name: str, recipe: Recipe) -> ComparedMethod:
        """Run what is missing of a method's plan, score what has not been scored, and measure it."""
        logger.info("method %s", name)
        forget_models()  # what the method before keeps in memory is none of this one's
        dataset = self.intake.dataset
        if self.segmenter and recipe.unused:
            logger.warning("method %s: %s", name, recipe.unused)
        if recipe.rounds > 1 and not self.segmenter:
            logger.warning("method %s: rounds %d has no effect without --segmenter", name, recipe.rounds)
        steps, scored = compared_plan(
            METHODS[recipe.method].build(recipe, dataset), segmenter=self.segmenter, until=self.until
        )
        keys = step_keys(steps, self.content_key)
        unscored = [step for step in steps if step.name in scored and keys[step.name] not in self.scores]
        plan = [*steps, evaluation_step(dataset, recipe.data, unscored, plan=steps)]
        failures = run_plan(plan, self.store, self.content_key, self.options, failures=self.intake.failures)
        folders = step_folders(plan, self.store, self.content_key, known=keys)
        found = read_json(folders.pop(plan[-1].name) / RESULTS_FILE)
        for score in (*found["scores"], *found["objects"]):
            self.scores.setdefault(keys[score["name"]], []).append(score)
        known = {step.name: self.scores[keys[step.name]] for step in steps if keys[step.name] in self.scores}
        products = MethodProducts(steps, folders, known)
        return ComparedMethod(name, recipe, products, measure_lists(steps, folders, known), failures)

    def carry_out_share(self, recipe: Recipe) -> ShardResult:
        """Do a share of what is missing of a method's plan."""
        forget_models()
        plan = METHODS[recipe.method].build(recipe, self.intake.dataset)
        steps, _ = compared_plan(plan, segmenter=self.segmenter, until=self.until)
        return run_shard(steps, self.store, self.content_key, self.options, failures=self.intake.failures)


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
    products = method.products
    return {
        "method": method.name,
        "figures": asdict(method.figures),
        "masks": products.result,
        **products.told,
        "steps": {name: str(folder.relative_to(out)) for name, folder in products.folders.items()},
        "scores": products.scores,
        "objects": products.objects,
        "failures": [asdict(failure) for failure in method.failures],
        "settings": recipe_as_json(method.recipe),
    }
