import base64
import io
import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from weakseg.data.annotations import AnnotationTable, Shape
from weakseg.data.binding import bind_image
from weakseg.data.classes import Classes
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.formats.labelme import read_table
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags
from weakseg.errors import DataError
from weakseg.ops.runs import run_areas

Document = dict[str, Any]
SIZE = (6, 8)
TRIANGLE = [[0, 0], [4, 0], [0, 4]]


def shape(kind: str, points: object, label: object = "cat", **more: object) -> Document:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, "mask": None, **more}


def document(*shapes: object, **more: object) -> Document:
    rows, columns = SIZE
    base = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.jpg", "imageData": None}
    return {**base, "imageHeight": rows, "imageWidth": columns, **more}


def write(folder: Path, *shapes: object, **more: object) -> Path:
    path = folder / "a.json"
    path.write_text(json.dumps(document(*shapes, **more)))
    return path


def read(folder: Path, *shapes: object, **more: object) -> tuple[Shape, ...]:
    return read_table(write(folder, *shapes, **more)).images[0].shapes


def reason(folder: Path, wrong: object) -> str:
    """Return why a shape was left out, which must leave its neighbour alone."""
    table = read_table(write(folder, wrong, shape("point", [[1, 2]])))
    assert [found.kind for found in table.images[0].shapes] == ["point"]
    assert list(table.dropped) == [f"{folder / 'a.json'}: shapes[0]"]
    return next(iter(table.dropped.values()))


def pixels(found: Shape) -> NDArray[np.bool_]:
    assert found.kind == "region" and found.size is not None and found.positions == ()
    return mask_of_runs(found.runs, found.size)


def area(*boxes: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def png(pixels: NDArray[np.generic]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def mask_shape(crop: NDArray[np.bool_], top: int, left: int, **more: object) -> Document:
    corners = [[left, top], [left + crop.shape[1] - 1, top + crop.shape[0] - 1]]
    return shape("mask", corners, **{"mask": png(crop.astype(np.uint8)), **more})


def test_every_kind(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        shape("polygon", [[1, 2], [5, 2], [5, 4], [1, 4]]),
        shape("rectangle", [[6.5, 1], [2, 4.5]], "dog"),
        shape("oriented_rectangle", [[0, 0], [2, 0], [2, 1], [0, 1]]),
        shape("line", [[0, 1], [9, -2]]),
        shape("linestrip", [[0, 1], [2, 3], [4, 5]], "dog"),
        shape("point", [[3.5, 1.5]]),
        shape("points", [[1, 2], [3, 4]]),
        mask_shape(np.array([[1, 0], [1, 1], [0, 1]], bool), 2, 3),
    )
    where = f"{tmp_path / 'a.json'}: shapes"
    staircase = area((2, 3, 4, 4), (3, 4, 5, 5))
    for region, expected in zip((found[0], found[8]), (area((2, 1, 4, 5)), staircase), strict=True):
        np.testing.assert_array_equal(pixels(region), expected)
        assert (region.label, region.size, region.ignored) == ("cat", SIZE, False)
    assert found[1] == Shape("box", "dog", ((1.0, 2.0), (4.5, 6.5)), f"{where}[1]")
    assert found[2] == Shape("box", "cat", ((0.0, 0.0), (1.0, 2.0)), f"{where}[2]")
    assert found[3] == Shape("scribble", "cat", ((1.0, 0.0), (-2.0, 9.0)), f"{where}[3]")
    assert found[4] == Shape("scribble", "dog", ((1.0, 0.0), (3.0, 2.0), (5.0, 4.0)), f"{where}[4]")
    assert found[5] == Shape("point", "cat", ((1.5, 3.5),), f"{where}[5]")
    assert found[6:8] == tuple(Shape("point", "cat", (at,), f"{where}[6]") for at in ((2.0, 1.0), (4.0, 3.0)))


def test_circle(tmp_path: Path) -> None:
    (found,) = read(tmp_path, shape("circle", [[50, 40], [50, 70]]), imageHeight=60, imageWidth=100)
    rows, columns = np.mgrid[:60, :100] + 0.5
    distance = np.hypot(rows - 40, columns - 50)
    assert pixels(found)[distance < 29.2].all() and not pixels(found)[distance > 30.8].any()
    assert pixels(found)[:40].sum() == pytest.approx(np.pi * 30**2 / 2, rel=0.01)


def test_image(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, flags={"cat": True, "dog": False}))
    (image,) = table.images
    assert (image.name, image.shapes, image.tags, image.size) == ("a.jpg", (), frozenset({"cat"}), SIZE)
    assert (table.declared, table.dropped, image.where) == ((), {}, str(tmp_path / "a.json"))


def test_old_files_have_no_type_of_shape_and_no_flags(tmp_path: Path) -> None:
    old = {"label": "cat", "points": [[0, 0], [4, 0], [4, 4], [0, 4]]}
    (found,) = read(tmp_path, old, flags=None)
    np.testing.assert_array_equal(pixels(found), area((0, 0, 4, 4)))


NO_SIZE = {"imageHeight": None, "imageWidth": None}


def test_without_a_size_only_regions_are_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, shape("point", [[1, 1]]), **NO_SIZE)[0].kind == "point"
    for needy in (shape("polygon", TRIANGLE), mask_shape(np.ones((1, 1), bool), 0, 0)):
        (reason,) = read_table(write(tmp_path, needy, **NO_SIZE)).dropped.values()
        assert "a region needs 'imageHeight' and 'imageWidth'" in reason and "LabelMe" in reason


class TestBesideThePhotograph:
    """What the JSON does not say, or claims, of the photograph is looked up there."""

    def table(self, folder: Path, *shapes: object, **more: object) -> AnnotationTable:
        return read_table(write(folder, *shapes, **more), Surroundings(folder, folder))

    @pytest.fixture
    def folder(self, tmp_path: Path, write_image) -> Path:
        write_image(tmp_path / "a.jpg", *SIZE)
        return tmp_path

    def test_the_size_where_the_file_has_none(self, folder: Path) -> None:
        """As versions 2 and 3 wrote it: no version, type or size."""
        old = {"shapes": [{"label": "cat", "points": [[1, 2], [5, 2], [5, 4], [1, 4]], "line_color": None}]}
        (folder / "a.json").write_text(json.dumps({**old, "imagePath": "a.jpg", "imageData": None}))
        (image,) = read_table(folder / "a.json", Surroundings(folder, folder)).images
        np.testing.assert_array_equal(pixels(image.shapes[0]), area((2, 1, 4, 5)))
        assert image.size == SIZE and not image.dropped

    def test_a_size_that_is_not_that_of_the_photograph_makes_no_region(self, folder: Path) -> None:
        claim = {"imageHeight": 10_000, "imageWidth": 10_000}
        needy = (shape("polygon", TRIANGLE), mask_shape(np.ones((1, 1), bool), 0, 0), shape("circle", [[3, 3], [3, 4]]))
        (image,) = self.table(folder, *needy, shape("point", [[1, 1]]), **claim).images
        assert [one.kind for one in image.shapes] == ["point"] and image.size == (10_000, 10_000)
        assert len(image.dropped) == 3
        for entry in image.dropped.values():
            assert "labels are for 10000 x 10000" in entry.reason and entry.labels == {"cat"}

    def test_a_photograph_that_is_not_there_makes_no_region(self, folder: Path) -> None:
        for more in ({"imagePath": "gone.jpg"}, {"imagePath": "../a.jpg"}):
            (image,) = self.table(folder, shape("polygon", TRIANGLE), shape("point", [[1, 1]]), **more).images
            assert [one.kind for one in image.shapes] == ["point"] and len(image.dropped) == 1


def test_ignored(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        shape("rectangle", [[4, 3], [1, 0]], "__ignore__"),
        shape("polygon", [[0, 0], [8, 0], [8, 1], [0, 1]], "__ignore__"),
    )
    assert all(region.ignored and region.label == "__ignore__" for region in found)
    for region, expected in zip(found, (area((0, 1, 3, 4)), area((0, 0, 1, 8))), strict=True):
        np.testing.assert_array_equal(pixels(region), expected)
    assert "'point' cannot be ignored" in reason(tmp_path, shape("point", [[1, 1]], "__ignore__"))


def test_where_a_region_to_be_ignored_is_lost_the_rest_is_undecided(tmp_path: Path) -> None:
    square = [[0, 0], [2, 0], [2, 2], [0, 2]]
    for lost, below in (
        (shape("polygon", [[1, 2], [3, 4], "x"], "__ignore__"), [255]),
        (shape("mask", square[::2], "__ignore__"), [255]),
        (shape("cuboid", square, "__ignore__"), [255]),
        (shape("polygon", square, "__ignore__"), []),  # which is not lost
        (shape("point", [[1, 1]], "__ignore__"), []),  # which would have covered nothing
    ):
        (image,) = read_table(write(tmp_path, shape("polygon", square), lost)).images
        found = bind_image(image, Classes(("cat",)))
        whole = [region.class_id for region in found.drawn.regions if run_areas((region.runs,), region.size)[0] == 48]
        assert whole == below and found.tags == Tags(frozenset({1})), lost


def test_groups_are_one_region_at_the_place_of_the_first(tmp_path: Path) -> None:
    def square(left: int, label: str, group: object) -> Document:
        return shape("polygon", [[left, 0], [left + 1, 0], [left + 1, 1], [left, 1]], label, group_id=group)

    found = read(
        tmp_path,
        shape("rectangle", [[0, 0], [1, 1]], "cat", group_id=1),
        square(0, "cat", 1),
        square(1, "dog", 1),
        square(2, "cat", None),
        mask_shape(np.ones((2, 2), bool), 3, 3, group_id=1),
        square(4, "cat", 2),
        square(5, "cat", None),
        square(6, "cat", "1"),
    )
    assert [one.label for one in found] == ["cat", "cat", "dog", "cat", "cat", "cat", "cat"]
    expected = [area((0, 0, 1, 1), (3, 3, 5, 5)), *(area((0, left, 1, left + 1)) for left in (1, 2, 4, 5, 6))]
    for region, mask in zip(found[1:], expected, strict=True):
        np.testing.assert_array_equal(pixels(region), mask)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    crop=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=7)),
    top=st.integers(-3, 5),
    left=st.integers(-3, 7),
    mode=st.sampled_from(["L", "1", "P", "255"]),
)
def test_masks_survive(tmp_path: Path, crop: NDArray[np.bool_], top: int, left: int, mode: str) -> None:
    wide = np.zeros((30, 30), bool)
    wide[10 + top : 10 + top + crop.shape[0], 10 + left : 10 + left + crop.shape[1]] = crop
    buffer = io.BytesIO()
    written = Image.fromarray(crop.astype(np.uint8) * (255 if mode in ("1", "255") else 1))
    if mode == "P":
        written.putpalette([0, 0, 0, 9, 9, 9])
    (written.convert("1") if mode == "1" else written).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    found = read_table(write(tmp_path, mask_shape(crop, top, left, mask=text))).images[0].shapes
    expected = wide[10 : 10 + SIZE[0], 10 : 10 + SIZE[1]]
    assert bool(found) == expected.any()
    for region in found:
        np.testing.assert_array_equal(pixels(region), expected)


def test_mask_at_fractional_corners_keeps_its_own_size(tmp_path: Path) -> None:
    record = shape("mask", [[1.6, 0.4], [3.4, 2.5]], mask=png(np.ones((3, 2), np.uint8)))
    np.testing.assert_array_equal(pixels(read(tmp_path, record)[0]), area((0, 2, 3, 4)))


numbers = st.floats(-50, 50, width=32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(path=st.lists(st.tuples(numbers, numbers), min_size=2, max_size=6))
def test_positions_survive_also_outside(tmp_path: Path, path: list[tuple[float, float]]) -> None:
    points = [[column, row] for row, column in path]
    line, *clicks = read(tmp_path, shape("linestrip", points), shape("points", points))
    assert line.positions == tuple(path)
    assert [click.positions for click in clicks] == [(at,) for at in path]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (shape("cuboid", TRIANGLE), "shapes of type 'cuboid' are not known"),
        (shape("polygon", TRIANGLE[:2]), "a region needs at least 3 positions, got 2"),
        (shape("polygon", []), "a region needs at least 3 positions, got 0"),
        (shape("polygon", [[0, 0], [4, 0], [float("nan"), 4]]), "x nan, y 4.0 is not finite"),
        (shape("polygon", [[0, 0], [4, 0], [1, 10**400]]), "x 1.0, y inf is not finite"),
        (shape("polygon", [[0, 0], [4, 0], [0, -9]]), "reaches farther outside the image of 6 x 8 pixels"),
        (shape("polygon", [[1, 1], [3, 3], [2, 2]]), "covers no pixel of the image of 6 x 8 pixels"),
        (shape("polygon", [[9, 0], [12, 0], [12, 4]]), "covers no pixel"),
        (shape("rectangle", TRIANGLE), "'rectangle' has 2 or 4 points, got 3"),
        (shape("rectangle", [[1, 1], [4, 1]]), "a box of 0 x 3 pixels has no area"),
        (shape("rectangle", [[1, 1], [4, float("inf")]]), "y inf is not finite"),
        (shape("oriented_rectangle", TRIANGLE), "'oriented_rectangle' has 4 points, got 3"),
        (shape("circle", [[1, 1]]), "'circle' has 2 points, got 1"),
        (shape("circle", [[1, 1], [1, 1]]), "make no ellipse"),
        (shape("circle", [[1, 1], [1e200, 1e200]]), "reaches farther outside"),
        (shape("circle", [[1, 1], [1, float("nan")]]), "not finite"),
        (shape("line", [[1, 1]]), "a line needs at least 2 positions, got 1"),
        (shape("points", []), "a point needs at least 1 positions, got 0"),
        (shape("point", [[1, float("-inf")]]), "y -inf is not finite"),
        (shape("mask", [[0, 0]], mask=png(np.ones((1, 1), np.uint8))), "'mask' has 2 points, got 1"),
        (
            shape("mask", [[0, 0], [2, 2]], mask=png(np.ones((2, 2), np.uint8))),
            "2 x 2 pixels, but its corners span 3 x 3",
        ),
        (shape("mask", [[0, 0], [float("nan"), 2]], mask="x"), "are not finite"),
        (shape("mask", [[1e300, 0.5], [2, 2]], mask=png(np.ones((2, 2), np.uint8))), "covers no pixel"),
        (mask_shape(np.zeros((2, 2), bool), 0, 0), "covers no pixel"),
    ],
)
def test_unusable_shapes_are_left_out(tmp_path: Path, record: Document, message: str) -> None:
    assert message in reason(tmp_path, record)


def bomb(side: int) -> str:
    """Return a small PNG that says that it is large."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(10**6)))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")).decode()


def jpeg() -> str:
    buffer = io.BytesIO()
    Image.new("L", (3, 3), 255).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "'mask' must be text, got None"),
        (5, "'mask' must be text, got 5"),
        ("", "'mask' must be text"),
        ("%%%", "'mask' is no PNG in base64"),
        ("ü", "'mask' is no PNG in base64"),
        ("abcde", "'mask' is no PNG in base64"),
        (base64.b64encode(b"no image").decode(), "'mask' is no PNG in base64"),
        (png(np.ones((3, 3), np.uint8))[:60], "'mask' is no PNG in base64"),
        (png(np.ones((3, 3, 3), np.uint8)), "its mode is RGB, not one channel"),
        (bomb(12_000), "12000 x 12000 pixels: more than the limit"),
        (bomb(30_000), "'mask' is no PNG in base64 .*decompression bomb"),
        (bomb(2_000), "'mask' is no PNG in base64"),
        (jpeg(), "'mask' is no PNG in base64"),
    ],
)
def test_malformed_mask(tmp_path: Path, text: object, message: str) -> None:
    assert re.search(message, reason(tmp_path, shape("mask", [[0, 0], [2, 2]], mask=text)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": None}, r"'shapes' must be a list, got None"),
        ({"shapes": {}}, r"'shapes' must be a list"),
        ({"imagePath": None}, r"'imagePath' must be text, got None"),
        ({"imageHeight": None}, r"'imageHeight' must be an integer, got None"),
        ({"imageHeight": 6.5}, r"'imageHeight' must be an integer, got 6.5"),
        ({"imageHeight": True}, r"'imageHeight' must be an integer, got True"),
        ({"imageHeight": 0}, r"height 0 and width 8 must be at least 1"),
        ({"imageHeight": 10**12}, r"more than the limit of 100,000,000"),
    ],
)
def test_malformed(tmp_path: Path, changes: Document, message: str) -> None:
    with pytest.raises(DataError, match=r"a\.json: .*" + message):
        read_table(write(tmp_path, **changes))


@pytest.mark.parametrize(
    ("record", "message", "labels"),
    [
        ("cat", "a shape must be an object, got 'cat'", None),
        (shape("polygon", TRIANGLE, None), "'label' must be text, got None", None),
        (shape("polygon", TRIANGLE, " "), "'label' must be text", None),
        (shape("polygon", None), "'points' must be a list, got None", {"cat"}),
        (shape("polygon", [5]), "points[0] must be x and y, got 5", {"cat"}),
        (shape("polygon", [[1, 2, 3]]), "points[0] must be x and y", {"cat"}),
        (shape("polygon", [[1, "2"]]), "points[0] must be a number, got '2'", {"cat"}),
        (shape("polygon", [[1, True]]), "points[0] must be a number, got True", {"cat"}),
        (shape(5, TRIANGLE), "'shape_type' must be text, got 5", {"cat"}),
        (shape("polygon", TRIANGLE, group_id=[]), "'group_id' must be an integer, text or null", {"cat"}),
        (shape("polygon", TRIANGLE, group_id=True), "'group_id' must be an integer", {"cat"}),
        (shape("cuboid", TRIANGLE, "__ignore__"), "cannot be ignored", set()),
    ],
)
def test_malformed_shapes_are_left_out_with_their_class(
    tmp_path: Path, record: object, message: str, labels: set[str] | None
) -> None:
    (image,) = read_table(write(tmp_path, record, shape("point", [[1, 2]]))).images
    assert [found.kind for found in image.shapes] == ["point"]
    ((where, entry),) = image.dropped.items()
    assert where == f"{tmp_path / 'a.json'}: shapes[0]" and message in entry.reason and entry.labels == labels


def test_malformed_flags_are_left_out(tmp_path: Path) -> None:
    (image,) = read_table(write(tmp_path, flags={"cat": 1, "dog": True})).images
    ((where, entry),) = image.dropped.items()
    assert where.endswith("a.json: flag 'cat'") and entry.reason == "must be true or false, got 1; correct it"
    assert (image.tags, entry.labels, entry.certain) == ({"dog"}, {"cat"}, False)
    (image,) = read_table(write(tmp_path, flags=["cat"])).images
    assert [entry.labels for entry in image.dropped.values()] == [None]


def test_boxes_of_four_corners(tmp_path: Path) -> None:
    """As X-AnyLabeling writes them from 2.2 on; what is rotated becomes the upright box around it."""
    corners = [[1, 2], [5, 2], [5, 4], [1, 4]]
    turned = [[4, 1], [6, 2], [5, 4], [3, 3]]
    kinds = ("rectangle", "rotation", "oriented_rectangle")
    for kind in kinds:
        for points, box in ((corners, ((2, 1), (4, 5))), (turned, ((1, 3), (4, 6)))):
            (found,) = read(tmp_path, shape(kind, points, direction=0.3))
            assert (found.kind, found.positions) == ("box", box)
            (ignored,) = read(tmp_path, shape(kind, corners, "__ignore__"))
            np.testing.assert_array_equal(pixels(ignored), area((2, 1, 4, 5)))


@pytest.mark.parametrize("key", ["shapes", "imagePath", "imageWidth"])
def test_missing_key(tmp_path: Path, key: str) -> None:
    content = document()
    del content[key]
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"a\.json: '{key}' must be"):
        read_table(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"{", "malformed JSON"),
        (b"[]", "the content of a LabelMe file must be an object"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_000, "JSON cannot be used"),
        (b'{"shapes": [], "shapes": []}', "key 'shapes' appears twice"),
    ],
)
def test_hostile_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.json.*{message}"):
        read_table(tmp_path / "a.json")
    with pytest.raises(DataError, match=rf"a\.json.*{message}"):
        read_table(tmp_path)


@pytest.mark.parametrize("depth", [50, 900, 960, 990])
def test_deep_values_are_shown_cut(tmp_path: Path, depth: int) -> None:
    text = json.dumps(document(shape("polygon", TRIANGLE, group_id="DEEP")))
    (tmp_path / "a.json").write_text(text.replace('"DEEP"', "[" * depth + "]" * depth))
    try:
        (reason,) = read_table(tmp_path / "a.json").dropped.values()
    except DataError as error:
        reason = str(error)
    assert re.search("'group_id' must be|JSON cannot be used", reason) and len(reason) < 400


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json: no such LabelMe file"):
        read_table(tmp_path / "gone.json")


class TestFolder:
    def put(self, path: Path, image: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document(imagePath=image)))

    def test_names_are_relative_to_the_folder(self, tmp_path: Path) -> None:
        self.put(tmp_path / "labels/b.json", "..\\photos\\b.jpg")
        self.put(tmp_path / "labels/deep/a.json", "a.jpg")
        self.put(tmp_path / "c.json", "./photos/c.jpg")
        self.put(tmp_path / "d.json", "..\\d.jpg")
        self.put(tmp_path / "e.json", "C:\\photos\\e.jpg")
        self.put(tmp_path / ".hidden/f.json", "f.jpg")
        self.put(tmp_path / "._c.json", "g.jpg")
        table = read_table(tmp_path)
        assert [image.name for image in table.images] == [
            "photos/c.jpg",
            "../d.jpg",
            "e.jpg",
            "photos/b.jpg",
            "labels/deep/a.jpg",
        ]
        assert table.path == tmp_path and table.images[3].where == str(tmp_path / "labels/b.json")

    def test_absolute_paths_mean_the_file_beside_the_json(self, tmp_path: Path) -> None:
        for number, start in enumerate(("D:\\work\\", "/home/me/", "\\\\server\\share\\x\\", "C:", "c:/a/")):
            self.put(tmp_path / f"x/{number}.json", f"{start}{number}.jpg")
        assert [image.name for image in read_table(tmp_path).images] == [f"x/{n}.jpg" for n in range(5)]
        self.put(tmp_path / "x/0.json", "C:\\")
        assert "names no file" in read_table(tmp_path).skipped[str(tmp_path / "x/0.json")]

    def test_links_that_lead_outside_are_not_followed(self, tmp_path: Path) -> None:
        self.put(tmp_path / "outside.json", "a.jpg")
        self.put(tmp_path / "in/b.json", "b.jpg")
        (tmp_path / "in/a.json").symlink_to(tmp_path / "outside.json")
        for around in (None, Surroundings((tmp_path / "in").resolve(), tmp_path / "in")):
            table = read_table(tmp_path / "in", around)
            assert [image.name for image in table.images] == ["b.jpg"]
            ((where, reason),) = table.dropped.items()
            assert where.endswith("in/a.json") and "leads outside" in reason
        within = read_table(tmp_path / "in", Surroundings(tmp_path.resolve(), tmp_path / "in"))
        assert [image.name for image in within.images] == ["a.jpg", "b.jpg"]

    def test_a_malformed_file_leaves_the_others_alone(self, tmp_path: Path) -> None:
        self.put(tmp_path / "b.json", "b.jpg")
        for content in ("{", "[]", '{"images": []}'):
            (tmp_path / "a.json").write_text(content)
            table = read_table(tmp_path)
            assert [image.name for image in table.images] == ["b.jpg"]
            assert list(table.dropped) == [str(tmp_path / "a.json")]

    def test_names_are_relative_to_the_one_file(self, tmp_path: Path) -> None:
        self.put(tmp_path / "labels/b.json", "..\\photos\\b.jpg")
        assert read_table(tmp_path / "labels/b.json").images[0].name == "../photos/b.jpg"

    def test_two_files_of_one_photograph(self, tmp_path: Path) -> None:
        self.put(tmp_path / "a.json", "x.jpg")
        self.put(tmp_path / "b.json", "x.jpg")
        (image,) = read_table(tmp_path).images
        ((where, entry),) = image.dropped.items()
        assert where.endswith("b.json") and entry.reason.startswith("image 'x.jpg' is already at ")

    def test_empty(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"holds no JSON file; give the folder"):
            read_table(tmp_path)
