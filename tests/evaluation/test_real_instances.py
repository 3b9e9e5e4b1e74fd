"""Instances from true boxes and true class masks: what boxes alone cost, on real photographs."""

from pathlib import Path

import pytest

from weakseg.data.annotations import Box
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import open_instance_truth, open_truth
from weakseg.evaluation.instance_protocol import InstanceScore, score_instances
from weakseg.instances import SUFFIX
from weakseg.settings.instances import Overlap
from weakseg.stages.box_instances import instances_from_boxes


def upper_bound(config: DataConfig, split: str, overlap: Overlap, folder: Path) -> InstanceScore:
    dataset = open_dataset(config)
    labels = {sample.id: sample for sample in open_truth(config, dataset, split)}
    truth = open_instance_truth(config, dataset, split)
    for sample in truth:
        objects = sample.load_truth().objects
        boxes = [Box(class_id, *box) for class_id, box in zip(objects.class_ids, objects.boxes, strict=True)]
        found = instances_from_boxes(labels[sample.id].load_truth(), boxes, overlap=overlap)
        found.instances.save(folder / f"{sample.id}{SUFFIX}")
    return score_instances(overlap, truth, folder)


@pytest.mark.parametrize(("overlap", "expected"), [("shared", 97.7), ("exclusive", 98.4), ("component", 99.2)])
def test_msrc(overlap: Overlap, expected: float, real_data: Path, tmp_path: Path) -> None:
    """Measured here: 100 images, 125 objects, of which few touch another of their class."""
    config = DataConfig(root=str(real_data / "msrc"), format="voc", train="train", val="val", tags="truth")
    score = upper_bound(config, "val", overlap, tmp_path)
    assert (score.images, score.missing, score.objects) == (100, 0, 125)
    assert score.mean_precision[:3] == (1, 1, 1) and score.mean_precision[3] > 0.98
    assert 100 * score.coco.ap == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("overlap", "expected"), [("shared", 86.6), ("exclusive", 86.2), ("component", 82.0)])
def test_coco(overlap: Overlap, expected: float, real_data: Path, tmp_path: Path) -> None:
    """Measured here: 88 images, 631 objects, many in groups, some in parts."""
    config = DataConfig(root=str(real_data / "coco"), format="coco", train="instances.json")
    score = upper_bound(config, "train", overlap, tmp_path)
    assert (score.images, score.objects) == (88, 631)
    assert 100 * score.coco.ap == pytest.approx(expected, abs=0.1)
