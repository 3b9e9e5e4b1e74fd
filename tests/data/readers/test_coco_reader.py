import json
import re
from pathlib import Path
from typing import Any

import pytest

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.sample import Tags
from weakseg.errors import DataError

Document = dict[str, Any]


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "format": "coco", "train": "train.json", **settings}))


def test_classes_and_tags(coco_root: Path) -> None:
    dataset = read(coco_root)
    assert dataset.classes.names == ("cat", "dog")  # category ids 2 and 9
    a, b = dataset.splits["train"]
    assert (a.id, a.tags) == ("a", Tags(frozenset({1, 2})))
    assert (b.id, b.tags) == ("b", Tags(frozenset(), frozenset({2})))  # only a crowd shows a dog
    assert a.image_path == coco_root.resolve() / "images/a.png"


def test_a_crowd_beside_an_object_changes_nothing(coco_root: Path, coco_document: Document) -> None:
    coco_document["annotations"][2]["image_id"] = 7
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    a, b = read(coco_root).splits["train"]
    assert (a.tags, b.tags) == (Tags(frozenset({1, 2})), Tags(frozenset()))


def test_given_classes_are_a_subset_in_their_own_order(coco_root: Path) -> None:
    assert read(coco_root, classes=("dog", "cat")).classes.names == ("dog", "cat")
    dataset = read(coco_root, classes=("dog",))
    assert [s.tags for s in dataset.splits["train"]] == [Tags(frozenset({1})), Tags(frozenset(), frozenset({1}))]
    (coco_root / "classes.txt").write_text("cat\n")
    assert [s.tags for s in read(coco_root).splits["train"]] == [Tags(frozenset({1})), Tags(frozenset())]


def test_given_class_without_category(coco_root: Path) -> None:
    with pytest.raises(DataError, match=r"train\.json: data\.classes: unknown class 'dogs'; did you mean 'dog'"):
        read(coco_root, classes=("dogs",))


def test_category_named_background_is_no_class(coco_root: Path, coco_document: Document) -> None:
    coco_document["categories"][1]["name"] = "background"
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    dataset = read(coco_root)
    assert dataset.classes.names == ("dog",)
    assert dataset.splits["train"][0].tags == Tags(frozenset({1}))


def test_validation_file(coco_root: Path, coco_document: Document) -> None:
    (coco_root / "val.json").write_text(json.dumps(coco_document))
    assert [s.id for s in read(coco_root, val="val.json").splits["val"]] == ["a", "b"]
    coco_document["categories"].append({"id": 4, "name": "bird"})
    (coco_root / "val.json").write_text(json.dumps(coco_document))
    with pytest.raises(DataError, match=r"val\.json: categories: unknown class 'bird'"):
        read(coco_root, val="val.json")
    assert "val" in read(coco_root, val="val.json", classes=("cat",)).splits


@pytest.mark.parametrize(
    ("folder", "file", "setting"),
    [("train", "train.json", ""), ("train2017", "instances_train2017.json", ""), ("photos", "train.json", "photos")],
)
def test_folder_of_images(coco_root: Path, folder: str, file: str, setting: str) -> None:
    (coco_root / "images").rename(coco_root / folder)
    (coco_root / "train.json").rename(coco_root / file)
    dataset = read(coco_root, train=file, images=setting)
    assert dataset.splits["train"][0].image_path == coco_root.resolve() / folder / "a.png"


def test_no_folder_of_images(coco_root: Path) -> None:
    (coco_root / "images").rename(coco_root / "photos")
    with pytest.raises(DataError, match=r"none of the folders images, train.* exists; set data\.images"):
        read(coco_root)


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "link.png"])
def test_names_that_lead_outside(coco_root: Path, coco_document: Document, name: str, tmp_path_factory: Any) -> None:
    (coco_root / "images/link.png").symlink_to(tmp_path_factory.mktemp("outside") / "a.png")
    coco_document["images"][1]["file_name"] = name
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    with pytest.raises(DataError, match=rf"images\[1\]: '{re.escape(name)}' leads outside"):
        read(coco_root)


def test_no_images(coco_root: Path, coco_document: Document) -> None:
    (coco_root / "train.json").write_text(json.dumps(coco_document | {"images": [], "annotations": []}))
    with pytest.raises(DataError, match="no training images"):
        read(coco_root)
