"""weakseg's own file of drawn labels."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.annotations import Box, Drawn, Point, Region, Scribble
from weakseg.data.classes import Classes
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, read_table, write_drawn
from weakseg.data.readers.drawn_file import read_drawn
from weakseg.errors import DataError

CLASSES = Classes(("cat", "dog"))


@st.composite
def drawn_images(draw: st.DrawFn) -> DrawnImage:
    size = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    inside = [st.floats(0, length, exclude_max=True) for length in size]
    position = st.tuples(*inside)

    def box(class_id: int, first: tuple[float, float], second: tuple[float, float]) -> Box:
        (top, bottom), (left, right) = (sorted(pair) for pair in zip(first, second, strict=True))
        return Box(class_id, top, left, bottom + 0.5 * (size[0] - bottom), right + 0.5 * (size[1] - right))

    boxes = st.builds(box, st.integers(1, 2), position, position)
    points = st.builds(lambda c, p: Point(c, *p), st.integers(0, 2), position)
    scribbles = st.builds(Scribble, st.integers(0, 2), st.lists(position, min_size=1, max_size=4).map(tuple))
    lists = [draw(st.lists(one, max_size=3).map(tuple)) for one in (boxes, points, scribbles)]
    effort = draw(st.dictionaries(st.text(max_size=5), st.floats(0, 1e6), max_size=2))
    return DrawnImage(size, Drawn(*lists), effort)


names = st.text("abc/.jpn", min_size=1, max_size=8)


@given(images=st.dictionaries(names, drawn_images(), min_size=1, max_size=3))
def test_round_trip(tmp_path_factory, images: dict[str, DrawnImage]) -> None:
    path = tmp_path_factory.getbasetemp() / "drawn.json"
    file = DrawnFile("boxes", CLASSES, images)
    write_drawn(path, file)
    found = read_drawn(path)
    assert (found.kind, found.classes, list(found.images)) == (file.kind, file.classes, list(file.images))
    for image_id, image in images.items():
        there = found.images[image_id]
        assert (there.size, there.tags) == (image.size, image.tags)
        assert there.effort == pytest.approx(image.effort, abs=0.005001)
        for one, other in zip(numbers_of(there.drawn), numbers_of(image.drawn), strict=True):
            assert one == pytest.approx(other, abs=0.005001)
    again = path.with_name("again.json")
    write_drawn(again, found)
    assert read_drawn(again) == found and again.read_bytes() == path.read_bytes()


def numbers_of(drawn: Drawn) -> list[tuple[float, ...]]:
    """Return class and coordinates of all that is drawn, of points and scribbles with those of their pixels."""
    boxes = [(b.class_id, b.top, b.left, b.bottom, b.right) for b in drawn.boxes]
    lines = [(p.class_id, [(p.row, p.column)]) for p in drawn.points] + [(s.class_id, s.path) for s in drawn.scribbles]
    return boxes + [
        (class_id, *(number for place in line for value in place for number in (value, math.floor(value))))
        for class_id, line in lines
    ]


def test_coordinates_take_one_line_and_two_decimals(tmp_path: Path) -> None:
    path = tuple((1 / 3 + step, 2 * step) for step in range(40))
    drawn = Drawn(
        (Box(1, 1.5, 2, 3.999, 10 / 3), Box(2, 1, 1, 1.001, 2)), scribbles=(Scribble(1, path), Scribble(0, path))
    )
    write_drawn(tmp_path / "d.json", DrawnFile("x", CLASSES, {"a": DrawnImage((50, 90), drawn)}))
    text = (tmp_path / "d.json").read_text()
    assert '{"class": "cat", "rectangle": [1.5, 2, 4, 3.33]}' in text and "[1, 1, 1.001, 2]" in text
    assert '"path": [[0.33, 0], [1.33, 2], [2.33, 4]' in text
    assert [line.strip()[:22] for line in text.splitlines() if '"path"' in line] == [
        '{"class": "cat", "path',
        '{"class": "background"',
    ]


def document(**image: Any) -> dict[str, Any]:
    whole = {"size": [4, 6], "boxes": [], "points": [], "scribbles": [], "effort": {}, **image}
    return {"weakseg": 1, "kind": "points", "classes": ["cat", "dog"], "images": {"a/b": whole}}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_exact_content(tmp_path: Path) -> None:
    drawn = Drawn((Box(1, 0, 1, 2, 3),), (Point(0, 0.5, 1.5),), (Scribble(2, ((0, 1), (2, 3))),))
    write_drawn(tmp_path / "d.json", DrawnFile("mixed", CLASSES, {"a/b": DrawnImage((4, 6), drawn, {"seconds": 2.5})}))
    assert json.loads((tmp_path / "d.json").read_text()) == {
        "weakseg": 1,
        "kind": "mixed",
        "classes": ["cat", "dog"],
        "images": {
            "a/b": {
                "size": [4, 6],
                "tags": ["cat", "dog"],
                "boxes": [{"class": "cat", "rectangle": [0, 1, 2, 3]}],
                "points": [{"class": "background", "position": [0.5, 1.5]}],
                "scribbles": [{"class": "dog", "path": [[0, 1], [2, 3]]}],
                "effort": {"seconds": 2.5},
            }
        },
    }


def test_lists_may_be_left_out(tmp_path: Path) -> None:
    content = document()
    content["images"]["a/b"] = {"size": [4, 6]}
    assert read_drawn(write(tmp_path / "d.json", content)).images["a/b"] == DrawnImage((4, 6), Drawn())


def test_painted_pixels_have_no_place(tmp_path: Path) -> None:
    for drawn in (Drawn(regions=(Region(1, (4, 6), b""),)), Drawn(strokes=(Region(1, (4, 6), b""),))):
        with pytest.raises(DataError, match="image 'a' has painted pixels; save them as an indexed PNG instead"):
            write_drawn(tmp_path / "d.json", DrawnFile("x", CLASSES, {"a": DrawnImage((4, 6), drawn)}))
    assert not (tmp_path / "d.json").exists()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"size": None}, "size must be a list, got None"),
        ({"size": [4]}, "size must be rows and columns, got 1 numbers"),
        ({"size": [4.5, 6]}, "size must be whole numbers"),
        ({"size": [0, 6]}, "size must be whole numbers of at least 1"),
        ({"size": [10**9, 10**9]}, "more than the limit"),
        ({"size": [float("nan"), 6]}, "size must be a finite number, got nan"),
        ({"boxes": {}}, "boxes must be a list, got an object of 0"),
        ({"boxes": [3]}, r"boxes\[0\]: an entry must be an object, got 3"),
        ({"boxes": [{"class": "cat", "rectangle": [1, 2, 3]}]}, "rectangle must be top, left, bottom, right, got 3"),
        ({"boxes": [{"class": "cat", "rectangle": [0, 0, "1", 1]}]}, "a row must be a finite number, got '1'"),
        ({"boxes": [{"rectangle": [0, 0, 1, 1]}]}, "class must be text, got None"),
        ({"boxes": [{"class": "catt", "rectangle": [0, 0, 1, 1]}]}, "unknown class 'catt'; did you mean 'cat'"),
        ({"boxes": [{"class": "cat", "rectangle": [9, 9, 10, 10]}]}, "box of 'cat' lies outside the photograph"),
        ({"boxes": [{"class": "background", "rectangle": [0, 0, 1, 1]}]}, "background has no boxes"),
        ({"points": [{"class": "cat", "position": 3}]}, "position must be a list, got 3"),
        ({"points": [{"class": "cat", "position": [1, 2, 3]}]}, "a position is row and column, got 3 values"),
        ({"points": [{"class": "cat", "position": [1, float("inf")]}]}, "a column must be a finite number, got inf"),
        ({"scribbles": [{"class": "cat", "path": [1, 2]}]}, r"scribbles\[0\]: a position must be a list, got 1"),
        ({"scribbles": [{"class": "cat", "path": []}]}, "scribble of 'cat' has no points"),
        ({"effort": {"seconds": "long"}}, "effort 'seconds' must be a finite number, got 'long'"),
        ({"effort": [1]}, "effort must be an object"),
        ({"masks": []}, "unknown key 'masks'; there are file, size, tags, unknown, boxes, points, scribbles"),
    ],
)
def test_refused_image(tmp_path: Path, image: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"d\.json: image 'a/b': .*{message}"):
        read_drawn(write(tmp_path / "d.json", document(**image)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weakseg": 2}, "'weakseg' must be 1, got 2"),
        ({"weakseg": None}, "'weakseg' must be 1, got None"),
        ({"classes": "cat"}, "classes must be a list, got 'cat'"),
        ({"classes": [1]}, "a class must be text, got 1"),
        ({"kind": 3}, "kind must be text, got 3"),
        ({"images": []}, "images must be an object, got a list of 0"),
        ({"images": {}}, "lists no images"),
        ({"images": {"a": 3}}, "image 'a': an image must be an object, got 3"),
    ],
)
def test_refused_file(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"d\.json: .*{message}"):
        read_drawn(write(tmp_path / "d.json", document() | change))


def test_no_json(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"d\.json:1: JSON cannot be used"):
        read_table(tmp_path / "d.json")
    with pytest.raises(DataError, match=r"gone\.json: no such file of drawn labels"):
        read_table(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("image", "place", "labels"),
    [
        ({"boxes": [{"class": "cat", "rectangle": [1, 2, 3]}]}, ": boxes[0]", {"cat"}),
        ({"points": [{"class": 3, "position": [1, 1]}]}, ": points[0]", None),
        ({"scribbles": [5]}, ": scribbles[0]", None),
        ({"size": [4]}, "", None),
        ({"masks": []}, "", None),
    ],
)
def test_what_is_malformed_leaves_the_rest_alone(
    tmp_path: Path, image: dict[str, Any], place: str, labels: set[str] | None
) -> None:
    content = document(**image)
    content["images"]["b"] = {"size": [4, 6], "points": [{"class": "dog", "position": [1, 1]}]}
    path = write(tmp_path / "d.json", content)
    a, b = read_table(path).images
    ((where, entry),) = a.dropped.items()
    assert where == f"{path}: image 'a/b'{place}" and entry.labels == labels
    assert [shape.label for shape in b.shapes] == ["dog"] and not b.dropped
