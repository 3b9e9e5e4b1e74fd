"""Instances from true boxes and true class masks: what boxes alone cost, on real photographs."""

from pathlib import Path
from typing import get_args

import pytest

from weakseg.data.annotations import Box
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import open_instance_truth, open_truth
from weakseg.evaluation.instance_protocol import InstanceScore, score_instances
from weakseg.instances import SUFFIX
from weakseg.settings.instances import Overlap
from weakseg.stages.box_instances import instances_from_boxes


def upper_bounds(config: DataConfig, split: str, root: Path) -> dict[Overlap, InstanceScore]:
    """Return the score of each way to share pixels; what is true is read once for all."""
    dataset = open_dataset(config)
    labels = {sample.id: sample for sample in open_truth(config, dataset, split)}
    truth, scores = open_instance_truth(config, dataset, split), {}
    known = {sample.id: (labels[sample.id].load_truth(), sample.load_truth().objects) for sample in truth}
    for overlap in get_args(Overlap):
        for image_id, (mask, objects) in known.items():
            boxes = [Box(class_id, *box) for class_id, box in zip(objects.class_ids, objects.boxes, strict=True)]
            found = instances_from_boxes(mask, boxes, overlap=overlap).instances
            found.save(root / overlap / f"{image_id}{SUFFIX}")
        scores[overlap] = score_instances(overlap, truth, root / overlap)
    return scores


def test_msrc(real_data: Path, tmp_path: Path) -> None:
    """Measured here: 100 images, 125 objects, of which few touch another of their class."""
    config = DataConfig(root=str(real_data / "msrc"), format="voc", train="train", val="val", tags="truth")
    scores = upper_bounds(config, "val", tmp_path)
    for overlap, score in scores.items():
        assert score.counts == {"images": 100, "missing": 0, "objects": 125}, overlap
        assert score.mean_precision[:3] == (1, 1, 1) and score.mean_precision[3] > 0.98, overlap
    found = {overlap: 100 * score.coco.ap for overlap, score in scores.items()}
    assert found == pytest.approx({"shared": 97.7, "exclusive": 98.4, "component": 99.2}, abs=0.1)


def test_coco(real_data: Path, tmp_path: Path) -> None:
    """Measured here: 88 images, 631 objects, many in groups, some in parts."""
    config = DataConfig(root=str(real_data / "coco"), format="coco", train="instances.json")
    scores = upper_bounds(config, "train", tmp_path)
    for overlap, score in scores.items():
        assert (score.counts["images"], score.counts["objects"]) == (88, 631), overlap
    found = {overlap: 100 * score.coco.ap for overlap, score in scores.items()}
    assert found == pytest.approx({"shared": 86.6, "exclusive": 86.2, "component": 82.0}, abs=0.1)
