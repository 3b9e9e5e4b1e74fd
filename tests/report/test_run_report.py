"""The report of a run folder that was laid out by hand."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from weakseg.data.dataset import open_dataset
from weakseg.errors import StoreError
from weakseg.files import write_json
from weakseg.methods.recipes import RECIPE_FILE, recipe_as_json
from weakseg.pipeline.plan import Failure
from weakseg.pipeline.runner import write_failures
from weakseg.report.run import build_run_report, truth_loaders
from weakseg.steps.reliability import MaskDoubt


@pytest.fixture
def run_folder(tiny_data, recipe, tmp_path) -> Path:
    folder = tmp_path / "run"
    write_json(folder / RECIPE_FILE, recipe_as_json(recipe))
    write_json(folder / "data" / "place.json", {"root": tiny_data.root})
    write_failures(folder, [Failure("i99", "activations", "torn")])
    return folder


def objects_score() -> dict[str, object]:
    protocol = {"split": "train", "list": "objects.json", "match": "best", "void": "part of no object"}
    figures = {"mean_ap_region": {"0.5": 80.0}, "coco": {"ap": 40.0, "ap50": 75.0}}
    return {"name": "instances", **figures, "protocol": protocol, "images": 6, "missing": 0, "objects": 8}


def test_figures_of_a_finished_run(run_folder, leave_steps):
    score = leave_steps(run_folder)
    write_json(run_folder / "classifier" / "manifest.json", {"summary": {"mAP": 91.0, "seconds": 2.0, "failures": []}})
    write_json(run_folder / "evaluation" / "results.json", {"scores": [score], "objects": [objects_score()]})
    report = build_run_report(run_folder)
    assert (report.title, report.legend) == ("cam: run", {"disc": 1, "square": 2})
    figures = {figure.label: figure.value for figure in report.key_figures}
    assert figures == {"photographs held out": 2, "masks": score["mean_iou"], "instances": 80.0}
    agreement, tags, objects, steps = report.tables
    assert tags.rows == (("classifier", 91.0, 2),)
    assert agreement.rows[0][:3] == ("masks", "train", score["mean_iou"])
    assert objects.rows[0][:3] == ("instances", "train", 80.0)
    assert ("masks", 1.5, 6, 0) in steps.rows and ("classifier", 2.0, None, 0) in steps.rows
    assert report.charts[0].series == {"masks": score["iou"]}
    assert report.warnings == ("activations were slow", "seeds were slow", "masks were slow")
    assert [note.split(":")[0] for note in report.details] == ["masks", "instances"]
    assert [(f.image_id, f.stage, f.reason) for f in report.failures] == [("i99", "activations", "torn")]
    assert report.settings["method"] == "cam"


def test_cards_of_a_finished_run(run_folder, leave_steps):
    score = leave_steps(run_folder)
    write_json(run_folder / "evaluation" / "results.json", {"scores": [score]})
    cards = {card.image_id: card for card in build_run_report(run_folder).cards}
    assert {name: card.iou for name, card in cards.items()} == pytest.approx(
        {name: value / 100 for name, value in score["per_image"].items()}
    )
    assert all(card.reliability is None and card.note == "train" for card in cards.values())
    titles = [panel.title for panel in cards["i01"].panels]
    assert titles == ["photograph", "activation", "seeds", "masks", "masks against truth"]
    assert [panel.title for panel in cards["i00"].panels] == ["photograph", "seeds", "masks", "masks against truth"]


def test_before_the_evaluation_reliability_ranks_the_cards(run_folder, leave_steps):
    leave_steps(run_folder)
    doubts = [MaskDoubt(1, "tags", 0.1, 0.8), MaskDoubt(2, "tags", 0.2, 0.3, ("it is in pieces",))]
    write_json(run_folder / "reliability" / "i01.reliability.json", [asdict(one) for one in doubts])
    report = build_run_report(run_folder)
    cards = {card.image_id: card for card in report.cards}
    assert {card.iou for card in cards.values()} == {None}
    assert {name for name, card in cards.items() if card.reliability is not None} == {"i01"}
    assert cards["i01"].reliability == 0.3 and cards["i01"].doubts == ("disc 0.80", "square 0.30: it is in pieces")
    assert (report.charts, report.notes) == ((), ())
    assert [(figure.label, figure.value) for figure in report.key_figures] == [
        ("masks to trust", "1 of 2"), ("photographs held out", 2),
    ]  # fmt: skip
    assert "55% are expected" in report.key_figures[0].note
    assert [table.title for table in report.tables] == ["Steps"]


def test_a_run_without_truth_says_so(run_folder, leave_steps):
    leave_steps(run_folder)
    write_json(run_folder / "evaluation" / "results.json", {"scores": [], "objects": []})
    (note,) = build_run_report(run_folder).notes
    assert note.startswith("There is no ground truth")


def test_a_run_that_has_just_begun(run_folder):
    report = build_run_report(run_folder)
    assert report.cards == () and report.tables[0].rows == ()


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no run folder"):
        build_run_report(tmp_path)


def test_truth_of_every_split_is_at_hand(tiny_data):
    loaders = truth_loaders(tiny_data, open_dataset(tiny_data))
    assert sorted(loaders) == [f"i{index:02}" for index in range(8)]
    assert set(np.unique(loaders["i03"]())) == {0, 1, 2}
