"""CSV files of points and boxes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.annotations import Box, Point
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.annotation_csv import has_shapes, read_table
from weakseg.data.sample import Tags
from weakseg.errors import DataError

POINTS = "image,label,x,y\nb.png,dog,0,0\na.png,cat,4,3\na.png,dog,1.25,2\nc.png,,,\nd.png,cat,,\n"
BOXES = "image,label,xmin,ymin,xmax,ymax\na.png,cat,0,0,1,1\na.png,dog,1.5,0,4,3.25\n"


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "train": "t.csv", **settings}))


@pytest.mark.parametrize("format_", ["folder", "csv"])
def test_points(tmp_path: Path, format_: str) -> None:
    (tmp_path / "t.csv").write_text(POINTS)
    dataset = read(tmp_path, format=format_)
    assert dataset.classes.names == ("cat", "dog")
    samples = dataset.splits["train"]
    assert [sample.id for sample in samples] == ["b", "a", "c", "d"]
    assert samples[0].drawn.points == (Point(2, 0.5, 0.5),)
    assert samples[1].drawn.points == (Point(1, 3.5, 4.5), Point(2, 2.5, 1.75))
    assert samples[1].drawn.points[0].pixel((4, 5)) == (3, 4)
    assert [s.tags.present for s in samples] == [{2}, {1, 2}, set(), {1}]
    assert [s.drawn.strongest for s in samples] == ["points", "points", "tags", "tags"]


def test_boxes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(BOXES)
    (sample,) = read(tmp_path).splits["train"]
    assert sample.drawn.boxes == (Box(1, 0, 0, 1, 1), Box(2, 0, 1.5, 3.25, 4))
    assert sample.drawn.boxes[0].pixels((9, 9)) == (slice(0, 1), slice(0, 1))


def test_both_and_the_order_of_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\ufeffymax,xmax,ymin,xmin,y,x,label,image\n,,,,3,4,cat,a\r\n2,2,1,0,,,cat,a\n")
    (sample,) = read(tmp_path).splits["train"]
    assert (sample.drawn.points, sample.drawn.boxes) == ((Point(1, 3.5, 4.5),), (Box(1, 1, 0, 2, 2),))


coordinates = st.floats(0, 1e4)


@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["cat", "dog"]), coordinates, coordinates)))
def test_round_trip(tmp_path_factory, rows: list[tuple[str, str, float, float]]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.csv"
    path.write_text("image,label,x,y\nz,,,\n" + "".join(f"{i},{name},{x!r},{y!r}\n" for i, name, x, y in rows))
    found = {image.name: [(s.label, *s.positions[0]) for s in image.shapes] for image in read_table(path).images}
    for image in "ab":
        assert found.get(image, []) == [(name, y + 0.5, x + 0.5) for i, name, x, y in rows if i == image]


def test_which_headers_are_meant() -> None:
    for header, meant in (
        ("image,label,x,y", True),
        ("image,label,xmin,ymin,xmax,ymax", True),
        ("image,label", False),
        ("image,x,y", False),
        ("image,label,x", False),
    ):
        assert has_shapes(set(header.split(","))) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("image,label\na,cat", "t.csv:1: got header 'image,label'; want 'image,label' with 'x,y'"),
        ("image,label,x,y,z\n", "got header 'image,label,x,y,z'"),
        ("image,label,x,y,x\n", "got header"),
        ("image,label,x,y\n", "lists no images"),
        ("image,label,x,y\na,cat,1\n", "t.csv:2: 3 cells, but the header has 4"),
        ("image,label,x,y\n,cat,1,1\n", "the name of the image must be text, got ''"),
        ("image,label,x,y\na,,1,1\n", "label must be text, got ''"),
        ("image,label,x,y\na,cat,1,\n", "t.csv:2: y must be a number, got ''"),
        ("image,label,x,y\na,cat,nan,1\n", "x must be a number, got 'nan'"),
        ("image,label,x,y\na,cat,1e999,1\n", "x must be a finite number, got inf"),
        ("image,label,x,y\na.png,cat,1,1\na.jpg,cat,1,1\n", r"'a\.jpg' and 'a\.png' .* have one image id"),
        ("image,label,x,y,xmin,ymin,xmax,ymax\na,cat,1,1,1,1,2,2\n", "a point and a box in one row"),
        ('image,label,x,y\n"a,cat,1,1\n', "malformed CSV"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.csv")


def test_unusable_boxes_are_dropped_and_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label,xmin,ymin,xmax,ymax\na,cat,3,0,1,1\n")
    dataset = read(tmp_path)
    assert {key.rpartition("/")[2]: why for key, why in dataset.dropped.items()} == {
        "t.csv:2": "box of 'cat' has no area"
    }
    assert dataset.splits["train"][0].tags == Tags(frozenset({1}))


def test_given_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(POINTS)
    with pytest.raises(DataError, match=r"t\.csv:2: unknown class 'dog'"):
        read(tmp_path, classes=("cat",))
    (tmp_path / "m.yaml").write_text("ignore: [dog]")
    dataset = read(tmp_path, class_map="m.yaml")
    assert dataset.classes.names == ("cat",)
    assert [s.tags.present for s in dataset.splits["train"]] == [set(), {1}, set(), {1}]


def test_one_id_in_two_splits(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label,x,y\na.png,cat,1,1\n")
    (tmp_path / "v.csv").write_text("image,label,x,y\na.jpg,cat,1,1\n")
    with pytest.raises(DataError, match=r"a\.jpg and .*a\.png have one image id 'a' in two splits"):
        read(tmp_path, val="v.csv")


def test_names_in_the_class_map_that_no_label_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "t.csv").write_text(BOXES)
    (tmp_path / "m.yaml").write_text("rename: {catt: lion}\nignore: [dog]\n")
    read(tmp_path, class_map="m.yaml")
    assert [record.getMessage() for record in caplog.records] == ["data.class_map: no label is called 'catt'"]
