"""A whole run: recipe and data to a run folder."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakseg.crew import crew
from weakseg.data.check import DatasetReport
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.errors import ConfigError
from weakseg.files import write_bytes, write_json
from weakseg.methods import METHODS
from weakseg.methods.finished import remember_place
from weakseg.methods.plans import last_masks
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import RECIPE_FILE, recipe_as_json
from weakseg.pipeline.intake import take_in
from weakseg.pipeline.keys import hash_of, step_keys
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import TRAIN, Failure, steps_until
from weakseg.pipeline.runner import run_plan
from weakseg.pipeline.shards import ShardResult, run_shard
from weakseg.pipeline.shared import take_part
from weakseg.pipeline.store import Store
from weakseg.steps.reliability import LIST_FILE, RELIABILITY, write_list
from weakseg.steps.saliency import check_weights

CONTENT_FILE, COUNTS_FILE = "data/content.json", "data/counts.json"
CLASSES_FILE = "classes.txt"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        folder: The run folder.
        failures: Images that some step could not do; also in ``failures.csv``.
        masks: Folder of the masks, of the last round; ``None`` where no step makes any.
        dataset: As it was opened.
        shard: What a shard has done, and what it has left; ``None``: the run was whole.
    """

    folder: Path
    failures: Sequence[Failure]
    masks: Path | None = None
    dataset: Dataset | None = None
    shard: ShardResult | None = None


def run_recipe(recipe: Recipe, out: Path, options: RunOptions | None = None) -> RunResult:
    """Carry out a recipe in ``out``; an interrupted run goes on where it stopped.

    Of several processes of a command the first alone plans and writes; the others take part in its trainings.

    Of a run with other settings or data, what still holds is taken; the other products are put aside, into ``earlier``,
    where a run with the settings of before finds them.

    Args:
        recipe: From ``load_recipe``.
        out: The run folder; new, or of an earlier run.
        options: Processes and device.

    Raises:
        ConfigError: If the plan does not fit together; nothing has run then.
        DataError: If the data set cannot be used.
        StoreError: If ``out`` cannot be written, or another process works on it.
    """
    options = (options or RunOptions()).resolve()
    check_saliency_is_read([recipe])
    if recipe.unused:
        logger.warning("%s", recipe.unused)
    dataset = open_dataset(recipe.data)
    build = METHODS[recipe.method].build
    plan = build(recipe, dataset)
    step_keys(plan, "")  # a plan that does not fit, or a file that is missing, ends here
    steps_until(plan, options.until)
    if crew().follows:
        take_part(build(recipe, crew().tell()), options.device)
        failures, masks = crew().tell()
        return RunResult(out, failures, masks, dataset)
    share = options.share
    with Store(out, share=share) as store:
        intake = take_in(dataset, out / "data" / "images", engine=options.make_engine(), share=share)
        content = {"classes": list(dataset.classes.names), "images": dict(intake.content)}
        steps = build(recipe, crew().tell(intake.dataset))
        remember_place(out, recipe)
        write_classes(out, dataset.classes.names)
        write_counts(out, intake.report)
        told = {RECIPE_FILE: recipe_as_json(recipe), CONTENT_FILE: content}
        if share:
            shard = run_shard(steps, store, hash_of(content), options, failures=intake.failures, told=told)
            return RunResult(out, shard.failures, shard=shard)
        (out / LIST_FILE).unlink(missing_ok=True)  # of other masks
        failures = run_plan(steps, store, hash_of(content), options, failures=intake.failures, told=told)
        result = None if options.until else last_masks(recipe, steps)
        if result and RELIABILITY in {step.name for step in steps}:
            ids = [sample.id for sample in intake.dataset.splits[TRAIN]]
            write_list(out / LIST_FILE, dataset.classes, ids, out / RELIABILITY, out / result.name)
    failures, masks = crew().tell((failures, out / result.name if result else None))
    return RunResult(out, failures, masks, dataset)


def check_saliency_is_read(recipes: Sequence[Recipe]) -> None:
    """Refuse saliency maps that no step of any recipe reads, and recipes that read maps where there are none.

    Raises:
        ConfigError: If so, or if the weights of a detector are not on this machine.
        CheckpointError: If they are damaged.
    """
    reading = [recipe for recipe in recipes if recipe.reads_saliency]
    of_files = [recipe.method for recipe in reading if recipe.saliency_maps.detector == "files"]
    mapped = recipes[0].data.saliency
    for recipe in reading:
        check_weights(recipe.saliency_maps)
    if mapped and reading and not of_files:
        raise ConfigError(
            f"data.saliency: the maps of detector {reading[0].saliency_maps.detector!r} are read, and no files; leave "
            "it out, or set saliency.detector to files"
        )
    if mapped and not reading:
        names = ", ".join(dict.fromkeys(repr(recipe.method) for recipe in recipes))
        raise ConfigError(
            f"data.saliency: no step of method {names} reads saliency maps; leave it out, or set a method's "
            "background to saliency, where it can read it off them. weakseg data check reads and judges the maps"
        )
    if of_files and not mapped:
        raise ConfigError(
            f"background: 'saliency' needs maps for method {of_files[0]!r}; set data.saliency to their folder, "
            "saliency.detector to a detector, or the background to something else"
        )


def write_classes(folder: Path, names: Sequence[str]) -> None:
    """Write the class names, one a line, in the order of their ids."""
    write_bytes(folder / CLASSES_FILE, ("\n".join(names) + "\n").encode())


def write_counts(folder: Path, report: DatasetReport) -> None:
    """Write how many images each split has, in all, by their strongest label, and by the class that they show."""
    splits = {
        name: {
            "images": counts.num_images,
            "labels": dict(report.drawn[name].strongest),
            "showing": dict(zip(report.class_names, counts.present, strict=True)),
        }
        for name, counts in report.splits.items()
    }
    write_json(folder / COUNTS_FILE, {"splits": splits, "unreadable": len(report.failures)})
