import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.formats.instances_out import write_coco_annotations, write_coco_results, write_voc
from weakseg.data.formats.mask_files import MaskRules
from weakseg.data.truth import instance_truth_from_coco, instance_truth_from_masks
from weakseg.errors import DataError
from weakseg.instances import Instances

SIZE = (9, 11)
CLASSES = Classes(("cat", "dog"))


def ring_and_bar() -> Instances:
    """A dog with two holes and a cat that crosses it."""
    masks = np.zeros((2, *SIZE), np.bool_)
    masks[0, 1:8, 1:8] = True
    masks[0, 2:4, 3:5] = masks[0, 5, 5] = False
    masks[1, 4:6, 5:11] = True
    return Instances.of(masks, [2, 1], scores=[0.5, 0.25], boxes=[(1, 1, 8, 8.5), (4, 5, 6, 11)])


def nothing() -> Instances:
    return Instances.of(np.zeros((0, 4, 5), np.bool_), [])


def test_annotations_are_read_back(tmp_path: Path) -> None:
    path, given = tmp_path / "a.json", {"x/a": ring_and_bar(), "b": nothing()}
    write_coco_annotations(path, given, {"x/a": "x/a.jpg", "b": "b.png"}, CLASSES)
    found = {sample.id: sample.load_truth() for sample in instance_truth_from_coco(path, CLASSES)}
    assert list(found) == ["x/a", "b"] and not any(found["x/a"].crowd)
    for image_id, instances in given.items():
        np.testing.assert_array_equal(found[image_id].objects.masks, instances.masks)
        assert found[image_id].objects.class_ids == instances.class_ids
    assert not found["x/a"].objects.masks[0, 2:4, 3:5].any()


def test_annotations_hold_box_area_and_score(tmp_path: Path) -> None:
    write_coco_annotations(tmp_path / "a.json", {"a": ring_and_bar()}, {"a": "a.jpg"}, CLASSES)
    document = json.loads((tmp_path / "a.json").read_text())
    first, second = document["annotations"]
    assert first["bbox"] == [1, 1, 7.5, 7] and first["area"] == 44 and first["score"] == 0.5
    assert (first["id"], second["id"], first["iscrowd"]) == (1, 2, 0)
    assert document["images"] == [{"id": 1, "file_name": "a.jpg", "height": 9, "width": 11}]
    assert document["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]


def test_results_are_what_pycocotools_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_coco_annotations(tmp_path / "a.json", {"a": ring_and_bar()}, {"a": "a.jpg"}, CLASSES)
    write_coco_results(tmp_path / "r.json", {"a": ring_and_bar()}, {"a": 1}, {1: 1, 2: 2})
    found = COCO(str(tmp_path / "a.json")).loadRes(str(tmp_path / "r.json"))
    capsys.readouterr()
    assert [found.anns[n]["score"] for n in (1, 2)] == [0.5, 0.25]
    masks = np.stack([found.annToMask(found.anns[n]) for n in (1, 2)])
    np.testing.assert_array_equal(masks.astype(bool), ring_and_bar().masks)


def test_results_have_the_numbers_of_the_data_set(tmp_path: Path) -> None:
    write_coco_results(tmp_path / "r.json", {"a": ring_and_bar(), "b": nothing()}, {"a": 139, "b": 7}, {1: 17, 2: 18})
    records = json.loads((tmp_path / "r.json").read_text())
    assert [(r["image_id"], r["category_id"]) for r in records] == [(139, 18), (139, 17)]


def test_what_has_no_number_or_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="image 'a': has instances but no number"):
        write_coco_results(tmp_path / "r.json", {"a": ring_and_bar()}, {}, {1: 1, 2: 2})
    with pytest.raises(DataError, match="image 'a': class 2 has no category"):
        write_coco_results(tmp_path / "r.json", {"a": ring_and_bar()}, {"a": 1}, {1: 1})
    with pytest.raises(DataError, match="image 'a': has instances but no file name"):
        write_coco_annotations(tmp_path / "r.json", {"a": ring_and_bar()}, {}, CLASSES)
    with pytest.raises(DataError, match="class 2 has no category"):
        write_coco_annotations(tmp_path / "r.json", {"a": ring_and_bar()}, {"a": "a.jpg"}, Classes(("cat",)))
    assert not (tmp_path / "r.json").exists()


class TestVoc:
    def test_what_does_not_overlap_is_read_back(self, tmp_path: Path) -> None:
        masks = np.zeros((3, *SIZE), np.bool_)
        masks[0, 1:5, 1:5], masks[0, 2, 2] = True, False
        masks[1, 6:, :3] = masks[2, 6:, 3:] = True
        given = Instances.of(masks, [2, 1, 1], scores=[0.1, 0.9, 0.5])
        write_voc(tmp_path, "x/a", given)
        paths = tuple(tmp_path / folder / "x/a.png" for folder in ("SegmentationObject", "SegmentationClass"))
        (sample,) = instance_truth_from_masks({"x/a": (paths[0], paths[1])}, MaskRules(CLASSES))
        np.testing.assert_array_equal(sample.load_truth().objects.masks, masks)
        assert sample.load_truth().objects.class_ids == (2, 1, 1)

    def test_the_surer_object_lies_on_top(self, tmp_path: Path) -> None:
        given = ring_and_bar()
        write_voc(tmp_path, "a", given)
        objects = LabelMap.load(tmp_path / "SegmentationObject/a.png").labels
        labels = LabelMap.load(tmp_path / "SegmentationClass/a.png").labels
        np.testing.assert_array_equal(objects == 1, given.masks[0])
        np.testing.assert_array_equal(objects == 2, given.masks[1] & ~given.masks[0])
        np.testing.assert_array_equal(labels, np.array([0, 2, 1], np.uint8)[objects])

    def test_of_equal_scores_the_smaller_object_lies_on_top(self, tmp_path: Path) -> None:
        masks = np.zeros((2, *SIZE), np.bool_)
        masks[0, 2:4, 2:4] = masks[1, 1:7, 1:7] = True
        for order in ([0, 1], [1, 0]):
            write_voc(tmp_path, "a", Instances.of(masks, [1, 2]).chosen(order))
            labels = LabelMap.load(tmp_path / "SegmentationClass/a.png").labels
            assert (labels[2:4, 2:4] == 1).all() and (labels == 2).sum() == 32

    def test_more_objects_than_numbers_are_refused(self, tmp_path: Path) -> None:
        many = Instances.of(np.ones((255, 2, 2), np.bool_), [1] * 255)
        with pytest.raises(DataError, match="255 objects, but VOC's masks hold 254"):
            write_voc(tmp_path, "a", many)
        write_voc(tmp_path, "a", many.chosen(range(254)))
