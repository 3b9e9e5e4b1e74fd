"""Supervisely's files, one for each photograph."""

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from weakseg.data.annotations import Box, Point, Scribble
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags
from weakseg.errors import DataError


def packed(mask: "np.ndarray[Any, np.dtype[np.bool_]]", mode: str = "RGBA") -> str:
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    pixels[mask] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG")
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


def shape(kind: str, exterior: object, *interior: object, label: object = "crate") -> dict[str, Any]:
    return {"classTitle": label, "geometryType": kind, "points": {"exterior": exterior, "interior": list(interior)}}


def bitmap(data: object, origin: object = (3, 2)) -> dict[str, Any]:
    return {"classTitle": "lid", "geometryType": "bitmap", "bitmap": {"data": data, "origin": origin}}


SQUARE = [[1, 1], [7, 1], [7, 7], [1, 7]]
CORNER = np.array([[1, 1], [1, 0]], bool)


def read(root: Path, *objects: object, **size: object) -> Dataset:
    for name in ("img", "ann"):
        (root / "ds" / name).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (10, 8)).save(root / "ds/img/a.png")
    document = {"size": {"height": 8, "width": 10, **size}, "tags": [{"name": "train"}], "objects": list(objects)}
    (root / "ds/ann/a.png.json").write_text(json.dumps(document))
    config = {"root": str(root), "format": "supervisely", "train": "ds/ann", "images": "ds/img"}
    return open_dataset(DataConfig(**config))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["RGBA", "L"])
def test_every_object(tmp_path: Path, mode: str) -> None:
    (tmp_path / "meta.json").write_text(json.dumps({"classes": [{"title": "lid"}, {"title": "crate"}]}))
    dataset = read(
        tmp_path,
        shape("rectangle", [[4, 6], [1, 2]]),
        shape("polygon", SQUARE, [[3, 3], [5, 3], [5, 5], [3, 5]]),
        bitmap(packed(CORNER, mode)),
        shape("line", [[1, 2], [5, 3]]),
        shape("point", [[1.5, 2.5]]),
    )
    (a,) = dataset.splits["train"]
    assert (dataset.classes.names, dataset.dropped, a.image_path.name) == (("lid", "crate"), {}, "a.png")
    assert a.drawn.boxes == (Box(2, 2, 1, 6, 4),) and a.drawn.points == (Point(2, 2.5, 1.5),)
    assert a.drawn.scribbles == (Scribble(2, ((2, 1), (3, 5))),) and a.tags == Tags(frozenset({1, 2}))
    polygon, mask = (mask_of_runs(r.runs, r.size) for r in a.drawn.regions)
    assert polygon.sum() == 32 and not polygon[3:5, 3:5].any() and polygon[1:7, 1:7].sum() == 32
    assert np.argwhere(mask).tolist() == [[2, 3], [2, 4], [3, 3]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (shape("cuboid", SQUARE, label="lid"), "objects of type 'cuboid' are not known"),
        (shape("polygon", [[1]], label="lid"), "must be x and y"),
        (shape("polygon", SQUARE, [[1, 1]], label="lid"), "a region needs at least 3 positions"),
        (bitmap("!"), "'data' is no compressed PNG in base64"),
        (bitmap(base64.b64encode(b"nonsense").decode()), "'data' is no compressed PNG in base64"),
        (bitmap(base64.b64encode(zlib.compress(b"x")).decode()), "'data': cannot be read as an image"),
        (bitmap(packed(CORNER), [1]), "'origin' must be x and y in pixels"),
        (bitmap(packed(CORNER), [10**12, 0]), "'origin' must be x and y in pixels"),
        (bitmap(packed(np.ones((17, 10), bool))), "17 x 10 pixels is far larger than the photograph"),
        ({"classTitle": "lid"}, "'geometryType' must be text"),
    ],
)
def test_a_malformed_object_is_left_out(tmp_path: Path, wrong: object, message: str) -> None:
    dataset = read(tmp_path, wrong, shape("rectangle", [[4, 6], [1, 2]]))
    (a,) = dataset.splits["train"]
    assert [box.class_id for box in a.drawn.boxes] == [1] and a.tags == Tags(frozenset({1, 2}))
    ((_, reason),) = dataset.dropped.items()
    assert message in reason


def test_nothing_is_rastered_for_a_size_that_is_not_the_photographs(tmp_path: Path) -> None:
    dataset = read(tmp_path, shape("polygon", SQUARE), bitmap(packed(CORNER)), height=9000, width=9000)
    assert not dataset.splits["train"][0].drawn.regions and len(dataset.dropped) == 2


def test_a_file_without_size(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lists no images that can be used: .*'size' has no height and width"):
        read(tmp_path, height=None, width=None)
