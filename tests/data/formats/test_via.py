"""VGG Image Annotator's JSON and CSV."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from weakseg.data.annotations import Box, Point, Scribble
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError

SHAPES: dict[str, dict[str, Any]] = {
    "rect": {"x": 1, "y": 2, "width": 3, "height": 4},
    "circle": {"cx": 6, "cy": 4, "r": 2},
    "ellipse": {"cx": 6, "cy": 4, "rx": 3, "ry": 1, "theta": 1.5707963267948966},
    "polygon": {"all_points_x": [2, 6, 6, 2], "all_points_y": [1, 1, 4, 4]},
    "polyline": {"all_points_x": [1, 5], "all_points_y": [2, 3]},
    "point": {"cx": 1.5, "cy": 2.5},
}


def region(name: str, attributes: object = None) -> dict[str, Any]:
    shape = {"name": name, **SHAPES.get(name, {})}
    return {"shape_attributes": shape, "region_attributes": {"class": "crate"} if attributes is None else attributes}


def image(*regions: object, name: str = "a.png") -> dict[str, Any]:
    return {f"{name}12": {"filename": name, "size": 12, "regions": list(regions), "file_attributes": {}}}


def read(root: Path, document: object, train: str = "v.json") -> Dataset:
    for name in "ab":
        Image.new("RGB", (10, 8)).save(root / f"{name}.png")
    if train == "v.json":
        (root / train).write_text(json.dumps(document))
    return open_dataset(DataConfig(root=str(root), format="via", train=train))


def check(sample: WeakSample) -> None:
    drawn = sample.drawn
    assert drawn.boxes == (Box(1, 2, 1, 6, 4),)
    assert drawn.points == (Point(1, 2.5, 1.5),) and drawn.scribbles == (Scribble(1, ((2, 1), (3, 5))),)
    circle, ellipse, polygon = (mask_of_runs(r.runs, r.size) for r in drawn.regions)
    assert np.argwhere(polygon).min(0).tolist() == [1, 2] and polygon.sum() == 12
    assert circle[3:5, 5:7].all() and ellipse[2:6, 5:7].all() and not ellipse[4, 3]  # a quarter turn


@pytest.mark.parametrize("project", [False, True])
def test_every_shape(tmp_path: Path, project: bool) -> None:
    document = {**image(*map(region, SHAPES)), **image(name="b.png")}
    dataset = read(tmp_path, {"_via_settings": {}, "_via_img_metadata": document} if project else document)
    a, b = dataset.splits["train"]
    check(a)
    assert (b.tags, dataset.dropped, dataset.classes.names) == (Tags(frozenset()), {}, ("crate",))


def test_csv(tmp_path: Path) -> None:
    columns = ("filename", "file_size", "file_attributes", "region_count", "region_id")
    with (tmp_path / "v.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*columns, "region_shape_attributes", "region_attributes"))
        for number, one in enumerate(map(region, SHAPES)):
            writer.writerow(("a.png", 12, "{}", 6, number, *map(json.dumps, one.values())))
        writer.writerow(("b.png", 12, "{}", 0, 0, "{}", "{}"))
    a, b = read(tmp_path, None, "v.csv").splits["train"]
    check(a)
    assert b.tags == Tags(frozenset())


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"what": "crate"}, "crate"),
        ({"Class": "crate", "colour": "red"}, "crate"),
        ({"class": {"crate": True, "lid": False}}, "crate"),
        ({"class": {"crate": True, "lid": True}}, None),
        ({"a": "crate", "b": "lid"}, None),
        ({"class": ""}, None),
        ({}, None),
    ],
)
def test_which_attribute_is_the_class(tmp_path: Path, attributes: object, name: str | None) -> None:
    dataset = read(tmp_path, image(region("rect", attributes), region("point", {"class": "lid"})))
    (a,) = dataset.splits["train"]
    assert len(a.drawn.boxes) == (name is not None) == (not dataset.dropped)
    assert all("do not say of which class it is" in reason for reason in dataset.dropped.values())


def test_malformed_entries_are_left_out(tmp_path: Path) -> None:
    wrong = [region("cube"), 5, {"region_attributes": {"class": "crate"}}]
    wrong[0]["shape_attributes"]["all_points_x"] = [1]
    document = {**image(*wrong, region("rect")), "x": 5, "y": {"filename": 7, "regions": []}}
    dataset = read(tmp_path, document)
    assert [len(sample.drawn.boxes) for sample in dataset.splits["train"]] == [1] and len(dataset.dropped) == 5


def test_another_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lists no images"):
        read(tmp_path, {})
    with pytest.raises(DataError, match="the content of a VIA file must be an object"):
        read(tmp_path, [])
