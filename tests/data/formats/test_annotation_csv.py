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
        ("filename,class,XMin,YMin,XMax,YMax", True),
        ("a.jpg,1,2,3,4,cat", True),
        ("a.jpg,,,,,", True),
        ("a.jpg,1,2,3,4,", False),
        ("a.jpg,1,2,3,,cat", False),
        ("image,cat,dog,ant,cow,hen", False),
    ):
        assert has_shapes(header.split(",")) == meant, header


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("image,label\na,cat", "t.csv:1: got header 'image,label'; want 'image,label' with 'x,y'"),
        ("image,label,x,y,z\n", "got header 'image,label,x,y,z'"),
        ("image,label,x,y,x\n", "column 'x' is empty or repeated in header"),
        ("image,label,x,y\n", "lists no images"),
        ("image,label,x,y\n,cat,1,1\n", "the name of the image must be text, got ''"),
        ('image,label,x,y\n"a,cat,1,1\n', "malformed CSV"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.csv")


BOTH = ",".join(("image,label,x,y", "xmin,ymin,xmax,ymax"))


@pytest.mark.parametrize(
    ("row", "message", "labels"),
    [
        ("a,cat,1", "3 cells, but the header has 8; correct the row", None),
        ("a,cat" + 9 * ",", "11 cells, but the header has 8", None),
        ("a,,1,1,,,,", "label must be text, got ''", None),
        ("a,cat,1,,,,,", "y must be a number, got ''", {"cat"}),
        ("a,cat,nan,1,,,,", "x must be a number, got 'nan'", {"cat"}),
        ("a,cat,1e999,1,,,,", "x must be a finite number, got inf", {"cat"}),
        ("a,cat,1,1,1,1,2,2", "a point and a box in one row", {"cat"}),
        ("a,cat,,,3,0,3,1", "a box of 1 x 0 pixels has no area", {"cat"}),
    ],
)
def test_bad_rows_are_left_out_with_their_class(
    tmp_path: Path, row: str, message: str, labels: set[str] | None
) -> None:
    (tmp_path / "t.csv").write_text(f"{BOTH}\na,dog,1,1,,,,\n{row}\n")
    (image,) = read_table(tmp_path / "t.csv").images
    assert [shape.label for shape in image.shapes] == ["dog"] and image.tags == {"dog"}
    ((where, entry),) = image.dropped.items()
    assert where == f"{tmp_path / 't.csv'}:3" and message in entry.reason and entry.labels == labels


def test_corners_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label,xmin,ymin,xmax,ymax\na,cat,3,0,1,1\n")
    assert read(tmp_path).splits["train"][0].drawn.boxes == (Box(1, 0, 1, 1, 3),)


TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,6,4,cat,1,0,3,2\na.png,6,4,dog,0,1,6,4\n"


class TestDialects:
    CAT, DOG = Box(1, 0, 1, 2, 3), Box(2, 1, 0, 4, 6)

    @pytest.mark.parametrize(
        "text",
        [
            TENSORFLOW,
            "\ufeff" + TENSORFLOW.replace(",", ";").replace("3;2", "3,0;2,0"),
            TENSORFLOW.replace(",", "\t").replace("filename", "Image_Path"),
            "a.png,1,0,3,2,cat\na.png,0,1,6,4,dog\nb.png,,,,,\n",
            "D:\\x\\a.png,1,0,3,2,cat\nD:\\x\\a.png,0,1,6,4,dog\n",
            "/home/me/a.png,1,0,3,2,cat\n/home/me/a.png,0,1,6,4,dog\n",
            "path,x1,y1,x2,y2,class_name\na.png,1,0,3,2,cat\na.png,0,1,6,4,dog\n",
        ],
        ids=["tensorflow", "semicolons", "tabs", "retinanet", "windows", "unix", "names"],
    )
    def test_boxes(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "t.csv").write_text(text)
        dataset = read(tmp_path)
        assert dataset.classes.names == ("cat", "dog") and not dataset.dropped
        assert dataset.splits["train"][0].id == "a"
        assert dataset.splits["train"][0].drawn.boxes == (self.CAT, self.DOG)
        if "width" in text:
            assert dataset.sizes == {"a": (4, 6)}
        if "b.png" in text:
            assert (dataset.splits["train"][1].id, dataset.splits["train"][1].tags) == ("b", Tags(frozenset()))

    def test_open_images(self, tmp_path: Path, write_image) -> None:
        """Fractions of the photograph; what has no box is unknown; groups have none."""
        write_image(tmp_path / "images/a.png", 4, 6)
        write_image(tmp_path / "images/b.png", 4, 6)
        header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf"
        rows = ("a,v,cat,1,0.5,1,0,0.25,0,0", "b,v,dog,1,0,1,0,1,0,1", "c,v,dog,1,0,1,0,1,0,0")
        (tmp_path / "t.csv").write_text("\n".join((header, *rows)))
        dataset = read(tmp_path)
        a, b, c = dataset.splits["train"]
        assert a.drawn.boxes == (Box(1, 0, 3, 1, 6),)
        assert (a.tags, b.tags) == (Tags(frozenset({1}), frozenset({2})), Tags(frozenset({2}), frozenset({1})))
        assert [reason.partition(":")[0] for reason in dataset.dropped.values()] == [
            "a box around a group, not around one object",
            "the size of the photograph is not known",
        ]
        assert c.tags == b.tags and not c.drawn.boxes

    def test_the_longest_end_of_an_absolute_path_counts(self, tmp_path: Path, write_image) -> None:
        for folder in ("x", "y"):
            write_image(tmp_path / folder / "a.png", 4, 6)
        (tmp_path / "t.csv").write_text("/data/x/a.png,1,0,3,2,cat\n/data/y/a.png,0,1,6,4,dog\n")
        assert [sample.id for sample in read(tmp_path).splits["train"]] == ["x/a", "y/a"]
        (tmp_path / "t.csv").write_text("/1/b.png,1,0,3,2,cat\n/2/b.png,0,1,6,4,dog\n")
        dataset = read(tmp_path)
        assert [sample.id for sample in dataset.splits["train"]] == ["b"]
        (reason,) = dataset.dropped.values()
        assert reason.startswith("'/2/b.png' and '/1/b.png' (") and "have one image id; rename one" in reason

    def test_sizes_that_differ(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text(TENSORFLOW.replace("6,4,dog", "7,4,dog"))
        dataset = read(tmp_path)
        assert list(dataset.dropped.values()) == [
            "it states a photograph of 4 x 7 (rows x columns), a row before it (4, 6)"
        ]
        assert dataset.splits["train"][0].tags == Tags(frozenset({1, 2}))


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
