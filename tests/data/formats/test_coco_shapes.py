"""Boxes, keypoints and regions of COCO files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.annotations import Box, Drawn, Point
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.coco_objects import CocoImage, CocoObject
from weakseg.data.formats.coco_shapes import annotated, box_of
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "format": "coco", "train": "train.json", **settings}))


def save(root: Path, document: dict[str, Any]) -> None:
    (root / "train.json").write_text(json.dumps(document))


def test_a_box_and_its_pixels() -> None:
    """Weak-label oracle 1: [0.5, 0.5, 2, 2] touches the first three rows and columns."""
    (shape,) = box_of(CocoObject(1, False, None, "f", [0.5, 0.5, 2, 2]), "cat")
    (top, left), (bottom, right) = shape.positions
    assert Box(1, top, left, bottom, right).pixels((9, 9)) == (slice(0, 3), slice(0, 3))


@given(box=st.tuples(*[st.floats(0, 100)] * 2, *[st.floats(0.5, 100)] * 2))
def test_round_trip(box: tuple[float, float, float, float]) -> None:
    (shape,) = box_of(CocoObject(1, False, None, "f", list(box)), "cat")
    (top, left), (bottom, right) = shape.positions
    np.testing.assert_allclose((left, top, right - left, bottom - top), box, atol=1e-9)


def test_boxes_and_points(coco_root: Path, coco_document: dict[str, Any]) -> None:
    cat, dog, crowd = coco_document["annotations"]
    cat |= {"bbox": [1, 1, 2, 2], "keypoints": [1, 2, 2, 0, 0, 0, 3, 3, 1]}
    dog |= {"bbox": [0.5, 0, 99, 4]}
    crowd |= {"bbox": [0, 0, 3, 3], "keypoints": [1, 1, 2]}
    save(coco_root, coco_document)
    a, b = read(coco_root).splits["train"]
    assert a.drawn == Drawn(
        boxes=(Box(1, 1, 1, 3, 3), Box(2, 0, 0.5, 4, 6)), points=(Point(1, 2.5, 1.5), Point(1, 3.5, 3.5))
    )
    assert b.drawn == Drawn()  # a crowd is no object
    assert read(coco_root, labels="points").splits["train"][0].drawn == Drawn(points=a.drawn.points)
    assert read(coco_root, classes=("dog",)).splits["train"][0].drawn.boxes == (Box(1, 0, 0.5, 4, 6),)


def test_masks_only_where_asked_for(coco_root: Path) -> None:
    assert read(coco_root).splits["train"][0].drawn == Drawn()
    a, b = read(coco_root, labels="regions").splits["train"]
    cat, dog = (mask_of_runs(region.runs, region.size) for region in a.drawn.regions)
    assert [region.class_id for region in a.drawn.regions] == [1, 2]
    assert cat.sum() == 4 and cat[1:3, 1:3].all()
    assert dog.sum() == 16 and dog[:, :4].all()
    (crowd,) = b.drawn.regions
    assert (crowd.class_id, mask_of_runs(crowd.runs, crowd.size).sum()) == (255, 8)
    assert b.tags == Tags(frozenset(), frozenset({2}))


def test_an_ignored_class_becomes_a_region_to_be_ignored(coco_root: Path) -> None:
    (coco_root / "m.yaml").write_text("ignore: [cat]")
    regions = read(coco_root, labels="regions", class_map="m.yaml").splits["train"][0].drawn.regions
    assert [region.class_id for region in regions] == [255, 1]


def test_masks_need_a_size(coco_root: Path, coco_document: dict[str, Any]) -> None:
    del coco_document["images"][0]["height"], coco_document["images"][0]["width"]
    save(coco_root, coco_document)
    dataset = read(coco_root, labels="regions")
    a, b = dataset.splits["train"]
    assert (a.drawn, a.tags) == (Drawn(), Tags(frozenset({1, 2}))) and b.drawn.regions
    assert [(k.split(": ")[1], v) for k, v in dataset.dropped.items()] == [
        (f"annotations[{n}]", "its image has no 'height' and 'width'; add them, masks need them") for n in (0, 1)
    ]


def test_a_box_outside_is_dropped(coco_root: Path, coco_document: dict[str, Any]) -> None:
    coco_document["annotations"][0]["bbox"] = [6, 0, 2, 2]
    coco_document["annotations"][1]["bbox"] = [1, 1, 0, 2]
    save(coco_root, coco_document)
    dataset = read(coco_root)
    assert sorted((k.split(": ")[1], v) for k, v in dataset.dropped.items()) == [
        ("annotations[0]", "box of 'cat' lies outside the photograph"),
        ("annotations[1]", "a box of 2 x 0 pixels has no area"),
    ]
    assert dataset.splits["train"][0].tags == Tags(frozenset({1, 2}))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bbox", [1, 2, 3], "bbox must be x, y, width, height, got 3 values"),
        ("bbox", [1, 2, 3, float("inf")], "bbox must be a finite number, got inf"),
        ("bbox", "1,2,3,4", "bbox must be a list, got '1,2,3,4'"),
        ("bbox", [1, 2, 3, None], "bbox must be a finite number, got None"),
        ("bbox", [1, 2, 3, float("nan")], "bbox must be a finite number, got nan"),
        ("bbox", [1, 2, 10**400, 1], "bbox must be a finite number, got a huge number"),
        ("keypoints", [1, 2], "keypoints are x, y, visibility each, got 2 values"),
        ("keypoints", {"x": 1}, "keypoints must be a list, got an object of 1"),
        ("keypoints", [1, "2", 2], "keypoints must be a finite number, got '2'"),
    ],
)
def test_one_malformed_annotation_is_left_out(
    coco_root: Path, coco_document: dict[str, Any], field: str, value: object, message: str
) -> None:
    coco_document["annotations"][0] |= {"bbox": [1, 1, 2, 2], field: value}
    coco_document["annotations"][1]["bbox"] = [0, 0, 4, 4]
    save(coco_root, coco_document)
    dataset = read(coco_root)
    a = dataset.splits["train"][0]
    assert [box.class_id for box in a.drawn.boxes] == ([2] if field == "bbox" else [1, 2])
    assert a.tags == Tags(frozenset({1, 2}))  # what is left out does not become absent
    ((where, reason),) = dataset.dropped.items()
    assert where.split(": ")[1] == "annotations[0]" and message in reason
    assert read(coco_root, labels="tags").splits["train"][0].drawn == Drawn()


def test_a_crowd_has_a_region_alone() -> None:
    item = CocoObject(1, True, [[0, 0, 2, 0, 2, 2, 0, 2]], "f", [0, 0, 2, 2], [1, 1, 2])
    image = CocoImage("a.png", (4, 6), (item,), "f")
    assert annotated(image, {1: "cat"}, "auto").shapes == ()
    found = annotated(image, {1: "cat"}, "regions")
    assert [shape.ignored for shape in found.shapes] == [True]
    assert (found.tags, found.unknown) == (frozenset(), {"cat"})


def labels_of(root: Path) -> tuple[Dataset, np.ndarray]:
    """Return the data set, and the regions of image a as they are painted over background."""
    dataset = read(root, labels="regions")
    painted = np.zeros((4, 6), np.uint8)
    for region in dataset.splits["train"][0].drawn.regions:
        painted[mask_of_runs(region.runs, region.size)] = region.class_id
    return dataset, painted


@pytest.mark.parametrize(
    "segmentation", [None, [], [[0, 0, 4, 4]], [[0, 0, 4, 0, 4]], {"size": [9, 9], "counts": [81]}]
)
@pytest.mark.parametrize("box", [[0, 0, 4, 3], None, [0, 0]])
def test_an_object_without_outline_does_not_become_background(
    coco_root: Path, coco_document: dict[str, Any], segmentation: object, box: object
) -> None:
    coco_document["annotations"][1] |= {"segmentation": segmentation, "bbox": box}
    save(coco_root, coco_document)
    dataset, painted = labels_of(coco_root)
    expected = np.full((4, 6), 255 if box != [0, 0, 4, 3] else 0, np.uint8)
    expected[:3, :4], expected[1:3, 1:3] = 255, 1
    np.testing.assert_array_equal(painted, expected)
    assert dataset.splits["train"][0].tags == Tags(frozenset({1, 2}))
    assert bool(dataset.dropped) == bool(segmentation)


def test_an_object_of_no_known_category_leaves_all_open(coco_root: Path, coco_document: dict[str, Any]) -> None:
    coco_document["categories"].append({"id": 5, "name": "bird"})
    coco_document["annotations"][1]["category_id"] = 77
    save(coco_root, coco_document)
    dataset, painted = labels_of(coco_root)
    expected = np.full((4, 6), 255, np.uint8)
    expected[1:3, 1:3] = 1
    np.testing.assert_array_equal(painted, expected)
    assert dataset.splits["train"][0].tags == Tags(frozenset({1}), frozenset({2, 3}))


def test_an_object_whose_crowd_flag_is_nonsense_is_unknown(coco_root: Path, coco_document: dict[str, Any]) -> None:
    coco_document["annotations"][1]["iscrowd"] = "many"
    save(coco_root, coco_document)
    assert read(coco_root).splits["train"][0].tags == Tags(frozenset({1}), frozenset({2}))
