import json
from collections.abc import Callable
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


def change(key: str, number: int, field: str, value: object) -> Callable[[Document], object]:
    return lambda document: document[key][number].__setitem__(field, value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.pop("images"), r"train\.json: the list 'images' is missing"),
        (lambda d: d.pop("annotations"), r"train\.json: the list 'annotations' is missing"),
        (lambda d: d.update(categories={}), r"train\.json: the list 'categories' is missing"),
        (lambda d: d["images"].append(5), r"train\.json: images\[2\]: expected an object, got 5"),
        (lambda d: d["images"][1].pop("id"), r"images\[1\]: 'id' must be an integer, got None"),
        (lambda d: d["images"][1].pop("file_name"), r"images\[1\]: 'file_name' must be text, got None"),
        (lambda d: d["images"][1].pop("width"), r"images\[1\]: 'width' must be an integer, got None"),
        (change("images", 1, "height", 0), r"images\[1\]: height 0 and width 6 must be at least 1"),
        (change("images", 1, "id", "3"), r"images\[1\]: 'id' must be an integer, got '3'"),
        (change("images", 1, "id", True), r"images\[1\]: 'id' must be an integer, got True"),
        (change("images", 1, "id", 7), r"train\.json: images\[1\]: id 7 is used twice"),
        (change("images", 1, "file_name", "a.png"), r"images\[1\]: 'a\.png' and 'a\.png' have one image id"),
        (change("images", 1, "file_name", "a.jpg"), r"images\[1\]: 'a\.jpg' and 'a\.png' have one image id"),
        (change("images", 1, "file_name", ""), r"images\[1\]: 'file_name' must be text, got ''"),
        (change("images", 1, "file_name", "../a.png"), r"images\[1\]: '\.\./a\.png' leads outside"),
        (change("images", 1, "file_name", "/etc/a.png"), r"images\[1\]: '/etc/a\.png' leads outside"),
        (change("images", 1, "file_name", "link.png"), r"images\[1\]: 'link\.png' leads outside"),
        (change("annotations", 1, "image_id", 8), r"annotations\[1\]: image_id 8 does not exist"),
        (change("annotations", 1, "category_id", 1), r"annotations\[1\]: category_id 1 does not exist"),
        (change("annotations", 1, "iscrowd", 2), r"annotations\[1\]: iscrowd must be 0 or 1, got 2"),
        (change("categories", 1, "id", 9), r"categories\[1\]: id 9 is used twice"),
        (change("categories", 1, "name", "dog"), r"categories\[1\]: a second category is named 'dog'"),
        (change("categories", 1, "name", None), r"categories\[1\]: 'name' must be text, got None"),
        (lambda d: d.update(images=[], annotations=[]), "no training images"),
    ],
)
def test_refused(
    coco_root: Path, coco_document: Document, edit: Callable[[Document], object], message: str, tmp_path_factory
) -> None:
    (coco_root / "images/link.png").symlink_to(tmp_path_factory.mktemp("outside") / "a.png")
    edit(coco_document)
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    with pytest.raises(DataError, match=message):
        read(coco_root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b'{"images": [', r"train\.json:1: malformed JSON"),
        (b"[]", "expected an object"),
        (b"\xff", r"train\.json:1: COCO file is not UTF-8"),
    ],
)
def test_no_instances_file(coco_root: Path, content: bytes, message: str) -> None:
    (coco_root / "train.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(coco_root)


def test_missing_file(coco_root: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json: no such COCO file"):
        read(coco_root, train="gone.json")
