"""The report of a run folder: figures, warnings, and a gallery of what every step made of each image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.sample import WeakSample
from weakseg.data.truth import open_truth
from weakseg.errors import StoreError
from weakseg.evaluation.instance_protocol import describe_objects
from weakseg.evaluation.protocol import describe_protocol, titled
from weakseg.files import read_json
from weakseg.methods import METHODS
from weakseg.methods.finished import is_comparison, open_finished
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import recipe_as_json
from weakseg.photograph.overlay import difference
from weakseg.pipeline.plan import Kind, Role, Step
from weakseg.pipeline.runner import read_failures
from weakseg.report.class_graph import class_graph_pictures
from weakseg.report.formatting import known
from weakseg.report.gallery import (
    MAX_CARDS,
    Labels,
    agreement_table,
    first_panels,
    labels_of,
    labels_panel,
    legend_of,
    objects_table,
    summary_of,
    tag_names,
)
from weakseg.report.groups import ABOUT_GROUPS, MAX_GROUPS, grouped
from weakseg.report.model import Card, Chart, FailedImage, KeyFigure, Panel, Report, Table
from weakseg.report.render import save
from weakseg.report.rounds import (
    Trained,
    describe_seeds,
    grown_images,
    grown_panels,
    growth_table,
    rounds_table,
    seeds_table,
)
from weakseg.report.selection import choose
from weakseg.stages.reliability import DOUBTFUL
from weakseg.steps.classify import hold_out
from weakseg.steps.evaluate import RESULTS_FILE
from weakseg.steps.reliability import RELIABILITY, MaskDoubt, all_doubts, doubts_by_image
from weakseg.steps.saliency import SALIENCY

OF_TAGS = "Mean average precision: how far images of a class are ranked above others by its score; 100 is all of them."


def build_run_report(folder: Path, dataset: Dataset | None = None) -> Report:
    """Return the report of a run folder, finished or not; it shows what is there.

    Args:
        folder: The run folder.
        dataset: Its data set, where that is open; ``None``: it is opened.

    Raises:
        StoreError: If ``folder`` is no run folder.
        DataError: If the images are no longer where they were.
    """
    if is_comparison(folder):
        raise StoreError(f"{folder}: is a comparison, whose page, report.html, weakseg compare writes; run that again")
    recipe = open_finished(folder).recipe
    dataset = dataset or open_dataset(recipe.data)
    steps = METHODS[recipe.method].build(recipe, dataset)
    failures = read_failures(folder)
    groups = grouped(recipe, dataset, {step.name: folder / step.name for step in steps}, failures)
    gallery = _Gallery(folder, recipe, dataset, steps)
    results, objects = _results(folder, "scores"), _results(folder, "objects")
    summaries = {step.name: summary_of(folder / step.name) for step in steps}
    cards, note = gallery.cards(results)
    return Report(
        title=f"{recipe.method}: {folder.name}",
        subtitle=f"{recipe.data.format} data {Path(recipe.data.root).name}, seed {recipe.seed}",
        key_figures=(*_trust(folder, dataset), *_key_figures(results, objects)),
        warnings=tuple(text for summary in summaries.values() for text in summary.get("warnings", ())),
        notes=_notes(results, objects, scored=(folder / "evaluation" / RESULTS_FILE).exists()),
        details=(
            *_protocols(results, objects),
            *(found.describe() for found in groups),
            *describe_seeds(summaries),
        ),
        tables=(
            *rounds_table({"": Trained(recipe, steps, _by_step(results), summaries)}),
            *seeds_table(summaries),
            *growth_table({step.name: folder / step.name for step in steps if step.kind == Kind.MODEL}),
            *_tables(summaries, results, objects, len(hold_out(dataset, recipe.seed)[1])),
        ),
        charts=_charts(results, steps),
        class_graphs=class_graph_pictures({s.name: folder / s.name for s in steps if s.kind == Kind.MODEL}),
        groups=tuple(table for found in groups for table in found.pictures(MAX_GROUPS)),
        groups_note=ABOUT_GROUPS,
        cards=cards,
        cards_note=note,
        legend=legend_of(gallery.dataset),
        failures=tuple(FailedImage(f.image_id, f.step, f.reason) for f in failures),
        settings=recipe_as_json(recipe),
    )


def write_run_report(folder: Path, dataset: Dataset | None = None) -> Path:
    """Write ``report.html`` into a run folder, and return its path; arguments and errors as of ``build_run_report``."""
    path = folder / "report.html"
    save(build_run_report(folder, dataset), path)
    return path


def truth_loaders(data: DataConfig, dataset: Dataset) -> dict[str, Callable[[], Labels]]:
    """Return what loads the true mask of each image that has one, by image id."""
    return {s.id: s.load_truth for split in dataset.splits for s in open_truth(data, dataset, split)}


@dataclass(frozen=True)
class _Gallery:
    """Cards of a run's images."""

    folder: Path
    recipe: Recipe
    dataset: Dataset
    steps: Sequence[Step]

    @property
    def shown(self) -> list[Step]:
        """The steps that leave label maps."""
        return [step for step in self.steps if step.kind == Kind.LABELS]

    @property
    def trained(self) -> list[Path]:
        """Folders of the trainings, in which labels may have grown."""
        return [self.folder / step.name for step in self.steps if step.kind == Kind.MODEL]

    def cards(self, results: Mapping[str, Any]) -> tuple[tuple[Card, ...], str]:
        """Return the cards of at most ``MAX_CARDS`` images, and the sentence that says which."""
        iou: dict[str, float] = {}
        for step in self.shown:
            if step.role in (Role.RESULT, Role.AFTER):
                scores = [score for score in results.values() if score["name"] == step.name]
                iou |= {k: v / 100.0 for score in scores for k, v in score["per_image"].items()}
        samples = {s.id: s for split in self.dataset.splits.values() for s in split if self._panels_of(s)}
        known = doubts_by_image(self.folder / RELIABILITY)
        doubts = {image_id: found for image_id in samples if (found := known.get(image_id))}
        measure = iou or {i: min(one.reliability for one in found) for i, found in doubts.items()}
        grown = set().union(*map(grown_images, self.trained)) & samples.keys()
        others = [i for i in samples if i not in grown]
        picked = choose([measure.get(i) for i in others], MAX_CARDS - len(grown))
        wanted = grown | {others[index] for index in picked.indices}
        chosen = [sample for i, sample in samples.items() if i in wanted]
        truth = truth_loaders(self.recipe.data, self.dataset)
        cards = (
            self._card(s, iou.get(s.id), doubts.get(s.id, ()), truth.get(s.id) if s.id in iou else None) for s in chosen
        )
        more = f", beside the {len(grown)} whose labels are shown as they grew" if grown and picked.sentence else ""
        return tuple(cards), picked.sentence + more

    def _panels_of(self, sample: WeakSample) -> list[Step]:
        """Return the steps that left a label map of an image."""
        return [step for step in self.shown if (self.folder / step.name / f"{sample.id}.png").exists()]

    def _card(
        self, sample: WeakSample, iou: float | None, doubts: Sequence[MaskDoubt], truth: Callable[[], Labels] | None
    ) -> Card:
        panels = first_panels(sample, {"activation": self.folder / "activations"}, {SALIENCY: self.folder / SALIENCY})
        photo = panels[0].image
        shown = self._panels_of(sample)
        for step in shown:
            panels.append(labels_panel(step.name, photo, labels_of(self.folder / step.name, sample.id)))
            if step.role == Role.SEEDS:
                panels += [panel for folder in self.trained for panel in grown_panels(folder, sample.id, photo)]
        last = shown[-1]
        if truth is not None and last.role != Role.SEEDS:
            compared = difference(photo, truth(), labels_of(self.folder / last.name, sample.id))
            panels.append(Panel(f"{last.name} against truth", compared, "difference"))
        split = "val" if any(sample is s for s in self.dataset.splits.get("val", ())) else "train"
        least = min((one.reliability for one in doubts), default=None)
        said = tuple(self._said(one) for one in doubts)
        names = tag_names(self.dataset, sample)
        return Card(sample.id, names, tuple(panels), iou, least, split, said, judged=split == "train")

    def _said(self, doubt: MaskDoubt) -> str:
        name = self.dataset.classes.names[doubt.class_id - 1]
        because = f": {', '.join(doubt.reasons)}" if doubt.reasons else ""
        return f"{name} {doubt.reliability:.2f}{because}"


def _results(folder: Path, part: str) -> dict[str, Any]:
    path = folder / "evaluation" / RESULTS_FILE
    return {titled(score): score for score in read_json(path).get(part, ())} if path.exists() else {}


def _by_step(results: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return scores by the step that they are of."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for score in results.values():
        found.setdefault(score["name"], []).append(score)
    return found


def _trust(folder: Path, dataset: Dataset) -> tuple[KeyFigure, ...]:
    """Return how many masks are to be trusted, and how many photographs nobody has learned from."""
    doubts = all_doubts(folder / RELIABILITY)
    held = len(dataset.splits.get("val", ()))
    told = "not learned from" if held else "no figure tells how the model does on other photographs"
    unseen = KeyFigure("photographs held out", held, told)
    if not doubts:
        return (unseen,)
    trusted, expected = sum(one.trusted for one in doubts), np.mean([one.reliability for one in doubts])
    note = f"reliability of {DOUBTFUL} or more; {expected:.0%} are expected to overlap their object by IoU 0.6 or more"
    return (KeyFigure("masks to trust", f"{trusted} of {len(doubts)}", note), unseen)


def _key_figures(results: Mapping[str, Any], objects: Mapping[str, Any]) -> tuple[KeyFigure, ...]:
    figures = [
        KeyFigure(name, score["mean_iou"], f"mIoU %: overlap by union, mean of the classes; {score['images']} images")
        for name, score in results.items()
    ]
    figures += [
        KeyFigure(name, score["mean_ap_region"]["0.5"], f"mAP^r % at IoU 0.5, {score['objects']} objects")
        for name, score in objects.items()
    ]
    return tuple(figures)


def _tables(
    summaries: Mapping[str, Mapping[str, Any]], results: Mapping[str, Any], objects: Mapping[str, Any], held: int
) -> tuple[Table, ...]:
    times = Table(
        "Steps",
        ("step", "seconds", "images", "failed"),
        tuple((n, s["seconds"], s.get("images"), len(s["failures"])) for n, s in summaries.items() if s),
    )
    measured = {name: summary["mAP"] for name, summary in summaries.items() if known(summary.get("mAP")) is not None}
    precise = tuple((name, value, held) for name, value in measured.items())
    of_tags = (Table("Tags of photographs held out", ("network", "mAP %", "images"), precise, OF_TAGS),)
    found = [*(of_tags if precise else ()), *((objects_table(objects),) if objects else ()), times]
    return ((agreement_table(results.values()),) if results else ()) + tuple(found)


def _notes(results: Mapping[str, Any], objects: Mapping[str, Any], *, scored: bool) -> tuple[str, ...]:
    if not results and not objects and scored:
        return ("There is no ground truth; reliability, which the gallery is ordered by, is an estimate.",)
    return ()


def _protocols(results: Mapping[str, Any], objects: Mapping[str, Any]) -> tuple[str, ...]:
    maps = (f"{name}: {describe_protocol(score)}." for name, score in results.items())
    return (*maps, *(f"{name}: {describe_objects(score)}." for name, score in objects.items()))


def _charts(results: Mapping[str, Any], steps: Sequence[Step]) -> tuple[Chart, ...]:
    partial = {step.name for step in steps if step.role == Role.SEEDS}
    series = {name: score["iou"] for name, score in results.items() if score["name"] not in partial}
    return (Chart("IoU of each class, percent", series),) if series else ()
