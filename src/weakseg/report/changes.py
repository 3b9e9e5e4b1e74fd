"""What reasoning about classes changes: images in which the same segmenter, with and without it, differs most."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.methods.compare import ComparedMethod
from weakseg.methods.recipe import Recipe
from weakseg.photograph.overlay import difference, draw_labels, shrink
from weakseg.report.gallery import Labels, labels_of
from weakseg.report.model import PictureTable
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.steps.base import prediction_split
from weakseg.steps.segment import PREDICTIONS, in_round

SHOWN = 6  # images of a pair

Truth = Mapping[str, Callable[[], Labels]]


@dataclass(frozen=True)
class _Change:
    """Predictions of an image without and with reasoning, ``(H, W)``, and where they differ."""

    sample: WeakSample
    before: Labels
    after: Labels

    @property
    def where(self) -> NDArray[np.bool_]:
        return np.not_equal(self.before, self.after)

    def pictures(self, truth: Labels | None) -> tuple[Labels, ...]:
        """Return photograph and both predictions, against the truth where there is one."""
        photo = shrink(self.sample.load_image())
        pair = (self.before, self.after)
        drawn = [draw_labels(photo, labels) for labels in pair]
        return photo, *drawn, *([] if truth is None else [difference(photo, truth, labels) for labels in pair])


def reasoning_changes(methods: Sequence[ComparedMethod], dataset: Dataset, truth: Truth) -> Iterator[PictureTable]:
    """Yield a table for each method that reasons about classes and of which there is one that does not.

    Args:
        methods: Of a comparison.
        dataset: As it was opened.
        truth: What loads the true mask of an image, by id, where there is one.
    """
    for method in methods:
        plain = next((other for other in methods if other.recipe == _without(method.recipe)), None)
        if plain is not None and plain is not method and _predicted(method) and _predicted(plain):
            yield _table(plain, method, dataset, truth)


def _without(recipe: Recipe) -> Recipe:
    """Return settings in which the segmenter does not reason about classes."""
    model = replace(recipe.segmenter.model, reasoning=ReasoningConfig())
    return replace(recipe, segmenter=replace(recipe.segmenter, model=model))


def _predicted(method: ComparedMethod) -> Path | None:
    """Return the folder of the last predictions."""
    return method.products.folders.get(in_round(PREDICTIONS, method.recipe.rounds))


def _table(plain: ComparedMethod, method: ComparedMethod, dataset: Dataset, truth: Truth) -> PictureTable:
    folders = [folder for folder in map(_predicted, (plain, method)) if folder]
    split = dataset.splits[prediction_split(dataset)]
    samples = [s for s in split if all((folder / f"{s.id}.png").exists() for folder in folders)]
    found = [_Change(sample, *(labels_of(folder, sample.id) for folder in folders)) for sample in samples]
    most = sorted(found, key=lambda one: (-float(one.where.mean()), one.sample.id))[:SHOWN]
    most = [one for one in most if one.where.any()]
    known = any(one.sample.id in truth for one in most)
    against = (f"{plain.name} against truth", f"{method.name} against truth") if known else ()
    rows = []
    for one in most:
        mask = truth[one.sample.id]() if one.sample.id in truth else None
        pictures = one.pictures(mask)
        rows.append((one.sample.id, (*pictures, *[None] * (3 + len(against) - len(pictures)))))
    columns = ("photograph", plain.name, method.name, *against)
    return PictureTable(f"{method.name} beside {plain.name}", columns, tuple(rows), _sentence(found, truth))


def _sentence(found: Sequence[_Change], truth: Truth) -> str:
    """Return how many pixels change, and of those with a truth how many were and are right."""
    pixels, changed = sum(one.before.size for one in found), sum(int(one.where.sum()) for one in found)
    text = f"{100 * changed / max(pixels, 1):.2f} % of the pixels of {len(found)} images change."
    counted = [_right(one, truth[one.sample.id]()) for one in found if one.sample.id in truth]
    total, before, after = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0, 0)
    if total:
        right = [f"{100 * count / total:.0f} %" for count in (before, after)]
        text += f" By the truth {right[0]} of them were right before, and {right[1]} are."
    return text


def _right(one: _Change, truth: Labels) -> tuple[int, int, int]:
    """Return how many pixels with a truth change, and how many of them are right before and after."""
    where = one.where & (truth != UNDECIDED)
    return int(where.sum()), int((where & (one.before == truth)).sum()), int((where & (one.after == truth)).sum())
