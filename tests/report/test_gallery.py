from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from weakseg.data.dataset import open_dataset
from weakseg.data.sample import Tags
from weakseg.report import draw_labels, shrink
from weakseg.report.gallery import (
    first_panels,
    labels_of,
    labels_panel,
    legend_of,
    objects_table,
    summary_of,
    tag_names,
)

SCORE = {
    "protocol": {"split": "train"},
    "mean_ap_region": {"0.25": 90.0, "0.5": 80.0},
    "coco": {"ap": 40.0, "ap50": 75.0},
    "images": 9,
    "missing": 1,
    "objects": 12,
}


def test_objects_have_a_row_for_each_product():
    table = objects_table({"instances": SCORE, "boxes": {**SCORE, "missing": 0}})
    assert table.columns[2:6] == ("mAP^r 0.25 %", "mAP^r 0.5 %", "COCO AP %", "COCO AP50 %")
    assert table.rows == (
        ("instances", "train", 90.0, 80.0, 40.0, 75.0, 9, 1, 12),
        ("boxes", "train", 90.0, 80.0, 40.0, 75.0, 9, 0, 12),
    )


def test_the_photograph_and_its_activations_where_there_are_any(tiny_data, leave_steps, tmp_path):
    leave_steps(tmp_path)
    samples = {sample.id: sample for sample in open_dataset(tiny_data).splits["train"]}
    titles = {
        image_id: [panel.title for panel in first_panels(samples[image_id], {"activation": tmp_path / "activations"})]
        for image_id in ("i01", "i02")
    }
    assert titles == {"i01": ["photograph", "activation"], "i02": ["photograph"]}
    (photo,) = first_panels(samples["i01"], {})
    np.testing.assert_array_equal(photo.image, shrink(samples["i01"].load_image()))


def test_label_maps_are_drawn_over_the_photograph(tiny_data, leave_steps, tmp_path):
    leave_steps(tmp_path, shift=0)
    sample = open_dataset(tiny_data).splits["train"][3]
    labels = labels_of(tmp_path / "masks", sample.id)
    assert set(np.unique(labels)) == {0, 1, 2}
    panel = labels_panel("masks", sample.load_image(), labels)
    assert (panel.title, panel.kind) == ("masks", "labels")
    np.testing.assert_array_equal(panel.image, draw_labels(sample.load_image(), labels))


def test_classes_by_name(tiny_data):
    dataset = open_dataset(tiny_data)
    assert legend_of(dataset) == {"disc": 1, "square": 2}
    sample = replace(dataset.splits["train"][0], tags=Tags(frozenset({2, 1})))
    assert tag_names(dataset, sample) == ("disc", "square")


@pytest.mark.parametrize("content", [None, "{}"])
def test_a_step_that_is_not_finished_has_no_summary(tmp_path: Path, content: str | None):
    if content:
        (tmp_path / "manifest.json").write_text(content)
    assert summary_of(tmp_path) == {}


def test_a_finished_step_has_one(leave_steps, tmp_path):
    leave_steps(tmp_path)
    assert summary_of(tmp_path / "masks")["warnings"] == ["masks were slow"]
