import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats.mask_files import MaskRules
from weakseg.data.truth import (
    InstanceSample,
    TrueInstances,
    instance_truth_from_coco,
    instance_truth_from_masks,
    open_instance_truth,
)
from weakseg.errors import DataError, ShapeError
from weakseg.instances import Instances


def open_both(config: DataConfig, split: str = "train") -> tuple[InstanceSample, ...]:
    return open_instance_truth(config, open_dataset(config), split)


def save_mask(path: Path, labels: list[list[int]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.array(labels, np.uint8)).save(path)
    return path


def sample_of(folder: Path, objects: list[list[int]], labels: list[list[int]], num_classes: int = 3) -> InstanceSample:
    paths = save_mask(folder / "o.png", objects), save_mask(folder / "c.png", labels)
    return instance_truth_from_masks({"a": paths}, MaskRules(Classes(("a", "b", "c")[:num_classes])))[0]


def test_voc(voc_root: Path) -> None:
    objects = np.zeros((4, 6), np.uint8)
    objects[:2, :2], objects[:2, 2], objects[2] = 1, 7, 255
    save_mask(voc_root / "SegmentationObject/a.png", objects.tolist())
    config = DataConfig(root=str(voc_root), format="voc", train="train")
    (sample,) = open_both(config)  # b has no object mask
    found = sample.load_truth()
    assert sample.id == "a" and found.crowd == (False, False) and found.objects.class_ids == (1, 1)
    np.testing.assert_array_equal(found.objects.masks, [objects == 1, objects == 7])
    assert found.objects.boxes == ((0, 0, 2, 2), (0, 2, 2, 3)) and found.objects.image_size == (4, 6)


def test_the_class_is_the_most_frequent(tmp_path: Path) -> None:
    found = sample_of(tmp_path, [[1, 1, 1, 1, 1, 1]], [[0, 0, 0, 255, 2, 3]] * 1).load_truth()
    assert found.objects.class_ids == (2,) and found.objects.areas == (6,)


def test_an_image_without_objects(tmp_path: Path) -> None:
    assert len(sample_of(tmp_path, [[0, 255]], [[0, 1]]).load_truth().objects) == 0


def test_an_object_without_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"o\.png: object 2 of 2 has no class in .*c\.png"):
        sample_of(tmp_path, [[3, 9]], [[1, 255]]).load_truth()


def test_masks_of_two_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"o\.png: is 1 x 2 but .*c\.png is 2 x 1"):
        sample_of(tmp_path, [[1, 1]], [[1], [1]]).load_truth()


def test_classes_beyond_the_last_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="object of class 3 in image 'a', but there are 2 classes"):
        sample_of(tmp_path, [[1]], [[3]], num_classes=2).load_truth()


def test_coco(coco_root: Path) -> None:
    a, b = open_both(DataConfig(root=str(coco_root), format="coco", train="train.json"))
    cat, dog = a.load_truth().objects.masks
    assert a.load_truth().objects.class_ids == (1, 2) and a.load_truth().crowd == (False, False)
    assert np.argwhere(cat).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert dog[:, :4].all() and not dog[:, 4:].any()  # whole: the cat lies on it
    assert b.load_truth().crowd == (True,) and b.load_truth().objects.areas == (8,)


def test_coco_with_chosen_classes(coco_root: Path) -> None:
    a, b = open_both(DataConfig(root=str(coco_root), format="coco", train="train.json", classes=("cat",)))
    assert a.load_truth().objects.class_ids == (1,) and len(b.load_truth().objects) == 0


def test_coco_with_a_class_map(coco_root: Path) -> None:
    (coco_root / "map.yaml").write_text("merge: {animal: [cat, dog]}")
    config = DataConfig(root=str(coco_root), format="coco", train="train.json", class_map="map.yaml")
    a, b = open_both(config)
    assert a.load_truth().objects.class_ids == (1, 1) and b.load_truth().objects.class_ids == (1,)
    (coco_root / "map.yaml").write_text("rename: {cat: kitten}\nignore: [dog]")
    a, b = open_both(config)
    assert a.load_truth().objects.class_ids == (1,) and len(b.load_truth().objects) == 0


def test_objects_of_another_size_than_the_photograph_are_refused(voc_root: Path) -> None:
    for folder in ("SegmentationObject", "SegmentationClass"):
        save_mask(voc_root / folder / "a.png", [[1, 1]])
    (sample,) = open_both(DataConfig(root=str(voc_root), format="voc", train="train"))
    with pytest.raises(DataError, match=r"truth of image 'a' is 1 x 2, but the photograph .*a\.jpg is 4 x 6"):
        sample.load_truth()


def test_images_that_a_data_set_no_longer_has_are_left_out(coco_root: Path) -> None:
    config = DataConfig(root=str(coco_root), format="coco", train="train.json")
    dataset = open_dataset(config)
    fewer = replace(dataset, splits={"train": dataset.splits["train"][1:]})
    assert [sample.id for sample in open_instance_truth(config, fewer, "train")] == ["b"]


def test_coco_objects_without_pixels_are_left_out(
    coco_root: Path, coco_document: dict[str, list[dict[str, object]]]
) -> None:
    coco_document["annotations"][0]["segmentation"] = [[1, 1, 1.1, 1, 1.1, 1.1]]
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    a, _ = instance_truth_from_coco(coco_root / "train.json", Classes(("cat", "dog")))
    assert a.load_truth().objects.class_ids == (2,)


def test_coco_images_with_an_object_that_has_only_a_box_are_left_out(
    coco_root: Path, coco_document: dict[str, list[dict[str, object]]]
) -> None:
    del coco_document["annotations"][0]["segmentation"]
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    assert [s.id for s in instance_truth_from_coco(coco_root / "train.json", Classes(("cat", "dog")))] == ["b"]


def test_coco_without_size_is_refused(coco_root: Path, coco_document: dict[str, list[dict[str, object]]]) -> None:
    del coco_document["images"][0]["height"], coco_document["images"][0]["width"]
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    a, _ = instance_truth_from_coco(coco_root / "train.json", Classes(("cat", "dog")))
    with pytest.raises(DataError, match="'height' and 'width' are missing"):
        a.load_truth()


def test_folders_and_absent_splits_have_none(tmp_path: Path, write_image, coco_root: Path) -> None:
    write_image(tmp_path / "f/images/a.png")
    (tmp_path / "f/train.csv").write_text("image,label\na.png,cat\n")
    assert open_both(DataConfig(root=str(tmp_path / "f"), train="train.csv")) == ()
    assert open_both(DataConfig(root=str(coco_root), format="coco", train="train.json"), "val") == ()


def test_one_flag_for_every_object() -> None:
    with pytest.raises(ShapeError, match="1 objects, but 0 crowd flags"):
        TrueInstances(Instances.of(np.ones((1, 2, 2), np.bool_), [1]), ())
