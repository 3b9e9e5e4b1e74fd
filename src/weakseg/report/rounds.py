"""What pages tell of segmenters that are trained in rounds, of the seeds, and of labels that grow from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weakseg.artifacts import LabelMap
from weakseg.errors import StoreError
from weakseg.files import json_value
from weakseg.methods.recipe import Recipe
from weakseg.ops.resample import resize_labels
from weakseg.pipeline.plan import Kind, Role, Step
from weakseg.report.formatting import Cell
from weakseg.report.gallery import Labels, labels_panel
from weakseg.report.model import Panel, Table
from weakseg.stages.saliency_seeds import described_effects
from weakseg.stages.seeded import GROWTH_FOLDER
from weakseg.steps.segment import PREDICTIONS, SEGMENTER, in_round

RECORDS_FILE = "metrics.jsonl"
ROUNDS = (
    "round",
    "learned from",
    "their coverage %",
    "their mIoU %",
    "forbidden by tags %",
    "segmenter mIoU %",
    "more than before",
)
ABOUT_ROUNDS = (
    "Each round's segmenter learns from label maps of the training images; from the second round on they are the "
    "predictions of the one before, of background and classes that are not absent. Forbidden by tags: pixels to which "
    "it gave another class. Of several lists the first; all are in the table of agreement."
)
COUNTED, FUSED = "seed_counts", "fusion"
SEEDS = ("label", "pixels %", "images that lack it")
ABOUT_SEEDS = "Images that lack it: that show a class and have no seed of it; of the background, all without one."
GROWTH = ("step", "epoch", "seeds %", "labelled %", "classes", "without a seed %")
ABOUT_GROWTH = (
    "Of all cells of the images that an epoch saw: how many are seeds, and how many have a label after growth. Classes "
    "that images show, and how many of these have no seed there, so that nothing of them grows."
)


@dataclass(frozen=True)
class Trained:
    """A plan that was carried out.

    Attributes:
        recipe: Its settings.
        steps: Its steps.
        scores: ``Score.as_json`` by step, one for each list.
        summaries: What manifests say, by step.
    """

    recipe: Recipe
    steps: Sequence[Step]
    scores: Mapping[str, Sequence[Mapping[str, Any]]]
    summaries: Mapping[str, Mapping[str, Any]]

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return a row of ``ROUNDS`` for each round; none where there is but one."""
        found: list[tuple[Cell, ...]] = []
        before: float | None = None
        plan = {step.name: step for step in self.steps}
        numbers = range(1, self.recipe.rounds + 1) if self.recipe.rounds > 1 else ()
        for number in (number for number in numbers if in_round(SEGMENTER, number) in plan):
            needs = plan[in_round(SEGMENTER, number)].needs
            learned = next((name for name, kind in needs.items() if kind == Kind.LABELS), "")
            coverage, own = (self._figure(learned, figure) for figure in ("coverage", "mean_iou"))
            after = self._figure(in_round(PREDICTIONS, number), "mean_iou")
            gain = after - before if after is not None and before is not None else None
            found.append((number, learned, coverage, own, self._forbidden(learned), after, gain))
            before = after
        return found

    def _figure(self, name: str, figure: str) -> float | None:
        scores = self.scores.get(name, ())
        return float(scores[0][figure]) if scores else None

    def _forbidden(self, name: str) -> float | None:
        told = self.summaries.get(name, {}).get("restricted")
        return 100 * told["changed"] / told["pixels"] if told else None


def rounds_table(plans: Mapping[str, Trained]) -> tuple[Table, ...]:
    """Return the rounds of plans, each by its name, where any has several; one plan needs no name."""
    rows = [((name, *row) if name else row) for name, plan in plans.items() for row in plan.rows()]
    columns = ROUNDS if "" in plans else ("method", *ROUNDS)
    return (Table("Rounds", columns, tuple(rows), ABOUT_ROUNDS),) if rows else ()


def later_masks(steps: Iterable[Step]) -> tuple[str, ...]:
    """Return the names of the steps that label the training images after the first round."""
    return tuple(step.name for step in steps if step.role == Role.AFTER and "restricted" in step.settings)


def describe_seeds(summaries: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return sentences on what steps decided, and on seeds: their background, and what saliency's rules did."""
    decided = [f"{told['decided']}." for told in summaries.values() if "decided" in told]
    counted = [_of_seeds(name, told[COUNTED]) for name, told in summaries.items() if COUNTED in told]
    fused = [f"{described_effects(name, told[FUSED])}." for name, told in summaries.items() if FUSED in told]
    return (*decided, *counted, *fused)


def _of_seeds(name: str, told: Mapping[str, Any]) -> str:
    where = f"{told['background']} {'is' if told['background'] == 'saliency' else 'are'} low"
    if told["without_map"]:
        where += f", on {told['without_map']} of {told['images']} images, which have no map, where activations are low"
    return f"{name}: background where {where}; {told['without_background']} images have no background seed."


def seeds_table(summaries: Mapping[str, Mapping[str, Any]]) -> tuple[Table, ...]:
    """Return how many pixels each label has among the seeds of a step that has counted them."""
    tables = []
    for name, told in ((name, summary[COUNTED]) for name, summary in summaries.items() if COUNTED in summary):
        total = sum(told["pixels"].values()) + told["undecided"]
        missing = {"background": told["without_background"], **told["without_seed"]}
        rows = [(label, 100 * count / total, missing.get(label, 0)) for label, count in told["pixels"].items()]
        tables.append(
            Table(
                f"Labels of {name}", SEEDS, (*rows, ("undecided", 100 * told["undecided"] / total, None)), ABOUT_SEEDS
            )
        )
    return tuple(tables)


def grown_panels(folder: Path, image_id: str, photo: Labels, *, of: str = "") -> list[Panel]:
    """Return how the labels of an image grew while a step trained: its seeds, and what epochs made of them.

    Args:
        folder: Of the step.
        image_id: The image.
        photo: ``(H, W, 3)`` uint8, which the network may have seen in another form; cells are stretched over it.
        of: What titles begin with.
    """
    found, size = {}, (photo.shape[0], photo.shape[1])
    for path in sorted((folder / GROWTH_FOLDER / image_id).glob("*.png")):
        epoch = int(path.stem)
        labels = resize_labels(LabelMap.load(path).labels, size)
        found[f"{of}grown, epoch {epoch}" if epoch else f"{of}seeds on cells"] = labels
    return [labels_panel(title, photo, labels) for title, labels in found.items()]


def grown_images(folder: Path) -> set[str]:
    """Return the ids of the images of which a step has kept how their labels grew."""
    place = folder / GROWTH_FOLDER
    return {path.parent.relative_to(place).as_posix() for path in place.rglob("*.png")}


def growth_table(folders: Mapping[str, Path]) -> tuple[Table, ...]:
    """Return how much grew in each epoch of the trainings that say so, of steps by their names."""
    rows: list[tuple[Cell, ...]] = []
    for name, folder in folders.items():
        for record in _records(folder / RECORDS_FILE):
            if isinstance(grown := record.get("growth"), Mapping):
                cells, present = max(grown["cells"], 1), max(grown["present"], 1)
                shares = [100 * grown[part] / cells for part in ("seeded", "labelled")]
                missing = 100 * grown["without_seed"] / present
                rows.append((name, record["epoch"], *shares, grown["present"], missing))
    return (Table("Growth of the labels", GROWTH, tuple(rows), ABOUT_GROWTH),) if rows else ()


def _records(path: Path) -> list[Mapping[str, Any]]:
    """Return the records of a training; none before its first epoch is done."""
    if not path.is_file():
        return []
    try:
        return [value for line in path.read_text().splitlines() if isinstance(value := json_value(line), Mapping)]
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); delete the step's folder, the next run makes it"
        ) from error
