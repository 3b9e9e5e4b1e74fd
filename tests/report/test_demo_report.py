import numpy as np
import torch

from weakseg.artifacts import Activations, LabelMap
from weakseg.photograph.segmentation import Segmentation
from weakseg.report import draw_labels
from weakseg.report.demo import build_demo_report
from weakseg.stages.reliability import Reliability

SIZE = (16, 24)


def segmentation(label: int) -> Segmentation:
    """Return a mask of one label, the upper quarter of its seeds undecided."""
    seeds = np.full(SIZE, label, np.uint8)
    seeds[:4] = 255
    photo = np.full((*SIZE, 3), 90, np.uint8)
    activations = Activations(torch.rand(1, 4, 6), (1,), SIZE, 4)
    labels = LabelMap(np.full(SIZE, label, np.uint8))
    trusted = {"cat": Reliability(0.25 + label / 2)}
    return Segmentation(photo, ("cat",), activations, LabelMap(seeds), labels, reliabilities=trusted)


def test_a_card_for_each_photograph():
    masks = {"cam": segmentation(1), "wsgcn": segmentation(0), "a box": segmentation(1)}
    report = build_demo_report({"photo 1": masks, "photo 2": {"cam": segmentation(1), "wsgcn": segmentation(1)}})
    first, second = report.cards
    assert [panel.title for panel in first.panels] == [
        "photograph", "activation", "seeds", "mask by CRF: 0.75", "mask by WSGCN: 0.25", "from a box: 0.75",
    ]  # fmt: skip
    assert len(second.panels) == 5
    assert (first.image_id, first.class_names, first.reliability) == ("photo 1", ("cat",), 0.75)
    assert report.settings == {"tags": {"photo 1": "cat", "photo 2": "cat"}}
    by_name = {panel.title: panel.image for panel in first.panels}
    photo = by_name["photograph"]
    for title, label in (("mask by CRF: 0.75", 1), ("mask by WSGCN: 0.25", 0), ("from a box: 0.75", 1)):
        np.testing.assert_array_equal(by_name[title], draw_labels(photo, np.full(SIZE, label, np.uint8)), title)
