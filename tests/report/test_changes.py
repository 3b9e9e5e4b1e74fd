"""What reasoning about classes changes in the predictions of a comparison whose products were laid out by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from weakseg.artifacts import LabelMap
from weakseg.data.dataset import open_dataset
from weakseg.methods.compare import ComparedMethod, Comparison, MethodProducts
from weakseg.methods.figures import MethodFigures
from weakseg.methods.recipe import Recipe
from weakseg.nn.weights import MODEL_FILE, save_model
from weakseg.pipeline.plan import Kind, Role, Step, StepResult, Work
from weakseg.report.changes import reasoning_changes
from weakseg.report.compare import build_comparison_report
from weakseg.report.render import render
from weakseg.report.run import truth_loaders
from weakseg.settings.reasoning import ReasoningConfig

NOTHING = Work("tests.nothing", lambda context: StepResult())
STEPS = (
    Step("segmenter", Kind.MODEL, {}, {}, NOTHING, Role.AFTER),
    Step("predictions", Kind.LABELS, {}, {}, NOTHING, Role.AFTER),
)


def method(name: str, recipe: Recipe, folder: Path, **model: Any) -> ComparedMethod:
    changed = replace(recipe.segmenter, model=replace(recipe.segmenter.model, **model))
    folders = {step.name: folder / step.name for step in STEPS}
    products = MethodProducts(STEPS, folders, {})
    return ComparedMethod(name, replace(recipe, segmenter=changed), products, MethodFigures(), ())


@pytest.fixture
def methods(recipe: Recipe, tmp_path: Path) -> list[ComparedMethod]:
    """The truth with its first column, or its first two rows of each of two images, given to class 1."""
    dataset = open_dataset(recipe.data)
    truth = truth_loaders(recipe.data, dataset)
    for name, count in (("plain", 1), ("graph", 2), ("other", 3)):
        for index, sample in enumerate(dataset.splits["val"]):
            labels = truth[sample.id]().copy()
            labels[:, : 8 * count * index] = 1
            LabelMap(labels).save(tmp_path / name / "predictions" / f"{sample.id}.png")
        header = {"kind": "segmenter"}
        if name == "graph":
            told = {"names": ["disc", "square"], "relations": [[1.0, 0.5], [0.5, 1.0]], "source": "made up"}
            header = {**header, "class_graph": {**told, "vectors_from": "random", "fallbacks": []}}  # type: ignore
        save_model(tmp_path / name / "segmenter" / MODEL_FILE, nn.Linear(1, 1), header)
    return [
        method("plain", recipe, tmp_path / "plain"),
        method("graph", recipe, tmp_path / "graph", reasoning=ReasoningConfig("recommended")),
        method("other", recipe, tmp_path / "other", reasoning=ReasoningConfig("recommended"), hidden=8),
    ]


def test_each_is_beside_the_same_segmenter_without(methods: list[ComparedMethod], recipe: Recipe) -> None:
    dataset = open_dataset(recipe.data)
    truth = truth_loaders(recipe.data, dataset)
    (table,) = reasoning_changes(methods, dataset, truth)  # "other" has none beside it
    assert table.title == "graph beside plain"
    assert table.columns == ("photograph", "plain", "graph", "plain against truth", "graph against truth")
    last = dataset.splits["val"][-1].id  # the first image is the truth by both
    assert [name for name, _ in table.rows] == [last]
    before, after = (
        LabelMap.load(m.products.folders["predictions"] / f"{last}.png").labels for m in (methods[0], methods[1])
    )
    where, true = before != after, truth[last]()
    share = 100 * where.sum() / (where.size * len(dataset.splits["val"]))
    right = [100 * (labels == true)[where].mean() for labels in (before, after)]
    assert right[0] == 100 and right[1] < 100
    assert table.note.startswith(
        f"{share:.2f} % of the pixels of 2 images change. By the truth 100 % of them were right"
    )
    assert table.note.endswith(f"before, and {right[1]:.0f} % are.")
    blind = next(iter(reasoning_changes(methods, dataset, {})))
    assert blind.columns == ("photograph", "plain", "graph") and "truth" not in blind.note
    assert all(np.shape(picture)[2] == 3 for _, pictures in blind.rows for picture in pictures)


def test_the_page(methods: list[ComparedMethod], tmp_path: Path) -> None:
    report = build_comparison_report(Comparison(tmp_path, tuple(methods[:2]), []))
    assert [table.title for table in report.changes] == ["graph beside plain"]
    assert [picture.title for picture in report.class_graphs] == ["Class graph of graph: segmenter"]
    page = render(report)
    assert "What reasoning about classes changes" in page and "graph beside plain" in page
    without = build_comparison_report(Comparison(tmp_path, (methods[0],), []))
    assert without.changes == () and "What reasoning" not in render(without)


def test_masks_alone_have_no_table(methods: list[ComparedMethod], recipe: Recipe) -> None:
    bare = [replace(m, products=replace(m.products, folders={})) for m in methods]
    assert not list(reasoning_changes(bare, open_dataset(recipe.data), {}))
