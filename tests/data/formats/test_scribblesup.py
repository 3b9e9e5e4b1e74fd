import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.annotations import Scribble
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.scribblesup import read_table
from weakseg.data.formats.voc_xml import VOC_CLASSES
from weakseg.data.sample import Tags
from weakseg.errors import DataError

SIZE = "<size><width>6</width><height>4</height></size>"


def stroke(tag: str, *points: tuple[object, object]) -> str:
    inner = "".join(f"<point><X>{x}</X><Y>{y}</Y></point>" for x, y in points)
    return f"<polygon><tag>{tag}</tag>{inner}</polygon>"


def write(path: Path, *strokes: str, size: str = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation>{size}<segmented>1</segmented>{''.join(strokes)}</annotation>")
    return path


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "format": "scribblesup", "train": "scribbles", **settings}))


def test_data_set(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "images/a.jpg", 4, 6)
    write(tmp_path / "scribbles/a.xml", stroke("plane", (0, 0), (4, 0)), stroke("background", (5, 3)))
    write(tmp_path / "scribbles/b.xml", stroke("cat", (1, 1), (16, 3)), size="")
    dataset = read(tmp_path)
    assert dataset.classes.names == VOC_CLASSES
    a, b = dataset.splits["train"]
    assert a.drawn.scribbles == (Scribble(1, ((0.5, 0.5), (0.5, 4.5))), Scribble(0, ((3.5, 5.5),)))
    assert (a.tags, b.tags) == (Tags(frozenset({1})), Tags(frozenset({8})))
    assert b.drawn.scribbles == (Scribble(8, ((1.5, 1.5), (3.5, 16.5))),)  # its size is not known
    assert a.load_image().shape == (4, 6, 3)
    assert dataset.sizes == {"a": (4, 6)}


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("plane", "aeroplane"),
        ("bike", "bicycle"),
        ("table", "diningtable"),
        ("plant", "pottedplant"),
        ("monitor", "tvmonitor"),
        ("motorbike", "motorbike"),
        ("sofa", "sofa"),
    ],
)
def test_names_of_the_data_set_become_those_of_voc(tmp_path: Path, tag: str, name: str) -> None:
    write(tmp_path / "s/a.xml", stroke(tag, (1, 1)))
    (image,) = read_table(tmp_path / "s").images
    assert image.shapes[0].label == name


@given(points=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 49)), min_size=1, max_size=8))
def test_round_trip(tmp_path_factory, points: list[tuple[int, int]]) -> None:
    folder = tmp_path_factory.getbasetemp() / "scribbles_round"
    write(folder / "a.xml", stroke("dog", *points), size="<size><width>100</width><height>50</height></size>")
    (image,) = read_table(folder).images
    assert [(column - 0.5, row - 0.5) for row, column in image.shapes[0].positions] == points
    assert image.size == (50, 100)


def test_points_outside_are_clamped(tmp_path: Path) -> None:
    """Weak-label oracle 8: a point at (W + 10, 3) is clamped to column W - 1."""
    strokes = (stroke("cat", (1, 1), (16, 3)), stroke("cat"), stroke("dog", (16, 3), (-4, 9)))
    write(tmp_path / "scribbles/a.xml", *strokes)
    dataset = read(tmp_path)
    (sample,) = dataset.splits["train"]
    assert sample.drawn.scribbles == (Scribble(8, ((1.5, 1.5), (3.5, 5.5))),)
    assert sample.tags == Tags(frozenset({8, 12}))
    assert [(key.split(": ")[1], value) for key, value in dataset.dropped.items()] == [
        ("polygon 1", "scribble of 'cat' has no points"),
        ("polygon 2", "scribble of 'dog' lies outside the photograph"),
    ]


def test_unknown_tag_and_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "scribbles/a.xml", stroke("cat", (1, 1)), stroke("hors", (1, 1)))
    with pytest.raises(
        DataError, match=r"a\.xml: polygon 1: unknown class 'hors'; did you mean 'horse'\?; or rename, merge or"
    ):
        read(tmp_path)
    (tmp_path / "m.yaml").write_text("ignore: [hors]")
    assert read(tmp_path, class_map="m.yaml").splits["train"][0].tags == Tags(frozenset({8}))


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'<!DOCTYPE x [<!ENTITY a0 "ha">{BOMB}]><annotation>&a9;</annotation>', "cannot be read"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>', "cannot be read"),
        ("<annotation>", r"scribbles of image 'a' cannot be read .*; repair it, or leave it out"),
        ("", "cannot be read"),
        ("<annotation><size><width>0</width><height>9</height></size></annotation>", "size must be whole numbers"),
        ("<annotation><size><width>1e6</width><height>1e6</height></size></annotation>", "more than the limit"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/a.xml").write_text(text)
    for path in (tmp_path / "s", tmp_path / "s/a.xml"):
        with pytest.raises(DataError, match=rf"a\.xml: .*{message}"):
            read_table(path)
    write(tmp_path / "s/b.xml", stroke("cat", (1, 1)))
    a, b = read_table(tmp_path / "s").images
    ((where, entry),) = a.dropped.items()
    assert where.endswith("a.xml") and re.search(message, entry.reason) and entry.labels is None
    assert not b.dropped and b.labels == {"cat"}


@pytest.mark.parametrize(
    ("polygon", "message", "labels"),
    [
        (stroke("", (1, 1)), "'tag' is missing", None),
        (stroke("bike", ("nan", 1)), "point/X must be a number, got 'nan'", {"bicycle"}),
        (stroke("cat", (1, "")), "point/Y must be a number, got", {"cat"}),
        ("<polygon><tag>cat</tag><point><X>1</X></point></polygon>", "point/Y must be a number, got None", {"cat"}),
    ],
)
def test_bad_scribbles_are_left_out(tmp_path: Path, polygon: str, message: str, labels: set[str] | None) -> None:
    write(tmp_path / "s/a.xml", polygon, stroke("dog", (1, 1)))
    (image,) = read_table(tmp_path / "s").images
    assert [shape.label for shape in image.shapes] == ["dog"]
    ((where, entry),) = image.dropped.items()
    assert where.endswith("a.xml: polygon 0") and message in entry.reason and entry.labels == labels


def test_folders(tmp_path: Path, tmp_path_factory) -> None:
    with pytest.raises(DataError, match=r"scribbles: no such folder of scribbles"):
        read(tmp_path)
    (tmp_path / "scribbles").mkdir()
    with pytest.raises(DataError, match=r"no scribbles \(\*\.xml\)"):
        read(tmp_path)
    (tmp_path / "scribbles/a.xml").symlink_to(write(tmp_path_factory.mktemp("x") / "a.xml"))
    with pytest.raises(DataError, match="leads outside"):
        read(tmp_path)
