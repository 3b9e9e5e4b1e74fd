"""What is said of one photograph, typed or in a label file."""

from pathlib import Path

import pytest
from PIL import Image

from generated import write_labelme
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.errors import DataError
from weakseg.photograph.marks import Marks, marks_of_file, read_marks


def test_marks_turn_x_and_y_into_rows_and_columns() -> None:
    marks = read_marks(
        ["dog"],
        boxes=[("cat", (1, 2, 30, 40))],
        points=[("background", (5, 6))],
        scribbles=[("dog", [(7, 8), (9, 10)])],
    )
    assert marks.names == ("dog", "cat")
    assert marks.label_ids == (1, 2)
    assert marks.drawn == Drawn((Box(2, 2, 1, 40, 30),), (Point(0, 6, 5),), (Scribble(1, ((8, 7), (10, 9))),))


def test_x_and_y_of_every_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "i.png")
    shapes = [
        ("rectangle", "cat", [(1, 2), (50, 9)]),
        ("point", "background", [(5, 6)]),
        ("line", "dog", [(7, 8), (9, 10)]),
        ("polygon", "cow", [(1, 1), (9, 1), (9, 9)]),
    ]
    found = marks_of_file(tmp_path / "i.png", write_labelme(tmp_path, *shapes, size=(30, 40)))
    assert found.names == ("cat", "dog")
    assert found.drawn == Drawn((Box(1, 2, 1, 9, 40),), (Point(0, 6, 5),), (Scribble(2, ((8, 7), (10, 9))),))
    assert "1 outlined or painted regions, which are masks already" in caplog.text


def test_tags_where_nothing_is_drawn(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "i.png")
    (tmp_path / "t.csv").write_text("image,labels\ni.png,dog;cat\nj.png,cow")
    assert marks_of_file(tmp_path / "i.png", tmp_path / "t.csv") == Marks(("cat", "dog"), Drawn())


@pytest.mark.parametrize(
    ("shapes", "size", "message"),
    [
        ([], (30, 40), "no box, point, scribble or tag of 'i.png'"),
        ([("polygon", "cow", [(1, 1), (9, 1), (9, 9)])], (30, 40), "no box, point, scribble or tag"),
        ([("rectangle", "cat", [(50, 2), (60, 9)])], (30, 40), "no box, point, scribble or tag"),
        ([("point", "cat", [(5, 6)])], (40, 30), "drawn on its side"),
    ],
)
def test_what_leaves_nothing_is_refused(
    shapes: list[tuple[str, str, list[tuple[float, float]]]],
    size: tuple[int, int],
    message: str,
    tmp_path: Path,
) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "i.png")
    with pytest.raises(DataError, match=message):
        marks_of_file(tmp_path / "i.png", write_labelme(tmp_path, *shapes, size=size))
