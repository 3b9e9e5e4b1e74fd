"""Datumaro's own format."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from weakseg.data.annotations import Box, Point, Scribble
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags
from weakseg.errors import DataError

RUNS = {"size": [8, 10], "counts": [8, 16, 56]}
ANNOTATIONS: list[dict[str, Any]] = [
    {"type": "label", "label_id": 1},
    {"type": "bbox", "label_id": 0, "bbox": [1, 2, 3, 4], "z_order": 2},
    {"type": "polygon", "label_id": 0, "points": [2, 1, 6, 1, 6, 4, 2, 4]},
    {"type": "mask", "label_id": 1, "rle": RUNS},
    {"type": "points", "label_id": 1, "points": [1.5, 2.5, 3, 3], "visibility": [2, 0]},
    {"type": "polyline", "label_id": 0, "points": [1, 2, 5, 3]},
]


def read(root: Path, *annotations: object, train: str = "d.json", **image: object) -> Dataset:
    Image.new("RGB", (10, 8)).save(root / "a.png")
    items = [{"id": "a", "annotations": list(annotations), "image": {"path": "a.png", "size": [8, 10], **image}}]
    labels = [{"name": name, "parent": "", "attributes": []} for name in ("crate", "lid")]
    document = {"info": {}, "categories": {"label": {"labels": labels}}, "items": items}
    (root / train).parent.mkdir(exist_ok=True)
    (root / train).write_text(json.dumps(document))
    return open_dataset(DataConfig(root=str(root), format="datumaro", train=train))


def test_every_annotation(tmp_path: Path) -> None:
    dataset = read(tmp_path, *ANNOTATIONS)
    (a,) = dataset.splits["train"]
    assert (a.tags, dataset.classes.names, dataset.dropped) == (Tags(frozenset({1, 2})), ("crate", "lid"), {})
    assert a.drawn.boxes == (Box(1, 2, 1, 6, 4),) and a.drawn.points == (Point(2, 2.5, 1.5),)
    assert a.drawn.scribbles == (Scribble(1, ((2, 1), (3, 5))),)
    polygon, mask = (mask_of_runs(r.runs, r.size) for r in a.drawn.regions)
    assert polygon.sum() == 12 and mask[:, 1:3].all() and mask.sum() == 16


def test_photographs_in_the_folder_of_their_subset(tmp_path: Path) -> None:
    (tmp_path / "images/train").mkdir(parents=True)
    Image.new("RGB", (10, 8)).save(tmp_path / "images/train/b.png")
    (sample,) = read(tmp_path, train="annotations/train.json", path="b.png").splits["train"]
    assert sample.id == "train/b" and sample.image_path.is_file()


@pytest.mark.parametrize(
    ("wrong", "unknown", "message"),
    [
        ({"type": "cuboid_3d", "label_id": 1}, {2}, "annotations of type 'cuboid_3d' are not known"),
        ({"type": "bbox", "label_id": 7, "bbox": [1, 2, 3, 4]}, {2}, "label_id 7 is that of no label"),
        ({"type": "bbox", "label_id": 1, "bbox": [1, 2, 3]}, {2}, "'bbox' has 4 numbers, got 3"),
        ({"type": "polygon", "label_id": 1, "points": [1, 2, 3]}, {2}, "'points' are x, y of each, got 3 numbers"),
        ({"type": "mask", "label_id": 1, "rle": {"size": [10**9, 9], "counts": "0"}}, {2}, "segmentation of size"),
        ({"type": "label", "label_id": None}, {2}, "label_id None is that of no label"),
        (5, {2}, "an annotation must be an object, got 5"),
    ],
)
def test_a_malformed_annotation_is_left_out(tmp_path: Path, wrong: object, unknown: set[int], message: str) -> None:
    dataset = read(tmp_path, ANNOTATIONS[1], wrong)
    (a,) = dataset.splits["train"]
    assert len(a.drawn.boxes) == 1 and 2 in a.tags.present | a.tags.unknown
    ((_, reason),) = dataset.dropped.items()
    assert message in reason


def test_nothing_is_rastered_for_a_size_that_is_not_the_photographs(tmp_path: Path) -> None:
    dataset = read(tmp_path, *ANNOTATIONS[1:4], size=[9000, 9000])
    assert not dataset.splits["train"][0].drawn.regions and len(dataset.dropped) == 2


def test_malformed_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lists no images that can be used: .*'size' must be rows and columns"):
        read(tmp_path, size=["a", 9])
    (tmp_path / "d.json").write_text('{"items": [], "categories": 5}')
    with pytest.raises(DataError, match="'categories' must be an object, got 5"):
        open_dataset(DataConfig(root=str(tmp_path), format="datumaro", train="d.json"))
