import base64
import dataclasses
import io
import json
import re
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
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats import labelstudio_values
from weakseg.data.formats.brush import mask_of_brush
from weakseg.data.formats.labelstudio import image_name, read_table
from weakseg.data.formats.shapes import Unusable
from weakseg.data.regions import mask_of_runs
from weakseg.errors import DataError

Document = dict[str, Any]
SIZE = (5, 8)
WIDTHS = (3, 4, 8, 16)


def encode_brush(elements: NDArray[np.uint8], widths: tuple[int, ...] = WIDTHS, literal: int = 0) -> bytes:
    """Write elements as runs, the slow and obvious way: those shorter than ``literal`` are written out."""
    text = f"{elements.size:032b}{8 - 1:05b}" + "".join(f"{width - 1:04b}" for width in widths)

    def head(repeated: bool, length: int) -> str:
        choice = next(number for number, width in enumerate(widths) if length <= 2**width)
        return f"{repeated:b}{choice:02b}{length - 1:0{widths[choice]}b}"

    changes = np.flatnonzero(np.diff(elements)) + 1
    for run in np.split(elements, changes):
        for start in range(0, run.size, 2 ** max(widths)):
            part = run[start : start + 2 ** max(widths)]
            repeated = part.size >= literal
            values = part[:1] if repeated else part
            text += head(repeated, part.size) + "".join(f"{value:08b}" for value in values)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[start : start + 8], 2) for start in range(0, len(text), 8))


def rgba(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a red stroke whose pixels outside the mask are less than half opaque."""
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    pixels[mask, 0] = 200
    pixels[..., 3] = np.where(mask, 128, 127)
    return pixels.ravel()


def item(kind: str, value: object, **more: object) -> Document:
    size = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0}
    return {"id": "x", "type": kind, "from_name": "f", "to_name": "image", "value": value, **size, **more}


def rectangle(x: object, y: object, width: object, height: object, label: object = "cat", **more: object) -> Document:
    return item(
        "rectanglelabels", {"x": x, "y": y, "width": width, "height": height, "rectanglelabels": [label], **more}
    )


def keypoint(x: object = 25, y: object = 40) -> Document:
    return item("keypointlabels", {"x": x, "y": y, "width": 0.5, "keypointlabels": ["cat"]})


def polygon(points: object) -> Document:
    return item("polygonlabels", {"points": points, "closed": True, "polygonlabels": ["cat"]})


def ellipse(**more: object) -> Document:
    value = {"x": 50, "y": 50, "radiusX": 50, "radiusY": 50, "rotation": 0, "ellipselabels": ["cat"], **more}
    return item("ellipselabels", value)


def brush(stream: object, **more: object) -> Document:
    rle = list(stream) if isinstance(stream, bytes) else stream
    return item("brushlabels", {"format": "rle", "rle": rle, "brushlabels": ["cat"], **more})


def png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def bitmask(address: str) -> Document:
    return item("bitmasklabels", {"imageDataURL": address, "bitmasklabels": ["cat"]})


def choices(*names: object, **more: object) -> Document:
    return item("choices", {"choices": list(names), **more}, original_width=None, original_height=None)


def task(*results: object, **more: object) -> Document:
    annotation = {"id": 1, "result": list(results), "was_cancelled": False}
    return {"id": 7, "data": {"image": "a.jpg"}, "annotations": [annotation], "predictions": [{"result": [5]}], **more}


def write(folder: Path, tasks: object) -> Path:
    path = folder / "tasks.json"
    path.write_text(json.dumps(tasks))
    return path


def read(folder: Path, *tasks: object) -> AnnotationTable:
    return read_table(write(folder, list(tasks)))


def shapes(folder: Path, *results: object) -> tuple[Shape, ...]:
    table = read(folder, task(*results))
    assert table.dropped == {}
    return table.images[0].shapes


def pixels(found: Shape) -> NDArray[np.bool_]:
    assert found.kind == "region" and found.size is not None and found.positions == ()
    return mask_of_runs(found.runs, found.size)


def test_every_kind(tmp_path: Path) -> None:
    painted = np.zeros(SIZE, bool)
    painted[1:4, 2:6] = True
    painted[2, 3] = False
    found = shapes(
        tmp_path,
        rectangle(12.5, 20, 50, 40, "dog", rotation=0),
        keypoint(),
        polygon([[25, 20], [75, 20], [75, 60], [25, 60]]),
        brush(encode_brush(rgba(painted))),
    )
    where = f"{tmp_path / 'tasks.json'}: tasks[0]: annotations[0]: result"
    assert found[:2] == (
        Shape("box", "dog", ((1.0, 1.0), (3.0, 5.0)), f"{where}[0]"),
        Shape("point", "cat", ((2.0, 2.0),), f"{where}[1]"),
    )
    outlined = np.zeros(SIZE, bool)
    outlined[1:3, 2:6] = True
    np.testing.assert_array_equal(pixels(found[2]), outlined)
    np.testing.assert_array_equal(pixels(found[3]), painted)
    assert found[3].label == "cat" and found[3].where == f"{where}[3]"


def test_image(tmp_path: Path) -> None:
    table = read(tmp_path, task(choices("cat", "dog"), keypoint(), choices("bird")), task(data={"image": "b/c.png"}))
    first, second = table.images
    assert (first.name, first.size, first.tags) == ("a.jpg", SIZE, frozenset({"cat", "dog", "bird"}))
    assert (second.name, second.size, second.tags, second.shapes) == ("b/c.png", None, frozenset(), ())
    assert (table.declared, table.dropped, second.where) == ((), {}, f"{tmp_path / 'tasks.json'}: tasks[1]")


@pytest.mark.parametrize(
    ("degrees", "corners"),
    [
        (0, ((10, 20), (30, 50))),
        (None, ((10, 20), (30, 50))),
        (90, ((10, 0), (40, 20))),
        (180, ((-10, -10), (10, 20))),
        (270, ((-20, 20), (10, 40))),
        (30, ((10, 10), (10 + 15 + 10 * 3**0.5, 20 + 15 * 3**0.5))),
    ],
)
def test_rectangles_turn_clockwise_about_their_top_left_corner(
    tmp_path: Path, degrees: object, corners: object
) -> None:
    turned = {
        **rectangle(10, 20, 15, 40, rotation=degrees),
        "original_width": 200,
        "original_height": 50,
    }  # 30 x 20 pixels
    (found,) = shapes(tmp_path, turned)
    np.testing.assert_allclose(found.positions, corners, atol=1e-12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(degrees=st.floats(-720, 720, width=32))
def test_the_upright_box_holds_the_turned_rectangle_and_touches_it(tmp_path: Path, degrees: float) -> None:
    (found,) = shapes(tmp_path, {**rectangle(10, 20, 15, 40, rotation=degrees), "original_width": 200})  # 5 rows
    corners = (20 + 1j) + np.array([0, 30, 2j, 30 + 2j]) * np.exp(1j * np.radians(degrees))  # x + yi
    expected = (corners.imag.min(), corners.real.min()), (corners.imag.max(), corners.real.max())
    np.testing.assert_allclose(found.positions, expected, atol=1e-9)


def drawn_ellipse(folder: Path, **value: object) -> NDArray[np.bool_]:
    """Return an ellipse on 140 rows of 160 pixels."""
    (found,) = shapes(folder, {**ellipse(x=50, y=52, **value), "original_width": 160, "original_height": 140})
    return pixels(found)


@pytest.mark.parametrize("degrees", [None, 0, 30, 90, 285.5])
def test_ellipses_turn_clockwise_about_their_centre(tmp_path: Path, degrees: float | None) -> None:
    """The radii are shares of the width and of the height: 60 and 25 pixels."""
    found = drawn_ellipse(tmp_path, radiusX=60 / 1.6, radiusY=25 / 1.4, rotation=degrees)
    assert found.sum() == pytest.approx(np.pi * 60 * 25, rel=0.01)
    down, right = (axis + 0.5 - middle for axis, middle in zip(np.mgrid[:140, :160], (72.8, 80), strict=True))
    sine, cosine = np.sin(np.radians(degrees or 0)), np.cos(np.radians(degrees or 0))
    level = np.hypot((right * cosine + down * sine) / 60, (down * cosine - right * sine) / 25)
    assert found[level < 0.96].all() and not found[level > 1.04].any()


def test_a_right_angle_swaps_the_radii_of_an_ellipse(tmp_path: Path) -> None:
    turned = drawn_ellipse(tmp_path, radiusX=60 / 1.6, radiusY=25 / 1.4, rotation=90)
    np.testing.assert_array_equal(turned, drawn_ellipse(tmp_path, radiusX=25 / 1.6, radiusY=60 / 1.4))


def test_only_the_first_completed_annotation_counts(tmp_path: Path) -> None:
    def annotation(label: str, **more: object) -> Document:
        return {"result": [rectangle(0, 0, 50, 50, label)], **more}

    annotations = [annotation("a", was_cancelled=True), annotation("b"), annotation("c", was_cancelled=False)]
    table = read(tmp_path, task(annotations=annotations))
    where = f"{tmp_path / 'tasks.json'}: tasks[0]: annotations"
    assert [shape.label for shape in table.images[0].shapes] == ["b"]
    assert table.dropped == {
        f"{where}[0]": "it was cancelled",
        f"{where}[2]": "an annotation of the same photograph before it counts",
    }


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        (task(annotations=[]), "nobody has completed an annotation of it"),
        (task(annotations=[{"result": [], "was_cancelled": True}]), "nobody has completed"),
        (task({**keypoint(), "image_rotation": 90}), "the photograph was rotated by 90 degrees"),
        (task(data={"image": "data:image/png;base64,AAAA"}), "written into the task"),
    ],
)
def test_tasks_that_are_left_out(tmp_path: Path, left_out: Document, reason: str) -> None:
    table = read(tmp_path, left_out, task(keypoint(), data={"image": "b.jpg"}))
    assert [image.name for image in table.images] == ["b.jpg"]
    assert reason in table.dropped[f"{tmp_path / 'tasks.json'}: tasks[0]"]
    with pytest.raises(DataError, match=rf"tasks\.json: no task can be used: .*{reason}|no task can be used: it was"):
        read(tmp_path, left_out)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (item("ellipse", {}), "it has 0 labels, not one"),
        (item("labels", {"x": 1, "labels": []}, id="y"), "it has 0 labels, not one"),
        (item("labels", {"labels": ["cat"]}, id="y"), "its labels belong to no shape"),
        (item("vectorlabels", {"vertices": []}), "results of type 'vectorlabels' are not known"),
        (ellipse(radiusX=0), "radii of 0 x 2.5 pixels make no ellipse: both must be above 0"),
        (ellipse(radiusY=-20), "radii of 4 x -1 pixels make no ellipse"),
        (ellipse(y=float("nan")), "x 4.0, y nan is not finite"),
        (ellipse(radiusX=10**400), "is not finite"),
        (ellipse(rotation=float("nan")), "its rotation is nan"),
        (ellipse(radiusX=1e6), "reaches farther outside the image of 5 x 8 pixels"),
        (ellipse(x=-60, radiusX=20), "covers no pixel"),
        ({"type": "relation", "from_id": "a", "to_id": "b"}, "results of type 'relation' are not known"),
        ({"type": "keypointlabels", "value": keypoint()["value"]}, "has no original_width and original_height"),
        (choices("big", x=1, y=2, width=3, height=4), "a choice for one shape"),
        (item("rectanglelabels", {"x": 0, "y": 0, "width": 5, "height": 5}), "has 0 labels, not one"),
        (item("keypointlabels", {"x": 0, "y": 0, "keypointlabels": ["cat", "dog"]}), "has 2 labels, not one"),
        (rectangle(0, 0, 0, 5), "a box of 0.25 x 0 pixels has no area"),
        (rectangle(0, 0, float("nan"), 5), "is not finite"),
        (rectangle(0, 0, 5, 5, rotation=float("inf")), "its rotation is inf"),
        (rectangle(0, 0, 10**400, 5), "is not finite"),
        (keypoint(float("-inf")), "x -inf, y 2.0 is not finite"),
        (keypoint(1e308), "is not finite"),
        (polygon([[0, 0], [9, 9]]), "a region needs at least 3 positions, got 2"),
        (polygon([[0, 0], [9, 9], [float("nan"), 1]]), "is not finite"),
        (polygon([[0, 0], [9, 9], [1, 1e6]]), "reaches farther outside the image of 5 x 8 pixels"),
        (polygon([[0, 0], [9, 9], [18, 18]]), "covers no pixel"),
        (brush(encode_brush(rgba(np.zeros(SIZE, bool)))), "covers no pixel"),
        (brush(b"", format="png"), "brush strokes in the format 'png' are not known"),
    ],
)
def test_unusable_results_are_left_out(tmp_path: Path, wrong: Document, message: str) -> None:
    table = read(tmp_path, task(wrong, keypoint()))
    assert [found.kind for found in table.images[0].shapes] == ["point"] and not table.images[0].tags
    ((where, reason),) = table.dropped.items()
    assert where == f"{tmp_path / 'tasks.json'}: tasks[0]: annotations[0]: result[0]"
    assert message in reason


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (item(None, {}), r"result\[1\]: 'type' must be text, got None"),
        (item("keypointlabels", [1]), r"'value' must be an object, got a list of 1"),
        (item("keypointlabels", {"x": 1, "y": 1, "keypointlabels": [5]}), r"a label must be text, got 5"),
        (keypoint("left"), r"'x' must be a number, got 'left'"),
        (keypoint(None), r"'x' must be a number, got None"),
        (rectangle(0, 0, 5, None), r"'height' must be a number, got None"),
        (rectangle(0, 0, 5, 5, rotation="up"), r"'rotation' must be a number, got 'up'"),
        (ellipse(radiusY=None), r"'radiusY' must be a number, got None"),
        (ellipse(x="left"), r"'x' must be a number, got 'left'"),
        (ellipse(rotation="up"), r"'rotation' must be a number, got 'up'"),
        (polygon(None), r"'points' must be a list, got None"),
        (polygon([[1]]), r"points\[0\] must be x and y, got a list of 1"),
        (brush(None), r"'rle' must be a list, got None"),
        (brush([0, 256]), r"'rle' must be numbers from 0 to 255"),
        (brush([0, -1]), r"'rle' must be numbers from 0 to 255"),
        (brush([0, 1.5]), r"'rle' must be numbers from 0 to 255"),
        (brush(["a"]), r"'rle' must be numbers from 0 to 255"),
        (brush([]), r"'rle' is cut off after 0 bytes"),
        ("cat", r"a result must be an object, got 'cat'"),
        (item("choices", None), r"'value' must be an object, got None"),
        (item("choices", {"choices": "cat"}), r"'choices' must be a list, got 'cat'"),
        (choices(5), r"a choice must be text, got 5"),
        ({**keypoint(), "original_width": "8"}, r"'original_width' must be an integer, got '8'"),
        ({**keypoint(), "original_width": None}, r"'original_width' must be an integer, got None"),
        ({**keypoint(), "original_width": 0}, r"height 5 and width 0 must be at least 1"),
        ({**keypoint(), "original_width": 10**9}, r"more than the limit of 100,000,000"),
        ({**keypoint(), "original_width": 9}, r"the photograph has \(5, 9\) pixels, but \(5, 8\) in results before"),
        ({**keypoint(), "image_rotation": "no"}, r"'image_rotation' must be a number, got 'no'"),
        (bitmask("a"), r"'imageDataURL' must be a PNG in base64, got 'a'"),
        (bitmask("data:image/png;base64,!"), r"'imageDataURL' is no PNG in base64"),
        (bitmask("data:image/png;base64,AAAA"), r"'imageDataURL': cannot be read as an image"),
        (bitmask(png(Image.new("L", (8, 6)))), r"its bitmask has 6 x 8 pixels, but the photograph 5 x 8"),
    ],
)
def test_malformed_results_are_left_out(tmp_path: Path, wrong: object, message: str) -> None:
    image = read(tmp_path, task(keypoint(), wrong)).images[0]
    assert [found.kind for found in image.shapes] == ["point"]
    ((where, entry),) = image.dropped.items()
    assert where.endswith("tasks[0]: annotations[0]: result[1]") and re.search(
        message.rpartition("]: ")[2], entry.reason
    )


@pytest.mark.parametrize(
    ("tasks", "message"), [({}, "expected a list of tasks, got an object"), ([], "lists no images")]
)
def test_no_tasks(tmp_path: Path, tasks: object, message: str) -> None:
    with pytest.raises(DataError, match=rf"tasks\.json: {message}"):
        read_table(write(tmp_path, tasks))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (5, "a task must be an object, got 5"),
        ({"id": 1, "image": "a.jpg", "label": []}, "has no 'data' or no 'annotations'; export from"),
        ({"image": "a.jpg", "label": "cat"}, "has no 'data' or no 'annotations'; export from"),
        (task(data="a.jpg"), "'data' must be an object, got 'a.jpg'"),
        (task(data={}), "'image' is missing, and 0 of its data () are photographs, not one"),
        (task(data={"x": "a.jpg", "y": "b.png"}), "'image' is missing, and 2 of its data ('x', 'y') are photographs"),
        (task(data={"text": "hello"}), "'image' is missing, and 0 of its data ('text') are photographs"),
        (task(data={"image": ["a.jpg"]}), "'image' must be text"),
        (task(annotations={}), "'annotations' must be a list"),
        (task(annotations=[5]), "annotations[0]: an annotation must be an object, got 5"),
        (task(annotations=[{}]), "annotations[0]: 'result' must be a list, got None"),
    ],
)
def test_malformed_tasks_are_left_out(tmp_path: Path, wrong: object, message: str) -> None:
    table = read(tmp_path, wrong, task(data={"image": "b.jpg"}))
    assert [image.name for image in table.images] == ["b.jpg"]
    assert message in table.skipped[f"{tmp_path / 'tasks.json'}: tasks[0]"]
    with pytest.raises(DataError, match=r"no task can be used: " + re.escape(message)):
        read(tmp_path, wrong)


def test_what_a_repeated_task_shows_is_left_open(tmp_path: Path) -> None:
    (image,) = read(tmp_path, task(), task(choices("dog"))).images
    ((where, entry),) = image.dropped.items()
    assert where.endswith("tasks[1]") and entry.labels == {"dog"} and not entry.certain


@pytest.mark.parametrize(
    "data", [{"img": "a.jpg"}, {"photo": "/data/upload/3/0a1b2c3d-a.jpg", "id": "5", "note": "a b"}]
)
def test_any_key_of_the_photograph(tmp_path: Path, data: Document) -> None:
    assert read(tmp_path, task(keypoint(), data=data)).images[0].name == "a.jpg"


PLAIN = {
    "rectangle": {"x": 12.5, "y": 20, "width": 50, "height": 40, "rotation": 0},
    "keypoint": {"x": 25, "y": 40, "width": 0.5},
    "polygon": {"points": [[25, 20], [75, 20], [75, 60], [25, 60]]},
    "ellipse": {"x": 50, "y": 50, "radiusX": 50, "radiusY": 50},
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("typed", [True, False])
def test_labels_in_a_result_of_their_own(tmp_path: Path, kind: str, typed: bool) -> None:
    """As a project with <Rectangle> and <Labels> writes it; some versions leave the type of the labels out."""
    (expected,) = shapes(tmp_path, item(f"{kind}labels", {**PLAIN[kind], f"{kind}labels": ["cat"]}))
    labels = item("labels", {**PLAIN[kind], "labels": ["cat"]})
    if not typed:
        del labels["type"]
    for results in ((item(kind, PLAIN[kind]), labels), (labels, item(kind, PLAIN[kind]))):
        (found,) = shapes(tmp_path, *results)
        assert dataclasses.replace(found, where="") == dataclasses.replace(expected, where="")
    (alone,) = shapes(tmp_path, labels)
    assert dataclasses.replace(alone, where="") == dataclasses.replace(expected, where="")


def test_several_shapes_with_labels_of_their_own(tmp_path: Path) -> None:
    results = [
        item(kind, {**PLAIN["rectangle"], **label}, id=number)
        for number, name in (("1", "cat"), ("2", "dog"))
        for kind, label in (("rectangle", {}), ("labels", {"labels": [name]}))
    ]
    assert [found.label for found in shapes(tmp_path, *results)] == ["cat", "dog"]


def test_a_shape_without_labels_may_be_of_any_class(tmp_path: Path) -> None:
    image = read(tmp_path, task(item("rectangle", PLAIN["rectangle"]), {"type": "relation"})).images[0]
    assert [entry.labels for entry in image.dropped.values()] == [None, frozenset()]


class TestMin:
    """The export "JSON-MIN"."""

    def task(self, **more: object) -> Document:
        return {"image": "/data/upload/1/0a1b2c3d-a.jpg", "id": 1, "annotator": 1, "lead_time": 2.5, **more}

    @pytest.mark.parametrize("kind", PLAIN)
    def test_shapes(self, tmp_path: Path, kind: str) -> None:
        size = {"original_width": SIZE[1], "original_height": SIZE[0]}
        (expected,) = shapes(tmp_path, item(f"{kind}labels", {**PLAIN[kind], f"{kind}labels": ["cat"]}))
        own = self.task(label=[{**PLAIN[kind], f"{kind}labels": ["cat"], **size}])
        apart = self.task(shape=[{**PLAIN[kind], **size}], label=[{**PLAIN[kind], "labels": ["cat"], **size}])
        for one in (own, apart):
            (image,) = read(tmp_path, one).images
            (found,) = image.shapes
            assert (image.name, image.size, image.dropped) == ("a.jpg", SIZE, {})
            assert dataclasses.replace(found, where="") == dataclasses.replace(expected, where="")

    def test_choices(self, tmp_path: Path) -> None:
        tasks = [
            self.task(choice="cat"),
            self.task(image="b.jpg", animal={"choices": ["cat", "dog"]}),
            self.task(image="c.jpg"),
        ]
        found = read(tmp_path, *tasks).images
        assert [image.tags for image in found] == [{"cat"}, {"cat", "dog"}, set()]

    def test_malformed_entries(self, tmp_path: Path) -> None:
        (image,) = read(tmp_path, self.task(label=[{"x": "left", "y": 1, "keypointlabels": ["cat"]}, 5])).images
        assert {entry.labels for entry in image.dropped.values()} == {frozenset({"cat"}), None}


class TestBitmask:
    @pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "1", "P"])
    def test_painted_pixels(self, tmp_path: Path, mode: str) -> None:
        painted = np.zeros(SIZE, bool)
        painted[1:4, 2:6], painted[2, 3] = True, False
        if mode in ("RGBA", "LA"):
            image = Image.fromarray(rgba(painted).reshape(*SIZE, 4)).convert(mode)
        else:
            image = Image.fromarray(painted.astype(np.uint8) * np.uint8(255)).convert(mode)
        (found,) = shapes(tmp_path, bitmask(png(image)))
        np.testing.assert_array_equal(pixels(found), painted)


@pytest.mark.parametrize("size", [(5000, 10_000), (10, 8)])
def test_nothing_is_rastered_for_a_size_that_is_not_the_photographs(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mask_of_brush", "region_inside", "region_of"):
        monkeypatch.setattr(labelstudio_values, name, lambda *_, **__: pytest.fail("rastered"))
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.jpg")
    results = [
        rectangle(0, 0, 50, 50),
        brush(encode_brush(rgba(np.ones(SIZE, bool)))),
        polygon(PLAIN["polygon"]["points"]),
    ]
    claims = {"original_height": size[0], "original_width": size[1]}
    write(tmp_path, [task(*({**one, **claims} for one in results))])
    dataset = open_dataset(DataConfig(root=str(tmp_path), format="labelstudio", train="tasks.json"))
    (sample,) = dataset.splits["train"]
    assert len(sample.drawn.boxes) == 1 and sample.tags.present == {1}
    assert len(dataset.dropped) == 2 and all("the photograph is 5 x 8" in reason for reason in dataset.dropped.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"[", "malformed JSON"),
        (b"\xff\xfe[]", "not UTF-8"),
        (b"[" * 100_000, "JSON cannot be used"),
    ],
)
def test_hostile_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "tasks.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"tasks\.json.*{message}"):
        read_table(tmp_path / "tasks.json")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("a.jpg", "a.jpg"),
        ("photos/a b#1.jpg", "photos/a b#1.jpg"),
        ("https://example.org/x/a%20b.jpg?size=5#top", "a b.jpg"),
        ("s3://bucket/key/a#1.jpg", "a#1.jpg"),
        ("/home/me/a.jpg", "a.jpg"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        ("/data/upload/12/0a1b2c3d-cat-dog.jpg", "cat-dog.jpg"),
        ("http://localhost:8080/data/upload/12/0a1b2c3d-a.jpg", "a.jpg"),
        ("/data/upload/cat.jpg", "cat.jpg"),
        ("/data/upload/1/ABCDEFGH-a.jpg", "ABCDEFGH-a.jpg"),
        ("/data/local-files/?d=set/photos/a%20b.jpg", "set/photos/a b.jpg"),
        ("/label-studio/data/local-files/?d=/set%2Fa.jpg", "set/a.jpg"),
        ("http://localhost:8080/data/local-files?d=set%5Ca.jpg", "set/a.jpg"),
    ],
)
def test_names(address: str, name: str) -> None:
    assert image_name(address, "x") == name


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://[bad/a.jpg", r"x: 'image' 'http://\[bad/a\.jpg' is no address"),
        ("https://example.org/", "x: the file name in 'image' 'https://example.org/' must be text, got ''"),
        ("/data/local-files/?e=a.jpg", "x: the file name in 'image'"),
    ],
)
def test_addresses_without_a_name(address: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        image_name(address, "x")


def test_photograph_within_its_task() -> None:
    with pytest.raises(Unusable, match="written into the task"):
        image_name("data:image/png;base64,AAAA", "x")


class TestBrush:
    def test_by_hand(self) -> None:
        # 1 x 2 pixels: a run of 2 elements "9" written once, then six written out; widths 1, 2, 3, 4
        bits = f"{8:032b}" + "00111" + "0000" + "0001" + "0010" + "0011"
        bits += "1" + "00" + "1" + f"{9:08b}"
        bits += "0" + "10" + "101" + "".join(f"{value:08b}" for value in (0, 128, 1, 2, 3, 127))
        bits += "0" * (-len(bits) % 8)
        stream = int(bits, 2).to_bytes(len(bits) // 8, "big")
        np.testing.assert_array_equal(mask_of_brush(stream, (1, 2), "x"), [[True, False]])

    @settings(deadline=None, max_examples=60)
    @given(
        elements=array_shapes(min_dims=2, max_dims=2, max_side=9).flatmap(
            lambda size: arrays(np.uint8, (*size, 4), elements=st.sampled_from([0, 1, 127, 128, 255]))
        ),
        widths=st.tuples(*[st.integers(1, 16)] * 3, st.integers(1, 16)).map(lambda w: tuple(sorted(w))),
        literal=st.sampled_from([0, 3, 10**6]),
    )
    def test_any_runs(self, elements: NDArray[np.uint8], widths: tuple[int, ...], literal: int) -> None:
        stream = encode_brush(elements.ravel(), widths, literal)
        found = mask_of_brush(stream, elements.shape[:2], "x")
        np.testing.assert_array_equal(found, elements[..., 3] >= 128)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
    @given(mask=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9)))
    def test_masks_with_holes_survive(self, tmp_path: Path, mask: NDArray[np.bool_]) -> None:
        size = {"original_height": mask.shape[0], "original_width": mask.shape[1]}
        table = read(tmp_path, task({**brush(encode_brush(rgba(mask))), **size}))
        assert len(table.images[0].shapes) == mask.any()
        for region in table.images[0].shapes:
            np.testing.assert_array_equal(pixels(region), mask)

    def test_every_truncation_is_refused(self) -> None:
        stream = encode_brush(np.arange(4 * 40, dtype=np.uint8))
        mask_of_brush(stream, SIZE, "x")
        mask_of_brush(stream + b"\xff\xff", SIZE, "x")  # what follows the elements is padding
        for length in range(len(stream)):
            with pytest.raises(DataError, match=f"x: 'rle' is cut off after {length} bytes"):
                mask_of_brush(stream[:length], SIZE, "x")

    @pytest.mark.parametrize(
        ("bits", "message"),
        [
            (f"{160:032b}" + "01111" + "0" * 99, "elements of 16 bits, not 8"),
            (f"{161:032b}" + "00111" + "0" * 99, "161 elements, but 5 x 8 pixels have 160"),
            (f"{2**32 - 1:032b}" + "00111" + "0" * 99, "4294967295 elements, but 5 x 8"),
            (f"{160:032b}" + "00111" + "1111" * 4 + "100" + "1" * 16 + "0" * 8, "goes on after its 160 elements"),
            (f"{160:032b}" + "00111" + "1111" * 4 + "000" + f"{159:016b}" + "0" * 8, "is cut off after 10 bytes"),
        ],
    )
    def test_malformed(self, bits: str, message: str) -> None:
        bits += "0" * (-len(bits) % 8)
        with pytest.raises(DataError, match=f"x: 'rle' .*{message}"):
            mask_of_brush(int(bits, 2).to_bytes(len(bits) // 8, "big"), SIZE, "x")

    def test_absurd_size(self) -> None:
        with pytest.raises(DataError, match="x: 20000 x 20000 pixels: more than the limit"):
            mask_of_brush(b"", (20_000, 20_000), "x")
