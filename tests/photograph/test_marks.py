"""What is said of one photograph, typed or in a label file."""

from pathlib import Path

import pytest
from PIL import Image

from generated import write_labelme
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.errors import DataError
from weakseg.photograph.marks import Marks, check_marks, marks_of_file, read_marks


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


def test_what_is_not_looked_at_is_said(caplog: pytest.LogCaptureFixture) -> None:
    marks = read_marks(["cow"], boxes=[("cat", (1, 2, 30, 30))], points=[("dog", (5, 6))])
    check_marks(marks, (30, 40))
    assert [record.getMessage() for record in caplog.records] == [
        "points are not looked at, for boxes are drawn, which decide",
        "'cow' has none of the boxes, which decide: it will not be in the mask",
        "'dog' has none of the boxes, which decide: it will not be in the mask",
    ]
    caplog.clear()
    check_marks(read_marks(["cat", "dog"]), (30, 40))
    check_marks(read_marks(scribbles=[("cat", [(1, 1)]), ("background", [(5, 5)])]), (30, 40))
    assert not caplog.records


def test_odd_names_are_said(caplog: pytest.LogCaptureFixture) -> None:
    check_marks(
        read_marks(boxes=[("cat", (1, 2, 9, 9)), ("Cat", (9, 9, 30, 30)), ("car, bus", (2, 2, 9, 9))]), (30, 40)
    )
    assert [record.getMessage()[:40] for record in caplog.records] == [
        "classes 'cat' and 'Cat' are written alik",
        "class 'car, bus' holds ','; if it is sev",
    ]


def test_labels_that_reach_out_of_the_photograph(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_marks(read_marks(boxes=[("cat", (-1, -1, 41, 31))], scribbles=[("cat", [(1, 1), (50, 1)])]), (30, 40))
    assert "scribble of 'cat' at (1, 1) is by 50% outside of the photograph of 40 x 30" in caplog.text
    assert "box" not in caplog.text.split("scribble")[0]
    with pytest.raises(DataError, match=r"point of 'cat' at \(1200, 5\) is outside of the photograph of 40 x 30"):
        check_marks(read_marks(points=[("cat", (1200, 5)), ("background", (1, 1))]), (30, 40))
    caplog.clear()
    Image.new("RGB", (40, 30)).save(tmp_path / "i.png")
    marks_of_file(tmp_path / "i.png", write_labelme(tmp_path, ("rectangle", "cat", [(1, 2), (120, 9)]), size=(30, 40)))
    assert "is by more than a fifth outside of the photograph" in caplog.text
