"""Groups of images in the pages of runs and comparisons, from a folder that was laid out by hand."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from generated import folder_arguments
from weakseg.data.classes import Classes
from weakseg.data.dataset import open_dataset
from weakseg.files import write_json
from weakseg.methods import METHODS
from weakseg.methods.compare import ComparedMethod, Comparison, MethodProducts
from weakseg.methods.figures import MethodFigures
from weakseg.methods.group.config import GroupRecipe
from weakseg.methods.recipes import RECIPE_FILE, load_recipe, recipe_as_json
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import GROUP_CLASSIFIER
from weakseg.nn.classifiers.group import GroupClassifier
from weakseg.nn.weights import MODEL_FILE, save_model
from weakseg.photograph.overlay import draw_activation, draw_ring, shrink
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.plan import Failure, Role
from weakseg.pipeline.runner import write_failures
from weakseg.report.compare import build_comparison_report
from weakseg.report.groups import ABOUT_GROUPS, grouped
from weakseg.report.model import PictureTable
from weakseg.report.run import build_run_report
from weakseg.stages.classify import classifier_header

ROWS = ["photograph", "disc, before the graph", "disc, after the graph", "what the ring attends to"]
NETWORK = ["--classifier.backbone.name=resnet10t", "--classifier.backbone.weights=none", "--classifier.groups.size=3"]
HEAD = ["--classifier.head.channels=8", "--classifier.convolutions=0", "--activations.scales=[2.0]"]


def lay_out(folder: Path, recipe: GroupRecipe) -> None:
    """Write what classifier and activations leave, as far as reports of groups read it."""
    torch.manual_seed(0)
    config = recipe.classifier
    model = GroupClassifier(build_backbone(config.backbone), 2, config.head)
    for name, parameter in model.named_parameters():
        if not name.startswith("backbone."):
            torch.nn.init.normal_(parameter, std=0.5)
    header = classifier_header(Classes(("disc", "square")), config.backbone, config.convolutions)
    header |= {"kind": GROUP_CLASSIFIER, "head": asdict(config.head)}
    save_model(folder / "classifier" / MODEL_FILE, model, header)
    measured = {"seconds": 1.5, "images": 6, "peak_mb": 100.0, "workers": 2, "failures": []}
    for name in ("classifier", "activations"):
        write_json(folder / name / MANIFEST, {"summary": measured})


@pytest.fixture(scope="module")
def of_groups(tiny_data) -> GroupRecipe:
    recipe = load_recipe("group", [*folder_arguments(Path(tiny_data.root)), *NETWORK, *HEAD])
    assert isinstance(recipe, GroupRecipe)
    return recipe


@pytest.fixture(scope="module")
def laid_out(of_groups, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("groups")
    lay_out(folder, of_groups)
    return folder


@pytest.fixture
def folder(tiny_data, of_groups, laid_out, tmp_path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(laid_out, folder)
    write_json(folder / RECIPE_FILE, recipe_as_json(of_groups))
    write_json(folder / "data" / "place.json", {"root": tiny_data.root})
    return folder


def test_a_run_shows_groups(folder, of_groups):
    report = build_run_report(folder)
    assert report.groups_note == ABOUT_GROUPS and report.details[-1] == (
        "activations: 4 images with a tag, in 2 groups of at most 3 that share a class; 0 share no class with another "
        "one. 2 images without a tag, in no such group."
    )
    tables = {table.title: table for table in report.groups}
    assert all(len(table.columns) > 1 for table in report.groups)
    table = tables["i01 and its group, disc"]
    assert table.columns[:2] == ("i01: disc", "i05: disc") and [name for name, _ in table.rows] == ROWS
    (_, photographs), *_, (_, attended) = table.rows
    assert attended[0] is None and all(picture is not None for picture in attended[1:])
    samples = {sample.id: sample for sample in open_dataset(of_groups.data).splits["train"]}
    assert (photographs[1] == samples["i05"].load_image()).all()
    changed = (photographs[0] != samples["i01"].load_image()).any(-1)
    assert 0 < changed.sum() < changed.size / 2
    assert "Of what the ring in i01, where disc is found most" in table.note and "% of the cells of i05" in table.note


def test_pictures_lie_where_cells_do(folder, of_groups, monkeypatch):
    """All attention is on one cell, whose place in the image is known; so is that of the ring."""
    from weakseg.report import groups
    from weakseg.stages.group_view import GroupView

    def view(model, images, edges, class_id, *, output):
        assert [image.shape[:2] for image in images] == [(96, 128)] * len(images)  # at the scale 2
        one = torch.zeros(6, 8)
        one[2, 5] = 1.0
        return GroupView([one] * len(images), [one] * len(images), (2, 5), {1: one})

    monkeypatch.setattr(groups, "view_group", view)
    (table, *_) = build_run_report(folder).groups
    dataset = open_dataset(of_groups.data)
    ids = [column.split(":")[0] for column in table.columns]
    photos = [shrink(s.load_image()) for i in ids for s in dataset.splits["train"] if s.id == i]
    (_, photographs), (_, before), _, (_, attended) = table.rows
    cells = build_backbone(of_groups.classifier.backbone).cells()
    row, column = ((cells.first + cells.stride * number + 0.5) / 2 - 0.5 for number in (2, 5))
    assert (photographs[0] == draw_ring(photos[0], (row, column))).all()
    grey = draw_activation(photos[1], np.zeros((2, 2)))
    bright = (attended[1] != grey).any(-1)
    assert (before[1] == attended[1]).all()
    rows, columns = np.nonzero(bright)
    assert abs(rows.mean() - row) < 0.6 and abs(columns.mean() - column) < 0.6
    assert "half lies on 2 % of the cells" in table.note


def test_attention_is_left_out_where_there_is_none(folder, of_groups):
    graph = replace(of_groups.classifier.head.graph, messages="mean")
    head = replace(of_groups.classifier.head, graph=graph)
    means = replace(of_groups, classifier=replace(of_groups.classifier, head=head))
    lay_out(folder, means)
    write_json(folder / RECIPE_FILE, recipe_as_json(means))
    tables = build_run_report(folder).groups
    assert tables and all(len(table.rows) == 3 for table in tables)
    assert all("No attention is shown: messages are the mean" in table.note for table in tables)


def found_in(recipe: GroupRecipe, folder: Path, **changes: object) -> tuple[str, tuple[PictureTable, ...]]:
    classifier = replace(recipe.classifier, **changes)
    dataset = open_dataset(recipe.data)
    folders = {name: folder / name for name in ("classifier", "activations")}
    (found,) = grouped(replace(recipe, classifier=classifier), dataset, folders, [])
    return found.describe(), found.pictures(4)


def test_images_alone_and_random_groups(folder, of_groups):
    draw = of_groups.classifier.groups
    alone = replace(of_groups, activations=replace(of_groups.activations, size=1))
    said, tables = found_in(alone, folder)
    assert said.startswith("activations: 4 images with a tag, each alone;") and tables == ()
    said, tables = found_in(of_groups, folder, groups=replace(draw, draw="random", size=4))
    assert "in 1 groups of at most 4 drawn at random, whatever they show;" in said
    (table,) = tables
    lacking = [index for index, name in enumerate(table.columns) if table.title.split()[-1] not in name]
    assert lacking and all(table.rows[1][1][i] is None and table.rows[2][1][i] is None for i in lacking)
    assert all(picture is not None for picture in table.rows[3][1][1:])
    said, _ = found_in(of_groups, folder, accumulate=True)
    assert "in groups of 3 that share a class, anew in each epoch of the training" in said


def test_what_is_not_there_is_not_shown(folder, of_groups, recipe):
    write_failures(folder, [Failure("i05", "data", "torn"), Failure("i02", "activations", "memory")])
    report = build_run_report(folder)
    assert "activations: 3 images with a tag" in report.details[-1]
    assert not any("i05" in column for table in report.groups for column in table.columns)
    (folder / "activations" / MANIFEST).unlink()
    assert build_run_report(folder).groups == ()
    assert grouped(recipe, open_dataset(recipe.data), {}, []) == ()


def test_a_comparison_shows_a_group_of_each_classifier(folder, of_groups, recipe):
    dataset, methods = open_dataset(of_groups.data), []
    for name, one in (("cam", recipe), ("group", of_groups), ("again", of_groups)):
        steps = [step for step in METHODS[one.method].build(one, dataset) if step.role not in (Role.CHECK, Role.AFTER)]
        products = MethodProducts(steps, {step.name: folder / step.name for step in steps}, {})
        methods.append(ComparedMethod(name, one, products, MethodFigures(), ()))
    report = build_comparison_report(Comparison(folder, tuple(methods), ()))
    (table,) = report.groups
    assert table.title.startswith("group: ") and report.groups_note == ABOUT_GROUPS
    assert report.details[-1].startswith("group: activations: 4 images with a tag")
