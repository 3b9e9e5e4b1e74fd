from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from weakseg.data.check import check_dataset
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import open_truth


@pytest.fixture
def msrc(real_data: Path) -> DataConfig:
    return DataConfig(root=str(real_data / "msrc"), format="voc", train="train", val="val", tags="truth")


@pytest.fixture
def coco(real_data: Path) -> DataConfig:
    return DataConfig(root=str(real_data / "coco"), format="coco", train="instances.json")


def test_msrc_sizes(msrc: DataConfig) -> None:
    dataset = open_dataset(msrc)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 373, "val": 100}
    assert len(dataset.classes) == 14
    assert len(open_truth(msrc, dataset, "val")) == 100


def test_the_parts_of_msrc_stay_what_they_are(msrc: DataConfig) -> None:
    cut = replace(msrc, train="fit", val="held", parts={"train": {"fit": 273, "held": 100}}, score=("fit", "held"))
    dataset = open_dataset(cut)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 273, "val": 100}
    assert [len(open_truth(cut, dataset, "val", name)) for name in ("fit", "held")] == [273, 100]
    assert [sample.id for sample in dataset.splits["val"][:5]] == ["1_11", "1_16", "1_24", "1_25", "1_27"]


def test_msrc_tags_are_the_classes_of_the_masks(msrc: DataConfig) -> None:
    for sample in open_truth(msrc, open_dataset(msrc), "val")[::10]:
        with Image.open(Path(msrc.root) / f"SegmentationClass/{sample.id}.png") as image:
            counts = np.bincount(np.asarray(image).ravel(), minlength=256)
        assert sample.sample.tags.present == {k for k in range(1, 15) if counts[k] >= 100}
        np.testing.assert_array_equal(np.bincount(sample.load_truth().ravel(), minlength=256), counts)


def test_coco_sizes(coco: DataConfig) -> None:
    dataset = open_dataset(coco)
    assert len(dataset.splits["train"]) == 88
    assert len(dataset.classes) == 80
    assert (dataset.classes.names[0], dataset.classes.names[79]) == ("person", "toothbrush")


def test_coco_tags_are_the_classes_of_the_masks(coco: DataConfig) -> None:
    samples = open_truth(coco, open_dataset(coco), "train")
    assert len(samples) == 88
    for sample in samples:
        shown = set(np.unique(sample.load_truth()).tolist()) - {0, 255}
        assert shown <= sample.sample.tags.present
        hidden = sample.sample.tags.present - shown  # smaller objects may cover all pixels of a class
        assert len(hidden) <= 1, f"{sample.id}: classes {hidden} have no pixel of their own"


def test_coco_truth_is_that_of_pycocotools(coco: DataConfig) -> None:
    reference = COCO(str(Path(coco.root) / "instances.json"))
    class_ids = {category: number for number, category in enumerate(sorted(reference.getCatIds()), start=1)}
    for sample in open_truth(coco, open_dataset(coco), "train")[:3]:
        annotations = reference.loadAnns(reference.getAnnIds(imgIds=int(sample.id)))
        objects = [(reference.annToMask(one), class_ids[one["category_id"]]) for one in annotations]
        area = np.full(objects[0][0].shape, np.iinfo(np.int64).max)
        expected = np.zeros(area.shape, np.uint8)
        for mask, class_id in objects:  # each pixel belongs to the smallest object that covers it
            wins = (mask == 1) & (mask.sum(dtype=np.int64) <= area)
            expected[wins], area[wins] = class_id, mask.sum()
        np.testing.assert_array_equal(sample.load_truth(), expected)


def test_coco_can_be_checked(coco: DataConfig) -> None:
    report = check_dataset(open_dataset(coco))
    assert report.failures == ()
    assert report.duplicates == ()
    assert report.num_images == 88
