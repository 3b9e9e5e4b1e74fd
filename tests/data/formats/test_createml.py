"""CreateML's lists of boxes around centres."""

import json
from pathlib import Path

import pytest

from weakseg.data.formats.createml import read_table
from weakseg.errors import DataError

PLACE = {"x": 32, "y": 24, "width": 32, "height": 24}


def write(folder: Path, *entries: object) -> Path:
    path = folder / "c.json"
    path.write_text(json.dumps(list(entries)))
    return path


def test_boxes_lie_around_their_centre(tmp_path: Path) -> None:
    boxes = [{"label": "crate", "coordinates": PLACE}, {"label": "lid", "coordinates": {**PLACE, "width": 3}}]
    table = read_table(
        write(tmp_path, {"image": "a.png", "annotations": boxes}, {"imagefilename": "b.png", "annotation": []})
    )
    a, b = table.images
    assert [(s.label, s.positions) for s in a.shapes] == [
        ("crate", ((12, 16), (36, 48))),
        ("lid", ((12, 30.5), (36, 33.5))),
    ]
    assert (a.name, b.name, b.shapes, table.dropped) == ("a.png", "b.png", (), {})


@pytest.mark.parametrize(
    ("box", "labels", "message"),
    [
        ({"label": "lid", "coordinates": {**PLACE, "x": None}}, {"lid"}, "'x' must be a number"),
        ({"label": "lid", "coordinates": {**PLACE, "width": -1}}, {"lid"}, "must be above 0"),
        ({"label": "lid"}, {"lid"}, "'coordinates' must be an object"),
        ({"label": 5, "coordinates": PLACE}, None, "'label' must be text"),
        (5, None, "a box must be an object, got 5"),
    ],
)
def test_a_malformed_box_is_left_out(tmp_path: Path, box: object, labels: object, message: str) -> None:
    good = {"label": "crate", "coordinates": PLACE}
    (image,) = read_table(
        write(tmp_path, {"image": "a.png", "annotations": [box, good]}, 5, {"annotations": []})
    ).images
    assert [shape.label for shape in image.shapes] == ["crate"]
    ((where, entry),) = image.dropped.items()
    assert where.endswith("c.json: [0]: annotations[0]") and entry.labels == labels and message in entry.reason


def test_no_list(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(DataError, match="the content of a CreateML file must be a list"):
        read_table(tmp_path / "c.json")
