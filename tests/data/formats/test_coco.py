import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weakseg.data.formats.coco import read_instances
from weakseg.errors import DataError

Document = dict[str, Any]


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
        (change("annotations", 1, "image_id", 8), r"annotations\[1\]: image_id 8 does not exist"),
        (change("annotations", 1, "category_id", 1), r"annotations\[1\]: category_id 1 does not exist"),
        (change("annotations", 1, "iscrowd", 2), r"annotations\[1\]: iscrowd must be 0 or 1, got 2"),
        (change("categories", 1, "id", 9), r"categories\[1\]: id 9 is used twice"),
        (change("categories", 1, "name", "dog"), r"categories\[1\]: a second category is named 'dog'"),
        (change("categories", 1, "name", None), r"categories\[1\]: 'name' must be text, got None"),
    ],
)
def test_refused(tmp_path: Path, coco_document: Document, edit: Callable[[Document], object], message: str) -> None:
    edit(coco_document)
    (tmp_path / "train.json").write_text(json.dumps(coco_document))
    with pytest.raises(DataError, match=message):
        read_instances(tmp_path / "train.json")


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
