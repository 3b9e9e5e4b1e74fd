"""Clicks of What's the Point, as values and as drawn labels of a VOC data set."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.annotations import Point
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats.voc_xml import VOC_CLASSES
from weakseg.data.formats.whats_the_point import read_table
from weakseg.data.sample import Tags
from weakseg.errors import DataError


def click(x: object, y: object, cls: object = 1, **more: object) -> dict[str, object]:
    return {"x": x, "y": y, "cls": cls, "rank": 1, **more}


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


@given(clicks=st.lists(st.tuples(st.integers(0, 499), st.integers(0, 374), st.integers(1, 20)), max_size=6))
def test_round_trip(tmp_path_factory, clicks: list[tuple[int, int, int]]) -> None:
    path = write(tmp_path_factory.getbasetemp() / "clicks.json", {"a": [click(*one) for one in clicks]})
    (image,) = read_table(path).images
    found = [(shape.positions[0], VOC_CLASSES.index(shape.label) + 1) for shape in image.shapes]
    assert [(column - 0.5, row - 0.5, cls) for (row, column), cls in found] == clicks


def test_corners_and_what_lies_outside(voc_root: Path) -> None:
    """Weak-label oracle 7, on photographs of 4 x 6 pixels whose size the annotations state."""
    (voc_root / "classes.txt").unlink()
    for name in "ab":
        size = "<size><width>6</width><height>4</height></size>"
        (voc_root / f"Annotations/{name}.xml").write_text(f"<annotation>{size}</annotation>")
    clicks = [click(0, 0), click(5, 3, 2, worker="w1"), click(-1, 2, 3)]
    write(voc_root / "clicks.json", {"a": clicks, "b": [], "2007_000032": [click(1, 1)]})
    config = DataConfig(root=str(voc_root), format="voc", train="train", drawn="clicks.json")
    dataset = open_dataset(config)
    a, b = dataset.splits["train"]
    assert [point.pixel((4, 6)) for point in a.drawn.points] == [(0, 0), (3, 5)]
    assert [point.class_id for point in a.drawn.points] == [1, 2]
    assert (a.tags, b.tags) == (Tags(frozenset({1, 2, 3})), Tags(frozenset()))
    assert list(dataset.dropped.values()) == ["point of 'bird' lies outside the photograph"]
    assert next(iter(dataset.dropped)).endswith("clicks.json: image 'a': click 2")


def test_beyond_the_last_column(voc_root: Path) -> None:
    """Weak-label oracle 7: (W, 5) is skipped; without a stated size it has no pixel."""
    write(voc_root / "clicks.json", {"a": [click(6, 3, 8)]})
    (voc_root / "classes.txt").unlink()
    config = DataConfig(root=str(voc_root), format="voc", train="train", tags="main", drawn="clicks.json")
    for name in "ab":
        (voc_root / f"Annotations/{name}.xml").unlink()
    (voc_root / "ImageSets/Main/cat_train.txt").write_text("a 1\nb -1\n")
    (point,) = open_dataset(config).splits["train"][0].drawn.points
    assert point == Point(8, 3.5, 6.5) and point.pixel((4, 6)) is None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the file must be an object, got a list of 0"),
        ({}, "lists no images"),
        ({"a": {}}, "image 'a': the clicks must be a list, got an object of 0"),
    ],
)
def test_refused(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(DataError, match=rf"c\.json: .*{message}"):
        read_table(write(tmp_path / "c.json", document))


@pytest.mark.parametrize(
    ("wrong", "message", "labels"),
    [
        (3, "a click must be an object, got 3", None),
        ({"x": 1, "cls": 1}, "y must be a finite number, got None", {"aeroplane"}),
        (click("1", 1), "x must be a finite number, got '1'", {"aeroplane"}),
        (click(float("nan"), 1, 2), "x must be a finite number, got nan", {"bicycle"}),
        (click(1, float("inf"), 2), "y must be a finite number, got inf", {"bicycle"}),
        (click(1, 1, 0), "cls must be 1..20, a class of VOC, got 0", None),
        (click(1, 1, 21), "cls must be", None),
        (click(1, 1, 1.5), "cls must be", None),
        (click(1, 1, True), "cls must be a finite number, got True", None),
    ],
)
def test_bad_clicks_are_left_out(tmp_path: Path, wrong: object, message: str, labels: set[str] | None) -> None:
    path = write(tmp_path / "c.json", {"a": [wrong, click(1, 1, 8)], "b": 5})
    a, b = read_table(path).images
    assert [shape.label for shape in a.shapes] == ["cat"]
    assert list(a.dropped) == [f"{path}: image 'a': click 0"]
    entry = a.dropped[f"{path}: image 'a': click 0"]
    assert message in entry.reason and entry.labels == labels
    assert [one.labels for one in b.dropped.values()] == [None]
