import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.data.config import WEAK_KINDS, DataConfig, SimulationConfig, WeakKind
from weakseg.data.simulated import save_simulated, simulate_split
from weakseg.errors import ConfigError, DataError


@pytest.fixture
def voc(tmp_path: Path, write_image: Callable[..., np.ndarray]) -> DataConfig:
    """Image a: two touching cats and a dog; image b: nothing; image c: one cat."""
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\nb\nc\n")
    for folder in ("SegmentationClass", "SegmentationObject"):
        (tmp_path / folder).mkdir()
    for number, name in enumerate("abc"):
        write_image(tmp_path / f"JPEGImages/{name}.jpg", 20, 30, seed=number)
        mask, objects = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)
        if name != "b":
            mask[2:8, 2:8], objects[2:8, 2:8] = 1, 9
        if name == "a":
            mask[2:8, 8:14], objects[2:8, 8:14], mask[10:18, 5:25], objects[10:18, 5:25] = 1, 4, 2, 5
            mask[9], objects[9] = 255, 255
        Image.fromarray(mask).save(tmp_path / f"SegmentationClass/{name}.png")
        Image.fromarray(objects).save(tmp_path / f"SegmentationObject/{name}.png")
    return DataConfig(root=str(tmp_path), format="voc", train="train", tags="truth", min_pixels=10)


def saved(config: DataConfig, path: Path, **settings: object) -> dict[str, dict[str, object]]:
    split = simulate_split(config, SimulationConfig(**settings))  # type: ignore[arg-type]
    save_simulated(path, split.kind, split.classes, split.images)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["weakseg"] == 1 and document["kind"] == split.kind and document["classes"] == ["cat", "dog"]
    images: dict[str, dict[str, object]] = document["images"]
    assert all(image["size"] == [20, 30] for image in images.values())
    return images


def test_boxes_of_the_instance_map(voc: DataConfig, tmp_path: Path) -> None:
    images = saved(voc, tmp_path / "w.json", kind="boxes")
    assert images["a"]["boxes"] == [
        {"class": "cat", "rectangle": [2, 8, 8, 14]},
        {"class": "cat", "rectangle": [2, 2, 8, 8]},
        {"class": "dog", "rectangle": [10, 5, 18, 25]},
    ]
    assert images["a"]["tags"] == ["cat", "dog"] and images["b"]["tags"] == [] and images["b"]["boxes"] == []
    assert images["a"]["effort"] == {"clicks": 12, "length_px": 0.0, "seconds": 21.0}
    assert images["b"]["effort"] == {"clicks": 0, "length_px": 0.0, "seconds": 2.0}


def test_boxes_without_an_instance_map(voc: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "SegmentationObject/a.png").unlink()
    boxes = saved(voc, tmp_path / "w.json", kind="boxes")["a"]["boxes"]
    assert boxes == [
        {"class": "cat", "rectangle": [2, 2, 8, 14]},
        {"class": "dog", "rectangle": [10, 5, 18, 25]},
    ]


def test_points_and_scribbles(voc: DataConfig, tmp_path: Path) -> None:
    points = saved(voc, tmp_path / "w.json", kind="points")["a"]["points"]
    assert isinstance(points, list) and [point["class"] for point in points] == ["cat", "cat", "dog"]
    image = saved(voc, tmp_path / "w.json", kind="scribbles")["a"]
    strokes = image["scribbles"]
    assert isinstance(strokes, list) and [stroke["class"] for stroke in strokes][:3] == ["cat", "cat", "dog"]
    assert {stroke["class"] for stroke in strokes[3:]} == {"background"}
    assert all(len(stroke["path"]) >= 1 and len(stroke["path"][0]) == 2 for stroke in strokes)


@pytest.mark.parametrize("kind", WEAK_KINDS)
def test_labels_depend_on_seed_and_image_alone(voc: DataConfig, tmp_path: Path, kind: WeakKind) -> None:
    first = saved(voc, tmp_path / "w.json", kind=kind, coverage=0.5)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("c\na\n")
    again = saved(voc, tmp_path / "w.json", kind=kind, coverage=0.5)
    assert list(again) == ["c", "a"]
    assert all(again[name] == first[name] for name in again)
    other = saved(voc, tmp_path / "w.json", kind=kind, coverage=0.5, seed=1)
    assert (other == again) == (kind in ("tags", "boxes"))


def test_coco_objects_are_those_of_the_file(coco_root: Path) -> None:
    """The cat lies on the dog, whose box is of what is seen; the crowd of image b is nobody's."""
    config = DataConfig(root=str(coco_root), format="coco", train="train.json", min_pixels=1)
    split = simulate_split(config, SimulationConfig("boxes"))
    a, b = split.images
    assert [split.classes.name_of(box.class_id) for box in a.drawn.boxes] == ["cat", "dog"]
    assert [(box.top, box.left, box.bottom, box.right) for box in a.drawn.boxes] == [(1, 1, 3, 3), (0, 0, 4, 4)]
    assert not b.drawn.boxes and not b.tags


def test_one_bad_image_does_not_stop_the_others(voc: DataConfig, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "SegmentationObject/a.png")
    (tmp_path / "SegmentationClass/b.png").unlink()
    (tmp_path / "t.json").write_text('{"a": ["cat"]}')
    split = simulate_split(replace(voc, tags="t.json"), SimulationConfig("boxes"))
    assert [image.id for image in split.images] == ["c"] and split.without_truth == 1
    assert split.failures[0].image_id == "a" and "the map of objects of image 'a' is 5 x 5" in split.failures[0].reason


def test_without_truth_or_split(voc: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="split 'val': the data set has train"):
        simulate_split(voc, SimulationConfig(split="val"))
    config = DataConfig(root=str(tmp_path), images="JPEGImages", train="t.json")
    (tmp_path / "t.json").write_text('{"a.jpg": ["cat"]}')
    with pytest.raises(DataError, match="no image has ground truth"):
        simulate_split(config, SimulationConfig())


def test_coverage_must_be_a_fraction() -> None:
    with pytest.raises(ConfigError, match="coverage"):
        SimulationConfig(coverage=0)


def test_objects_of_msrc(real_data: Path) -> None:
    config = DataConfig(root=str(real_data / "msrc"), format="voc", train="val", tags="truth")
    split = simulate_split(config, SimulationConfig("points"))
    assert len(split.images) == 100 and not split.failures
    assert sum(len(image.drawn.points) for image in split.images) == 125
    for image in split.images:
        assert image.drawn.class_ids == image.tags
