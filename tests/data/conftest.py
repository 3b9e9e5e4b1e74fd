"""Small data sets on disk, made anew for each test."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

WriteImage = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def write_image() -> WriteImage:
    """Return a function that writes a random RGB image and returns its pixels; the name decides the format."""

    def write(path: Path, rows: int = 4, columns: int = 5, *, seed: int = 0) -> NDArray[np.uint8]:
        pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return pixels

    return write


@pytest.fixture
def coco_document() -> dict[str, list[dict[str, object]]]:
    """Two images of 4 x 6 pixels: a cat (2 x 2 pixels) on a dog (4 x 4 pixels), and a crowd of dogs."""
    big, small = [0, 0, 4, 0, 4, 4, 0, 4], [1, 1, 3, 1, 3, 3, 1, 3]
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "height": 4, "width": 6},
            {"id": 3, "file_name": "b.png", "height": 4, "width": 6},
        ],
        "categories": [{"id": 9, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "segmentation": [small], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 9, "segmentation": [big], "iscrowd": 0},
            {
                "id": 3,
                "image_id": 3,
                "category_id": 9,
                "segmentation": {"size": [4, 6], "counts": [4, 8, 12]},
                "iscrowd": 1,
            },
        ],
    }


@pytest.fixture
def coco_root(tmp_path: Path, coco_document: dict[str, object], write_image: WriteImage) -> Path:
    """A COCO data set of ``coco_document``."""
    (tmp_path / "train.json").write_text(json.dumps(coco_document))
    for number, name in enumerate(("a.png", "b.png")):
        write_image(tmp_path / "images" / name, 4, 6, seed=number)
    return tmp_path


@pytest.fixture
def voc_root(tmp_path: Path, write_image: WriteImage) -> Path:
    """A VOC data set: image a (cat, difficult dog), image b (nothing), masks of 4 x 6 pixels."""
    (tmp_path / "classes.txt").write_text("background\ncat\ndog\n")
    for number, name in enumerate("ab"):
        write_image(tmp_path / f"JPEGImages/{name}.jpg", 4, 6, seed=number)
    lists = tmp_path / "ImageSets"
    (lists / "Segmentation").mkdir(parents=True)
    (lists / "Segmentation/train.txt").write_text("a\n\nb\n")
    (lists / "Main").mkdir()
    (lists / "Main/cat_train.txt").write_text("a  1\nb -1\n")
    (lists / "Main/dog_train.txt").write_text("a  0\nb -1\n")
    (tmp_path / "Annotations").mkdir()
    objects = "<object><name>cat</name></object><object><name>dog</name><difficult>1</difficult></object>"
    (tmp_path / "Annotations/a.xml").write_text(f"<annotation>{objects}</annotation>")
    (tmp_path / "Annotations/b.xml").write_text("<annotation></annotation>")
    (tmp_path / "SegmentationClass").mkdir()
    mask = np.zeros((4, 6), np.uint8)
    Image.fromarray(mask).save(tmp_path / "SegmentationClass/b.png")
    mask[:2, :3], mask[2, :] = 1, 255
    Image.fromarray(mask).save(tmp_path / "SegmentationClass/a.png")
    return tmp_path
