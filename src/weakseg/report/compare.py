"""The report of a comparison: one row a method, and the masks of all methods side by side for each image."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.sample import WeakSample
from weakseg.evaluation.protocol import describe_protocol, titled
from weakseg.methods.compare import ComparedMethod, Comparison
from weakseg.methods.figures import MethodFigures
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import recipe_as_json
from weakseg.methods.supervised.config import SupervisedRecipe
from weakseg.photograph.overlay import difference
from weakseg.pipeline.plan import Kind
from weakseg.report.changes import reasoning_changes
from weakseg.report.class_graph import class_graph_pictures
from weakseg.report.formatting import Cell
from weakseg.report.gallery import (
    MAX_CARDS,
    Labels,
    agreement_table,
    first_panels,
    has_labels,
    labelled,
    labels_of,
    labels_panel,
    legend_of,
    objects_table,
    summary_of,
    tag_names,
)
from weakseg.report.groups import ABOUT_GROUPS, Grouped, grouped
from weakseg.report.model import Card, Chart, FailedImage, KeyFigure, Panel, Report, Table
from weakseg.report.rounds import Trained, describe_seeds, grown_panels, later_masks, rounds_table
from weakseg.report.run import truth_loaders
from weakseg.report.selection import choose
from weakseg.steps.saliency import SALIENCY

COLUMNS = {
    "before CRF, mIoU %": "before_crf",
    "after CRF, mIoU %": "after_crf",
    "coverage %": "coverage",
    "train s": "train_seconds",
    "s an image": "seconds_an_image",
    "peak MB": "peak_mb",
    "objects, mAP^r 0.5 %": "objects",
    "segmenter, mIoU %": "segmenter",
    "masks to trust %": "trusted",
}
EXPLAINED = (
    "Before CRF: label maps that the CRF was given, else activations at their best threshold. Coverage: of the partial "
    "labels. Time (wall clock, {workers}) and memory (of all processes) are those of the method's own steps up to the "
    "masks, when they were first computed, the start of processes included; a classifier and activations that methods "
    "share are left out, and so is the memory of a GPU. Of the reference: mIoU of the segmenter as a share of that of "
    "one that learned from true masks with the same settings, void left out; of several rounds the last. Masks to "
    "trust: an estimated reliability of 0.5 or more. A dash: not measured, or interrupted."
)


def figures_table(comparison: Comparison) -> Table:
    """Return one row of figures for each method; columns in which no method has a figure are left out."""
    rows: list[list[Cell]] = [[labelled(m.name, m.products.told)] for m in comparison.methods]
    columns = ["method"]
    for title, cells in (*_columns([method.figures for method in comparison.methods]), *_shares(comparison.methods)):
        if any(cell is not None for cell in cells):
            columns.append(title)
            for row, cell in zip(rows, cells, strict=True):
                row.append(cell)
    note = EXPLAINED.format(workers=_workers(comparison))
    return Table("Methods", tuple(columns), tuple(map(tuple, rows)), note)


def _columns(figures: Sequence[MethodFigures]) -> Iterator[tuple[str, list[float | None]]]:
    """Yield title and figure of each method for each column: of agreement on several lists a column a list."""
    for title, name in COLUMNS.items():
        lists = dict.fromkeys(listed for one in figures for listed, found in one.lists.items() if name in found)
        for listed in lists if len(lists) > 1 else ():
            yield f"{title}: {listed}", [one.lists.get(listed, {}).get(name) for one in figures]
        if len(lists) < 2:
            yield title, [getattr(one, name) for one in figures]


def _shares(methods: Sequence[ComparedMethod]) -> Iterator[tuple[str, list[float | None]]]:
    """Yield title and shares of the reference of the methods' segmenters, a column a list."""
    references = [_reference(method, methods) for method in methods]
    lists = dict.fromkeys(listed for m in methods for listed, found in m.figures.lists.items() if "segmenter" in found)
    for listed in lists if len(lists) > 1 else ("",):
        own = [_segmenter(method, listed) for method in methods]
        best = [_segmenter(reference, listed) if reference else None for reference in references]
        title = f"of the reference %: {listed}" if listed else "of the reference %"
        yield title, [100 * a / b if a is not None and b else None for a, b in zip(own, best, strict=True)]


def _segmenter(method: ComparedMethod, listed: str) -> float | None:
    figures = method.figures
    return figures.lists.get(listed, {}).get("segmenter") if listed else figures.segmenter


def _reference(method: ComparedMethod, methods: Sequence[ComparedMethod]) -> ComparedMethod | None:
    """Return the method whose segmenter learned from true masks by the same settings, void left out; not for itself."""

    def settings(recipe: Recipe) -> tuple[object, ...]:
        return recipe.segmenter, recipe.predictions, recipe.seed

    true = (m for m in methods if isinstance(m.recipe, SupervisedRecipe) and not m.recipe.void_is_background)
    return next((m for m in true if m is not method and settings(m.recipe) == settings(method.recipe)), None)


def build_comparison_report(comparison: Comparison) -> Report:
    """Return the page of a finished comparison.

    Raises:
        DataError: If the images are no longer where they were.
    """
    methods, data = comparison.methods, comparison.methods[0].recipe.data
    dataset = comparison.dataset or open_dataset(data)
    groups, truth = _groups(comparison, dataset), truth_loaders(data, dataset)
    cards, note = _Gallery(methods, dataset, truth).cards()
    return Report(
        title=f"{', '.join(method.name for method in methods)}: {comparison.folder.name}",
        subtitle=f"{data.format} data {Path(data.root).name}",
        key_figures=tuple(
            KeyFigure(m.name, s["mean_iou"], titled({**s, "name": f"mIoU % of the {m.products.compared}"}))
            for m in methods
            for s in m.products.result_scores
        ),
        warnings=tuple(dict.fromkeys(_warnings(methods))),
        details=(
            *(f"{m.name}: {describe_protocol(s)}." for m in methods for s in m.products.result_scores),
            *(f"{name}: {found.describe()}" for name, found in groups.items()),
            *(f"{m.name}: {text}" for m in methods for text in describe_seeds(_summaries(m))),
        ),
        tables=(
            figures_table(comparison),
            *rounds_table({m.name: _trained(m) for m in methods}),
            _agreement(methods),
            *_of_objects(methods),
            _steps(methods),
        ),
        charts=_charts(methods),
        class_graphs=class_graph_pictures({f"{name}: {f.name}": f for f, name in _trainings(methods).items()}),
        changes=tuple(reasoning_changes(methods, dataset, truth)),
        groups=tuple(table for name, found in groups.items() for table in found.pictures(1, of=f"{name}: ")),
        groups_note=ABOUT_GROUPS,
        cards=cards,
        cards_note=note,
        legend=legend_of(dataset),
        failures=tuple(FailedImage(f.image_id, f.step, f.reason) for f in comparison.failures),
        settings={method.name: recipe_as_json(method.recipe) for method in methods},
    )


@dataclass(frozen=True)
class _Gallery:
    """Cards of the images that any method made a mask of; where none makes masks, activations."""

    methods: tuple[ComparedMethod, ...]
    dataset: Dataset
    truth: Mapping[str, Callable[[], Labels]]

    def cards(self) -> tuple[tuple[Card, ...], str]:
        """Return the cards of at most ``MAX_CARDS`` images, and the sentence that says which."""
        samples = [sample for sample in self.dataset.splits["train"] if self._is_there(sample)]
        agreement = [self._agreement(sample) for sample in samples]
        picked = choose([_mean(list(one.values())) for one in agreement], MAX_CARDS)
        return tuple(self._card(samples[index], agreement[index]) for index in picked.indices), picked.sentence

    def _is_there(self, sample: WeakSample) -> bool:
        files = (folder / f"{sample.id}.safetensors" for folder in self._evidence.values())
        return any(self._shown(sample)) if self._of_masks else any(file.exists() for file in files)

    @cached_property
    def _evidence(self) -> dict[str, Path]:
        """Folders of activations, each once, by title."""
        found = {m.products.activations: m.name for m in reversed(self.methods) if m.products.activations}
        several = len(found) > 1
        return {f"activation of {m}" if several else "activation": folder for folder, m in reversed(found.items())}

    def _shown(self, sample: WeakSample) -> Iterator[tuple[str, Path]]:
        """Yield title and folder of each mask of an image: the methods', and those of later rounds."""
        return ((title, folder) for title, folder in self._of_masks if has_labels(folder, sample.id))

    @cached_property
    def _of_masks(self) -> list[tuple[str, Path]]:
        """Titles and folders of masks; found once, as all images are asked for."""
        found: list[tuple[str, Path]] = []
        for one in self.methods:
            named = {one.name: one.products.result} if one.products.result else {}
            named |= {f"{one.name}, {name}": name for name in later_masks(one.products.steps)}
            found += [(title, one.products.folders[name]) for title, name in named.items()]
        return found

    @property
    def _maps(self) -> dict[str, Path]:
        """Folders of saliency maps, each once, by title."""
        found = {m.products.folders[SALIENCY]: m.name for m in reversed(self.methods) if SALIENCY in m.products.folders}
        return {f"{SALIENCY} of {name}": folder for folder, name in reversed(found.items())}

    def _grown(self, sample: WeakSample, photo: Labels) -> Iterator[Panel]:
        """Yield how an image's labels grew in the trainings that have kept it, each once."""
        for folder, name in _trainings(self.methods).items():
            yield from grown_panels(folder, sample.id, photo, of=f"{name}: ")

    def _agreement(self, sample: WeakSample) -> dict[str, float]:
        """Return the IoU of each method's mask of an image, in [0, 1]."""
        measured = ((m.name, s["per_image"].get(sample.id)) for m in self.methods for s in m.products.result_scores)
        return {name: value / 100.0 for name, value in measured if value is not None}

    def _card(self, sample: WeakSample, agreement: Mapping[str, float]) -> Card:
        panels = first_panels(sample, self._evidence, self._maps)
        photo = panels[0].image
        masks = {name: labels_of(folder, sample.id) for name, folder in self._shown(sample)}
        panels += [labels_panel(name, photo, labels) for name, labels in masks.items()]
        if agreement:
            truth = self.truth[sample.id]()
            panels += [
                Panel(f"{name} against truth", difference(photo, truth, labels), "difference")
                for name, labels in masks.items()
            ]
        panels += self._grown(sample, photo)
        note = ", ".join(f"{name} {100 * value:.1f}" for name, value in agreement.items())
        return Card(
            sample.id, tag_names(self.dataset, sample), tuple(panels), _mean(list(agreement.values())), None, note
        )


def _groups(comparison: Comparison, dataset: Dataset) -> dict[str, Grouped]:
    """Return what was looked at in groups, by the first method that uses a classifier."""
    found: dict[Path, tuple[str, Grouped]] = {}
    for method in comparison.methods:
        for one in grouped(method.recipe, dataset, method.products.folders, comparison.failures):
            found.setdefault(one.model, (method.name, one))
    return dict(found.values())


def _trainings(methods: Sequence[ComparedMethod]) -> dict[Path, str]:
    """Return the folders of all trainings, each once, with the first method that it is of."""
    found: dict[Path, str] = {}
    for method in methods:
        for step in method.products.steps:
            if step.kind == Kind.MODEL:
                found.setdefault(method.products.folders[step.name], method.name)
    return found


def _summaries(method: ComparedMethod) -> dict[str, Mapping[str, Any]]:
    """Return what the manifests of a method's steps say, by step."""
    return {step: summary_of(folder) for step, folder in method.products.folders.items()}


def _trained(method: ComparedMethod) -> Trained:
    return Trained(method.recipe, method.products.steps, method.products.scored, _summaries(method))


def _agreement(methods: tuple[ComparedMethod, ...]) -> Table:
    scores = [(method.name, score) for method in methods for score in method.products.scores]
    return agreement_table([score for _, score in scores], [name for name, _ in scores])


def _of_objects(methods: tuple[ComparedMethod, ...]) -> tuple[Table, ...]:
    found = {f"{m.name}: {titled(score)}": score for m in methods for score in m.products.objects}
    return (objects_table(found),) if found else ()


def _steps(methods: tuple[ComparedMethod, ...]) -> Table:
    """Return the steps, each once, with the methods that use it."""
    used: dict[tuple[str, Path], list[str]] = {}
    for method in methods:
        for step, folder in method.products.folders.items():
            used.setdefault((step, folder), []).append(method.name)
    rows = []
    for (step, folder), names in used.items():
        if summary := summary_of(folder):
            measures = (summary["seconds"], summary.get("images"), summary["peak_mb"], len(summary["failures"]))
            rows.append((step, ", ".join(names), *measures))
    return Table("Steps", ("step", "of", "seconds", "images", "peak MB", "failed"), tuple(rows))


def _charts(methods: tuple[ComparedMethod, ...]) -> tuple[Chart, ...]:
    series = {titled({**s, "name": m.name}): s["iou"] for m in methods for s in m.products.result_scores}
    return (Chart(f"IoU of each class, percent, {methods[0].products.compared}", series),) if series else ()


def _warnings(methods: tuple[ComparedMethod, ...]) -> Iterator[str]:
    for folder in (folder for method in methods for folder in method.products.folders.values()):
        yield from summary_of(folder).get("warnings", ())


def _workers(comparison: Comparison) -> str:
    summaries = (summary_of(folder) for method in comparison.methods for folder in method.products.folders.values())
    counts = sorted({summary["workers"] for summary in summaries if summary})
    return f"{' or '.join(map(str, counts))} process{'es' if counts != [1] else ''}"


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
