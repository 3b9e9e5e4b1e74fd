"""Boxes of VOC's XML files, as values and through ``open_dataset``."""

import logging
import re
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.annotations import Box, Dropped
from weakseg.data.binding import bind_image
from weakseg.data.check import check_dataset
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.voc_xml import VocRules, read_objects
from weakseg.data.sample import Tags
from weakseg.errors import DataError

SIZE = "<size><width>6</width><height>4</height><depth>3</depth></size>"


def entry(*edges: object, name: str = "cat", more: str = "") -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in zip(names, edges, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{inner}</bndbox></object>"


def write(path: Path, *entries: str, size: str = SIZE) -> Path:
    path.write_text(f"<annotation>{size}{''.join(entries)}</annotation>")
    return path


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "format": "voc", "train": "train", **settings}))


def boxes_of(path: Path, base: int = 1) -> tuple[Box, ...]:
    image = read_objects(path, "a", VocRules(base))  # type: ignore[arg-type]
    return bind_image(image, Classes(("cat", "dog"))).drawn.boxes


def test_the_whole_image_and_one_pixel(tmp_path: Path) -> None:
    """Weak-label oracle 1: bounds count from 1 and are inclusive."""
    whole, pixel = boxes_of(write(tmp_path / "a.xml", entry(1, 1, 500, 375), entry(10, 20, 10, 20), size=""))
    assert whole == Box(1, 0, 0, 375, 500)
    assert pixel.pixels((375, 500)) == (slice(19, 20), slice(9, 10))


@given(
    left=st.integers(1, 499),
    top=st.integers(1, 499),
    width=st.integers(0, 100),
    height=st.integers(0, 100),
    name=st.sampled_from(["cat", "dog"]),
)
def test_round_trip(tmp_path_factory, left: int, top: int, width: int, height: int, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / "voc_box.xml"
    write(path, entry(left, top, left + width, top + height, name=name), size="")
    (box,) = boxes_of(path)
    assert (box.left + 1, box.top + 1, box.right, box.bottom) == (left, top, left + width, top + height)
    assert (box.right - box.left) * (box.bottom - box.top) == (width + 1) * (height + 1)
    assert box.class_id == ["cat", "dog"].index(name) + 1


def test_decimals_are_rounded(tmp_path: Path) -> None:
    """Weak-label oracle 2: "45.70" is 46."""
    path = write(tmp_path / "a.xml", entry("45.70", "3.2", "60.5", "9.49"), size="")
    assert boxes_of(path) == (Box(1, 2, 45, 9, 61),)


def test_parts_have_boxes_that_are_not_read(tmp_path: Path) -> None:
    """Weak-label oracle 2: a part's box is not the object's, wherever it stands."""
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    path = write(tmp_path / "a.xml", entry(3, 3, 4, 4, more=part), f"<object><name>dog</name>{part}</object>")
    image = read_objects(path, "a", VocRules())
    assert [shape.positions for shape in image.shapes] == [((2, 2), (4, 4))]
    assert image.dropped == {f"{path}: object 1": Dropped("object 'dog' has no bndbox", frozenset({"dog"}))}
    assert image.tags == {"cat", "dog"}


def test_edges_as_they_stand(tmp_path: Path) -> None:
    assert boxes_of(write(tmp_path / "a.xml", entry(0, 0, 5.5, 4)), base=0) == (Box(1, 0, 0, 4, 5.5),)


def test_a_zero_warns_once_where_pixels_count_from_one(voc_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(voc_root / "Annotations/a.xml", entry(0, 1, 3, 3), entry(1, 0, 3, 3), entry(1, 1, 3, 3))
    with caplog.at_level(logging.WARNING):
        boxes = read(voc_root).splits["train"][0].drawn.boxes
    assert boxes == (Box(1, 0, 0, 3, 3),) * 3
    (record,) = caplog.records
    assert "2 boxes begin at 0" in record.getMessage() and "set data.voc_base to 0" in record.getMessage()
    caplog.clear()
    read(voc_root, voc_base=0)
    assert not caplog.records


def test_data_set(voc_root: Path) -> None:
    write(voc_root / "Annotations/a.xml", entry(1, 1, 9, 2), entry(5, 5, 6, 6), entry(2, 2, 3, 3, name="dog"))
    for labels in ("auto", "boxes"):
        dataset = read(voc_root, labels=labels)
        a, b = dataset.splits["train"]
        assert a.drawn.boxes == (Box(1, 0, 0, 2, 6), Box(2, 1, 1, 3, 3))
        assert (a.drawn.strongest, b.drawn.strongest) == ("boxes", "tags")
        assert a.tags == Tags(frozenset({1, 2}))
        (dropped,) = dataset.dropped.items()
        assert dropped[0].endswith("Annotations/a.xml: object 1")
        assert dropped[1] == "box of 'cat' lies outside the photograph"
    assert dataset.sizes == {"a": (4, 6)}


def test_other_labels_and_other_tags_read_no_boxes(voc_root: Path) -> None:
    write(voc_root / "Annotations/a.xml", entry("nonsense", 1, 2, 2))
    assert not read(voc_root, labels="tags").splits["train"][0].drawn.boxes
    assert not read(voc_root, tags="main").splits["train"][0].drawn.boxes
    with pytest.raises(DataError, match=r"data\.labels: boxes are wanted, but no image has any; set data\.drawn"):
        read(voc_root, tags="main", labels="boxes")


def test_difficult_objects(voc_root: Path) -> None:
    hard = "<difficult>1</difficult>"
    every = (entry(1, 1, 2, 2, name="dog", more=hard), entry(3, 3, 4, 4), entry(1, 1, 4, 4, more=hard))
    write(voc_root / "Annotations/a.xml", *every)
    assert [box.class_id for box in read(voc_root).splits["train"][0].drawn.boxes] == [2, 1, 1]
    dataset = read(voc_root, difficult=False)
    sample = dataset.splits["train"][0]
    assert sample.drawn.boxes == (Box(1, 2, 2, 4, 4),)
    assert sample.tags == Tags(frozenset({1}), frozenset({2}))
    assert list(dataset.dropped.values()) == ["box of 'dog' is marked difficult", "box of 'cat' is marked difficult"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (entry("nan", 1, 2, 2), "bndbox/xmin must be a number, got 'nan'"),
        (entry("1e400", 1, 2, 2), "bndbox/xmin must be a finite number, got inf"),
        (entry("", 1, 2, 2), "bndbox/xmin must be a number, got"),
        (entry(1, 1, "&", 2), "bndbox/xmax must be a number, got '&'"),
        ("<object><name>cat</name><bndbox/></object>", "bndbox/xmin must be a number, got None"),
        ("<object><name> </name></object>", "object has no name"),
    ],
)
def test_bad_objects_are_left_out(voc_root: Path, text: str, message: str) -> None:
    write(voc_root / "Annotations/a.xml", text, entry(1, 1, 2, 2, name="dog"))
    dataset = read(voc_root)
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("Annotations/a.xml: object 0") and message in reason
    named = "<name>cat" in text
    assert dataset.splits["train"][0].drawn.boxes == (Box(2, 0, 0, 2, 2),)
    assert dataset.splits["train"][0].tags.present == ({1, 2} if named else {2})
    assert dataset.splits["train"][0].tags.unknown == (frozenset() if named else {1})


def test_corners_in_any_order(tmp_path: Path) -> None:
    for edges in ((2, 3, 5, 4), (5, 3, 2, 4), (2, 4, 5, 3), (5, 4, 2, 3)):
        path = write(tmp_path / "a.xml", entry(*edges))
        assert boxes_of(path) == (Box(1, 2, 1, 4, 5),) and boxes_of(path, base=0) == (Box(1, 3, 2, 4, 5),)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("<size><width>6</width></size>", "size/height must be a number, got None"),
        ("<size><width>x</width><height>4</height></size>", "size/width must be a number, got 'x'"),
        ("<size><width>-6</width><height>4</height></size>", "size must be whole numbers of at least 1, got 4 x -6"),
        ("<size><width>1e9</width><height>1e9</height></size>", ".* more than the limit of 100,000,000 pixels"),
    ],
)
def test_absurd_sizes(voc_root: Path, size: str, message: str) -> None:
    write(voc_root / "Annotations/a.xml", entry(1, 1, 2, 2), size=size)
    dataset = read(voc_root)
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("Annotations/a.xml") and re.fullmatch(f"{message}.*", reason)
    assert dataset.splits["train"][0].tags == Tags(frozenset(), frozenset({1, 2}))


def test_a_size_of_zero_is_none(voc_root: Path) -> None:
    write(voc_root / "Annotations/a.xml", entry(1, 1, 99, 2), size="<size><width>0</width><height>0</height></size>")
    assert read(voc_root).splits["train"][0].drawn.boxes == (Box(1, 0, 0, 2, 99),)


def test_labels_of_a_photograph_that_was_not_upright(voc_root: Path, write_image) -> None:
    write(voc_root / "Annotations/a.xml", entry(1, 1, 2, 2), size="<size><width>4</width><height>6</height></size>")
    write(voc_root / "Annotations/b.xml", size="<size><width>60</width><height>40</height></size>")
    turned, other = check_dataset(read(voc_root)).failures
    assert "labels are for 6 x 4 (rows x columns), but the photograph is 4 x 6 when upright" in turned.reason
    assert "EXIF orientation" in turned.reason and turned.image_id == "a"
    assert "labels are for 40 x 60" in other.reason and "give the photograph that was labelled" in other.reason
