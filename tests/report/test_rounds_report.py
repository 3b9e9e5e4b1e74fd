"""Rounds, seeds and growth in the pages of runs and comparisons, from folders that were laid out by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from weakseg.artifacts import LabelMap
from weakseg.data.dataset import open_dataset
from weakseg.errors import StoreError
from weakseg.evaluation.protocol import titled
from weakseg.files import write_json
from weakseg.methods import METHODS
from weakseg.methods.compare import ComparedMethod, Comparison, MethodProducts
from weakseg.methods.figures import MethodFigures
from weakseg.methods.recipes import RECIPE_FILE, recipe_as_json
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.plan import Role
from weakseg.report import run as run_report
from weakseg.report.compare import build_comparison_report
from weakseg.report.rounds import ROUNDS, Trained, describe_seeds, growth_table, later_masks, rounds_table
from weakseg.report.run import build_run_report

SEEDS = {
    "background": "saliency",
    "images": 6,
    "pixels": {"background": 50, "disc": 30, "square": 10},
    "undecided": 10,
    "without_map": 2,
    "without_background": 1,
    "without_seed": {"disc": 3},
    "unknown": 0,
}


def score(name: str, value: float, split: str = "train") -> dict[str, object]:
    protocol = {"split": split, "list": split, "tags_from": "labels", "void": "left out", "undecided": "error"}
    figures = {"mean_iou": value, "pixel_accuracy": 90.0, "coverage": 100.0, "images": 6, "missing": 0}
    return {"name": name, **figures, "iou": {"disc": value}, "per_image": {}, "protocol": protocol}


SCORES = [
    score("masks", 50.0),
    score("predictions", 40.0, "val"),
    score("masks_2", 55.0),
    score("predictions_2", 42.5, "val"),
]


@pytest.fixture
def twice(recipe):
    return replace(recipe, rounds=2)


@pytest.fixture
def folder(tiny_data, twice, leave_steps, tmp_path) -> Path:
    """A run of two rounds, with seeds that were counted, and labels of two images that grew."""
    folder = tmp_path / "run"
    leave_steps(folder)
    write_json(folder / RECIPE_FILE, recipe_as_json(twice))
    write_json(folder / "data" / "place.json", {"root": tiny_data.root})
    write_json(folder / "evaluation" / "results.json", {"scores": SCORES, "objects": []})
    measured = {"seconds": 1.5, "images": 6, "peak_mb": 100.0, "workers": 2, "failures": []}
    restricted = {"pixels": 1000, "changed": 25, "changed_images": 2, "all_absent": 0, "with_unknown": 0}
    write_json(folder / "masks_2" / MANIFEST, {"summary": {**measured, "restricted": restricted}})
    write_json(folder / "seeds" / MANIFEST, {"summary": {**measured, "seed_counts": SEEDS, "warnings": ["few seeds"]}})
    for index in range(6):
        LabelMap(np.full((48, 64), 2, np.uint8)).save(folder / "masks_2" / f"i{index:02}.png")
    for image_id in ("i01", "i05"):
        for epoch in (0, 1, 12):
            labels = np.full((5, 5), min(epoch, 2), np.uint8)  # of a photograph that was stretched to a square
            LabelMap(labels).save(folder / "segmenter" / "growth" / image_id / f"{epoch:03}.png")
    counts = {"cells": 200, "seeded": 20, "present": 8, "without_seed": 2}
    grown = [{"epoch": n, "loss": 1.0, "growth": {**counts, "labelled": 50 * n}} for n in (1, 2)]
    (folder / "segmenter" / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in grown))
    return folder


def test_a_run_shows_all_rounds(folder):
    report = build_run_report(folder)
    rounds, seeds, growth, agreement, _ = report.tables
    assert rounds.columns == ROUNDS
    assert rounds.rows == ((1, "seeds", None, None, None, 40.0, None), (2, "masks_2", 100.0, 55.0, 2.5, 42.5, 2.5))
    assert growth.rows == (("segmenter", 1, 10.0, 25.0, 8, 25.0), ("segmenter", 2, 10.0, 50.0, 8, 25.0))
    assert [row[0] for row in agreement.rows] == ["masks", "predictions", "masks_2", "predictions_2"]
    assert "few seeds" in report.warnings
    assert report.details[-1] == (
        "seeds: background where saliency is low, on 2 of 6 images, which have no map, where activations are low; "
        "1 images have no background seed."
    )
    assert seeds.title == "Labels of seeds" and seeds.rows == (
        ("background", 50.0, 1), ("disc", 30.0, 3), ("square", 10.0, 0), ("undecided", 10.0, None),
    )  # fmt: skip
    cards = {card.image_id: [panel.title for panel in card.panels] for card in report.cards}
    grown = ["seeds on cells", "grown, epoch 1", "grown, epoch 12"]
    assert cards["i05"] == ["photograph", "seeds", *grown, "masks", "masks_2"]
    assert cards["i00"] == ["photograph", "seeds", "masks", "masks_2"]


def test_images_that_grew_are_among_the_cards(folder, monkeypatch):
    monkeypatch.setattr(run_report, "MAX_CARDS", 3)
    report = build_run_report(folder)
    shown = {card.image_id for card in report.cards}
    assert len(shown) == 3 and {"i01", "i05"} <= shown
    assert report.cards_note.endswith(", beside the 2 whose labels are shown as they grew")


def test_a_comparison_shows_all_rounds(folder, tiny_data, recipe, twice, tmp_path):
    dataset, methods = open_dataset(tiny_data), []
    for name, one in (("once", recipe), ("twice", twice)):
        steps = [step for step in METHODS["cam"].build(one, dataset) if step.role != Role.CHECK]
        folders = {step.name: folder / step.name for step in steps}
        scores = {found["name"]: [found] for found in SCORES if found["name"] in folders}
        products = MethodProducts(steps, folders, scores)
        methods.append(ComparedMethod(name, one, products, MethodFigures(), ()))
    report = build_comparison_report(Comparison(tmp_path, tuple(methods), ()))
    rounds = report.tables[1]
    assert rounds.columns == ("method", *ROUNDS)
    assert rounds.rows[1] == ("twice", 2, "masks_2", 100.0, 55.0, 2.5, 42.5, 2.5) and len(rounds.rows) == 2
    titles = {card.image_id: [panel.title for panel in card.panels] for card in report.cards}["i01"]
    assert titles[2:5] == ["once", "twice", "twice, masks_2"]
    assert titles[-3:] == ["once: seeds on cells", "once: grown, epoch 1", "once: grown, epoch 12"]
    assert [note.split(":")[0] for note in report.details[-2:]] == ["once", "twice"]
    assert later_masks(methods[1].products.steps) == ("masks_2",) and later_masks(methods[0].products.steps) == ()


def test_one_round_needs_no_table(recipe, twice, tiny_data):
    steps = METHODS["cam"].build(recipe, open_dataset(tiny_data))
    assert rounds_table({"": Trained(recipe, steps, {}, {})}) == ()
    table = rounds_table({"": Trained(twice, steps, {}, {})})[0]  # of which one is there
    assert table.rows == ((1, "seeds", None, None, None, None, None),)


def test_seeds_without_maps_and_names_of_scores(tmp_path):
    plain = {**SEEDS, "background": "activations", "without_map": 0}
    (said,) = describe_seeds({"seeds": {"seed_counts": plain}, "masks": {}, "evaluation": {"seeds": 12.5}})
    assert said == "seeds: background where activations are low; 1 images have no background seed."
    assert len({titled(found) for found in SCORES}) == 4


def test_records_that_cannot_be_read_are_named(tmp_path):
    assert growth_table({"segmenter": tmp_path}) == ()
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "loss": 0.5}\n')
    assert growth_table({"segmenter": tmp_path}) == ()
    (tmp_path / "metrics.jsonl").write_text("{")
    with pytest.raises(StoreError, match=r"metrics\.jsonl: cannot be read"):
        growth_table({"segmenter": tmp_path})
