import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weakseg.data.formats.coco import CocoFile, read_instances
from weakseg.errors import DataError

Document = dict[str, Any]


def change(key: str, number: int, field: str, value: object) -> Callable[[Document], object]:
    return lambda document: document[key][number].__setitem__(field, value)


def read(folder: Path, document: Document) -> CocoFile:
    (folder / "train.json").write_text(json.dumps(document))
    return read_instances(folder / "train.json")


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [None, {}])
def test_lists_that_are_missing(tmp_path: Path, coco_document: Document, key: str, value: object) -> None:
    coco_document[key] = value
    with pytest.raises(DataError, match=rf"train\.json: the list '{key}' is missing; give an instances file"):
        read(tmp_path, coco_document)


@pytest.mark.parametrize(
    ("edit", "where", "reason"),
    [
        (lambda d: d["images"].append(5), "images[2]", "expected an object, got 5"),
        (lambda d: d["images"][1].pop("id"), "images[1]", "'id' must be an integer or text, got None"),
        (lambda d: d["images"][1].pop("file_name"), "images[1]", "'file_name' must be text, got None"),
        (lambda d: d["images"][1].pop("width"), "images[1]: size", "'width' must be an integer, got None"),
        (change("images", 1, "height", 0), "images[1]: size", "height 0 and width 6 must be at least 1"),
        (change("images", 1, "height", 10**9), "images[1]: size", "more than the limit of 100,000,000"),
        (change("images", 1, "id", True), "images[1]", "'id' must be an integer or text, got True"),
        (change("images", 1, "id", 2.5), "images[1]", "'id' must be an integer or text, got 2.5"),
        (change("images", 1, "file_name", "a.jpg"), "images[1]", "'a.jpg' and 'a.png' have one image id"),
        (change("images", 1, "file_name", ""), "images[1]", "'file_name' must be text, got ''"),
        (change("annotations", 1, "image_id", 8), "annotations[1]", "image_id 8 is that of no usable image"),
        (change("annotations", 1, "image_id", "9" * 5000), "annotations[1]", "is that of no usable image"),
        (change("annotations", 1, "category_id", 1), "annotations[1]", "category_id 1 is that of no usable category"),
        (change("annotations", 1, "iscrowd", 2), "annotations[1]", "iscrowd must be 0 or 1, got 2"),
        (lambda d: d["annotations"].append("x"), "annotations[3]", "expected an object, got 'x'"),
        (change("categories", 1, "name", None), "categories[1]", "'name' must be text, got None"),
        (change("categories", 1, "id", 9), "categories[1]", "id 9 is that of "),
    ],
)
def test_one_entry_that_cannot_be_used_is_left_out(
    tmp_path: Path, coco_document: Document, edit: Callable[[Document], object], where: str, reason: str
) -> None:
    coco_document["images"].append({"id": "c", "file_name": "c.png"})
    coco_document["images"].insert(2, coco_document["images"].pop())
    edit(coco_document)
    file = read(tmp_path, coco_document)
    assert {"c"} <= set(file.images)
    dropped = {**file.skipped, **{w: d.reason for image in file.images.values() for w, d in image.dropped.items()}}
    where = f"{tmp_path / 'train.json'}: {where.replace('images[2]', 'images[3]')}"
    assert reason in dropped[where] and all(len(text) < 500 for text in dropped.values())


def test_two_images_of_one_id_are_both_left_out(tmp_path: Path, coco_document: Document) -> None:
    """Nobody can tell whose the annotations are."""
    coco_document["images"] += [{"id": 7, "file_name": "c.png"}, {"id": 8, "file_name": "d.png"}]
    file = read(tmp_path, coco_document)
    assert list(file.images) == ["b", "d"]
    assert [where.split(": ")[1] for where in file.skipped] == ["images[2]", "annotations[0]", "annotations[1]"]


def test_two_entries_of_one_photograph_are_one(tmp_path: Path, coco_document: Document) -> None:
    coco_document["images"][1]["file_name"] = "a.png"
    file = read(tmp_path, coco_document)
    assert [(name, len(image.objects)) for name, image in file.images.items()] == [("a", 3)] and not file.skipped


@pytest.mark.parametrize(
    ("given", "named", "number"),
    [(1541715161404.0, 1541715161404, 1541715161404), ("x/1", "x/1", "x/1"), ("12", 12, "12")],
)
def test_ids_are_keys(tmp_path: Path, coco_document: Document, given: object, named: object, number: object) -> None:
    coco_document["images"][0]["id"] = given
    for annotation in coco_document["annotations"][:2]:
        annotation["image_id"] = named
    coco_document["categories"][0]["id"] = "dog"
    coco_document["annotations"][1]["category_id"] = "dog"
    file = read(tmp_path, coco_document)
    assert [item.category_id for item in file.images["a"].objects] == [2, "dog"]
    assert file.images["a"].number == number
    assert file.class_names == ("cat", "dog") and file.images["b"].objects == ()


def names(number: int, name: str, above: str) -> dict[str, object]:
    return {"id": number, "name": name, "supercategory": above}


@pytest.mark.parametrize(
    ("categories", "classes"),
    [
        ([names(0, "crates", "none"), names(2, "cat", "crates"), names(9, "dog", "crates")], ("cat", "dog")),
        ([names(0, "cat", "none"), names(2, "cat", "cat"), names(9, "dog", "cat")], ("cat", "dog")),
        ([names(0, "pets", ""), names(2, "cat", "animal"), names(9, "dog", "animal")], ("pets", "cat", "dog")),
        ([names(2, "animal", "none"), names(9, "dog", "animal")], ("animal", "dog")),  # an object has it
        ([names(0, "bird", "bird"), names(2, "cat", "cat"), names(9, "dog", "dog")], ("bird", "cat", "dog")),
    ],
)
def test_a_group_is_no_class(tmp_path: Path, coco_document: Document, categories: object, classes: object) -> None:
    coco_document["categories"] = categories
    assert read(tmp_path, coco_document).class_names == classes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b'{"images": [', r"train\.json:1: malformed JSON"),
        (b"[]", "expected an object"),
        (b"\xff", r"train\.json:1: COCO file is not UTF-8"),
    ],
)
def test_no_instances_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "train.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_instances(tmp_path / "train.json")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json: no such COCO file"):
        read_instances(tmp_path / "gone.json")
