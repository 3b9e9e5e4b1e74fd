"""What is said of one photograph, typed or in a label file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from generated import write_labelme
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.regions import mask_of_runs
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
    assert found.names == ("cat", "dog", "cow")
    assert found.drawn.open == Drawn((Box(1, 2, 1, 9, 40),), (Point(0, 6, 5),), (Scribble(2, ((8, 7), (10, 9))),))
    (outlined,) = found.regions
    assert outlined.class_id == 3 and 24 < mask_of_runs(outlined.runs, (30, 40)).sum() < 36  # half of 8 x 8
    assert len(found.drawn.regions) == 2 and "is by more than a fifth outside" in caplog.text


def test_tags_where_nothing_is_drawn(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "i.png")
    (tmp_path / "t.csv").write_text("image,labels\ni.png,dog;cat\nj.png,cow")
    assert marks_of_file(tmp_path / "i.png", tmp_path / "t.csv") == Marks(("cat", "dog"), Drawn())


@pytest.mark.parametrize(
    ("shapes", "size", "message"),
    [
        ([], (30, 40), "no box, point, scribble, outline or tag of 'i.png'"),
        ([("rectangle", "cat", [(50, 2), (60, 9)])], (30, 40), "no box, point, scribble, outline or tag"),
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


def test_what_will_not_be_in_the_mask_is_said() -> None:
    marks = read_marks(["cow"], boxes=[("cat", (1, 2, 30, 30))], points=[("dog", (5, 6))])
    assert check_marks(marks, (30, 40)) == ["nothing is drawn of 'cow', but of others: it will not be in the mask"]
    assert marks.decided == {2, 3} and marks.corrections.points == marks.drawn.points
    assert [marks.kind_of(label) for label in (1, 2, 3)] == ["tags", "boxes", "points"]


def test_clicks_beside_strokes_are_short_strokes() -> None:
    marks = read_marks(scribbles=[("cat", [(1, 2), (3, 4)])], points=[("dog", (5, 6)), ("background", (7, 8))])
    assert [(one.class_id, one.path[0]) for one in marks.marked.scribbles] == [(2, (2, 1)), (1, (6, 5)), (0, (8, 7))]
    assert not marks.marked.points and not marks.corrections.points
    assert not check_marks(read_marks(["cat", "dog"]), (30, 40))
    assert not check_marks(read_marks(scribbles=[("cat", [(1, 1)]), ("background", [(5, 5)])]), (30, 40))


def test_odd_names_are_said() -> None:
    boxes = [("cat", (1, 2, 9, 9)), ("Cat", (9, 9, 30, 30)), ("car, bus", (2, 2, 9, 9))]
    assert [doubt[:40] for doubt in check_marks(read_marks(boxes=boxes), (30, 40))] == [
        "classes 'cat' and 'Cat' are written alik",
        "class 'car, bus' holds ','; if it is sev",
    ]


def test_where_nothing_is_said_there_is_nothing_to_find() -> None:
    for marks in (read_marks(), read_marks(points=[("background", (1, 1))])):
        with pytest.raises(DataError, match="say what the photograph shows: give tags, boxes, points or scribbles"):
            check_marks(marks, (30, 40))


class TestPlainForms:
    def test_inner_brackets_may_be_left_out_and_one_mark_may_stand_alone(self) -> None:
        whole = read_marks(
            ["cat", "dog"],
            boxes=[("cat", (1, 2, 30, 30))],
            points=[("cat", (5, 6))],
            scribbles=[("dog", [(1, 2), (3, 4)])],
        )
        plain = read_marks(
            "cat, dog",
            boxes=("cat", 1, np.float32(2), 30, np.int64(30)),
            points=("cat", 5, 6),
            scribbles=("dog", (1, 2), (3, 4)),
        )
        assert plain == whole
        assert read_marks("cat,dog", boxes=[["cat", np.array([1, 2, 30, 30])]]).drawn.boxes == whole.drawn.boxes
        assert read_marks(scribbles=("dog", [(1, 2)])) == read_marks(scribbles=[("dog", (1, 2))]) != read_marks("dog")

    @pytest.mark.parametrize(
        ("marks", "message"),
        [
            (
                {"boxes": [40, 30, 200, 180]},
                r"boxes: each is a name and \(left, top, .*\('cat', 40, 30, 200, 180\); got 40",
            ),
            ({"boxes": [("cat",)]}, r"box of 'cat': got \[\]; give \(left, top, right, bottom\) in pixels"),
            ({"boxes": [(1, 2, 3, 4)]}, r"boxes: each is a name and"),
            ({"points": ("cat", 5)}, r"point on 'cat': got \[5\]; give \(x, y\)"),
            ({"points": [("cat", "a", "b")]}, r"point on 'cat': got \['a', 'b'\]"),
            ({"points": ["cat"]}, r"point on 'cat': got \[\]"),
            ({"scribbles": ("cat", 1, 2, 3, 4)}, r"scribble on 'cat': got \[1, 2, 3, 4\]; give \(x, y\)"),
            ({"scribbles": [["cat", None]]}, r"scribble on 'cat': got None; give \(x, y\)"),
            ({"scribbles": ["cat"]}, r"scribbles: one has no position"),
        ],
    )
    def test_what_is_no_mark_says_how_it_is_written(self, marks: dict[str, Any], message: str) -> None:
        with pytest.raises(DataError, match=message):
            read_marks(**marks)


def test_labels_that_reach_out_of_the_photograph(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    strayed = read_marks(boxes=[("cat", (-1, -1, 41, 31))], scribbles=[("cat", [(1, 1), (50, 1)])])
    doubts = check_marks(strayed, (30, 40))
    assert doubts[0].startswith("scribble of 'cat' at (1, 1) is by 50% outside of the photograph of 40 x 30")
    with pytest.raises(DataError, match=r"point of 'cat' at \(1200, 5\) is outside of the photograph of 40 x 30"):
        check_marks(read_marks(points=[("cat", (1200, 5)), ("background", (1, 1))]), (30, 40))
    caplog.clear()
    Image.new("RGB", (40, 30)).save(tmp_path / "i.png")
    marks_of_file(tmp_path / "i.png", write_labelme(tmp_path, ("rectangle", "cat", [(1, 2), (120, 9)]), size=(30, 40)))
    assert "is by more than a fifth outside of the photograph" in caplog.text
