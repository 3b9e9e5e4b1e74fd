"""COCO's panoptic files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags
from weakseg.errors import DataError

CATEGORIES = [{"id": 1, "name": "cat", "isthing": 1}, {"id": 7, "name": "grass", "isthing": 0}]
NUMBERS = np.zeros((4, 6), np.int64)
NUMBERS[0], NUMBERS[1], NUMBERS[2] = 1, 258, 70_000
SEGMENTS: list[dict[str, Any]] = [
    {"id": 1, "category_id": 1, "iscrowd": 0},
    {"id": 258, "category_id": 7, "iscrowd": 0},
    {"id": 70_000, "category_id": 1, "iscrowd": 1},
]


def read(root: Path, *segments: object, place: str = "p/a.png", **image: object) -> Dataset:
    Image.new("RGB", (6, 4)).save(root / "a.jpg")
    (root / place).parent.mkdir(exist_ok=True)
    Image.fromarray(np.stack([NUMBERS & 255, NUMBERS >> 8 & 255, NUMBERS >> 16], -1).astype(np.uint8)).save(
        root / place
    )
    document = {
        "images": [{"id": 3, "file_name": "a.jpg", "height": 4, "width": 6, **image}],
        "annotations": [{"image_id": 3, "file_name": "a.png", "segments_info": list(segments)}],
        "categories": CATEGORIES,
    }
    (root / "p.json").write_text(json.dumps(document))
    return open_dataset(DataConfig(root=str(root), format="coco_panoptic", train="p.json"))


def painted(dataset: Dataset) -> list[int]:
    """Return the label of each row of the image."""
    labels = np.zeros((4, 6), np.uint8)
    for region in dataset.splits["train"][0].drawn.regions:
        labels[mask_of_runs(region.runs, region.size)] = region.class_id
    assert (labels == labels[:, :1]).all()
    return labels[:, 0].tolist()


@pytest.mark.parametrize("place", ["p/a.png", "a.png"])
def test_segments_become_regions(tmp_path: Path, place: str) -> None:
    dataset = read(tmp_path, *SEGMENTS, place=place)
    assert painted(dataset) == [1, 2, 255, 255]  # a crowd, and what is in no segment
    assert dataset.splits["train"][0].tags == Tags(frozenset({1, 2}))
    assert (dataset.classes.names, dataset.dropped) == (("cat", "grass"), {})


@pytest.mark.parametrize(
    ("wrong", "tags", "message"),
    [
        ({"id": 258, "category_id": 9}, Tags(frozenset({1}), frozenset({2})), "category_id 9 is that of no usable"),
        ({"id": 258, "category_id": 7, "iscrowd": "x"}, Tags(frozenset({1}), frozenset({2})), "iscrowd must be 0 or 1"),
        ({"id": 9, "category_id": 7}, Tags(frozenset({1, 2})), "it covers no pixel"),
        ({"category_id": 7}, Tags(frozenset({1, 2})), "'id' must be an integer"),
        (5, Tags(frozenset({1}), frozenset({2})), "a segment must be an object, got 5"),
    ],
)
def test_a_segment_that_is_left_out_is_no_background(tmp_path: Path, wrong: object, tags: Tags, message: str) -> None:
    dataset = read(tmp_path, SEGMENTS[0], wrong)
    assert painted(dataset) == [1, 255, 255, 255] and dataset.splits["train"][0].tags == tags
    ((_, reason),) = dataset.dropped.items()
    assert message in reason


@pytest.mark.parametrize(
    ("image", "message"),
    [({"height": 5}, "its PNG is 4 x 6 .* but the image 5 x 6"), ({"id": 4}, "image_id 3 is that of no usable image")],
)
def test_an_annotation_that_is_left_out(tmp_path: Path, image: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=f"lists no images that can be used: .*{message}"):
        read(tmp_path, *SEGMENTS, **image)


def test_without_its_png(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file .*p/a\.png; unpack the PNGs into that folder"):
        read(tmp_path, *SEGMENTS, place="p/b.png")
