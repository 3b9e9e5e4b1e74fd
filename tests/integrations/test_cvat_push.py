"""``weakseg cvat push`` against a server of this machine, by the real cvat-sdk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cvat_sdk.masks import decode_mask
from numpy.typing import NDArray

from cvat_server import FakeTask
from generated import CLASSES, draw
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.regions import runs_of_polygons
from weakseg.instances import SUFFIX, Instances
from weakseg.integrations.cvat import push as push_module
from weakseg.ops.runs import decode_runs

Capture = pytest.CaptureFixture[str]
SIZE = (48, 64)
pytestmark = pytest.mark.usefixtures("host")


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Masks of the four photographs; their folder knows nothing of CVAT's."""
    for index in range(4):
        LabelMap(draw(index)[1]).save(tmp_path / f"masks/i{index:02}.png")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    return tmp_path / "masks"


def push(source: Path, *words: str) -> int:
    return main(["cvat", "push", "12", str(source), "--classes", str(source.parent / "classes.txt"), *words])


def on_server(task: FakeTask, frame: int) -> NDArray[np.uint8]:
    """Return the mask that the shapes of a program make on a frame, as CVAT itself decodes them."""
    labels = np.zeros(SIZE, np.uint8)
    for shape in (shape for shape in task.shapes if shape["frame"] == frame and shape["source"] == "auto"):
        class_id = 1 + list(task.label_ids.values()).index(shape["label_id"])
        labels[pixels(shape)] = class_id
    return labels


def pixels(shape: dict[str, Any]) -> NDArray[np.bool_]:
    points = shape["points"]
    if shape["type"] == "mask":
        return decode_mask(points, image_width=SIZE[1], image_height=SIZE[0])
    places = list(zip(points[1::2], points[::2], strict=True))
    return decode_runs([runs_of_polygons([places], SIZE, "polygon")], SIZE)[0]


@pytest.mark.parametrize("more", [(), ("--polygons",)])
def test_masks_arrive_bit_for_bit(more: tuple[str, ...], masks: Path, task: FakeTask, capsys: Capture) -> None:
    assert push(masks, *more) == 0
    for index in range(4):
        np.testing.assert_array_equal(on_server(task, index), draw(index)[1])
    assert {shape["type"] for shape in task.shapes} == {"polygon" if more else "mask"}
    assert "sent: 4 " in capsys.readouterr().out
    assert [path for _, path in task.written()] == ["/api/tasks/12/annotations/?action=create"]


def test_what_is_there_stays_unless_it_is_to_be_replaced(masks: Path, task: FakeTask, capsys: Capture) -> None:
    task.draw("rectangle", "disc", 1, [8.0, 10.0, 30.0, 40.0])
    task.draw("mask", "disc", 3, [0.0, 4.0, 0.0, 0.0, 1.0, 1.0])
    assert push(masks) == 0 and len(task.shapes) == 6
    assert "2 shapes that are there stay" in capsys.readouterr().out
    assert push(masks, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "4 of them come from a program: --replace auto takes these away" in said and len(task.shapes) == 6
    assert push(masks, "--replace", "auto") == 0
    assert "4 older shapes are replaced" in capsys.readouterr().out
    assert [shape["source"] for shape in task.shapes] == ["manual"] * 2 + ["auto"] * 4
    for index in range(4):
        np.testing.assert_array_equal(on_server(task, index), draw(index)[1])
    task.draw("rectangle", "disc", 0, [8.0, 10.0, 30.0, 40.0])
    (masks / "i00.png").unlink()
    assert push(masks, "--replace", "all") == 0
    assert sorted(shape["frame"] for shape in task.shapes) == [0, 1, 2, 3, 3]  # frame 0 got nothing, and keeps its box
    assert [shape["type"] for shape in task.shapes if shape["source"] == "manual"] == ["rectangle"]


def test_a_dry_run_sends_nothing(masks: Path, task: FakeTask, capsys: Capture) -> None:
    assert push(masks, "--dry-run") == 0
    assert "would be sent: 4 masks on 4 frames of task 12 'cats'" in capsys.readouterr().out
    assert task.written() == [] and task.shapes == []


def test_several_requests(masks: Path, task: FakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_module, "MOST_FRAMES", 3)
    assert push(masks) == 0
    assert len(task.written()) == 2
    for index in range(4):
        np.testing.assert_array_equal(on_server(task, index), draw(index)[1])


def test_objects_with_their_scores(tmp_path: Path, masks: Path, task: FakeTask, capsys: Capture) -> None:
    found = np.zeros((2, *SIZE), np.bool_)
    found[0, 4:20, 4:20] = found[1, 10:30, 10:30] = True
    Instances.of(found, [1, 1], scores=[0.9, 0.25]).save(tmp_path / f"found/i03{SUFFIX}")
    assert push(tmp_path / "found") == 0
    assert [(shape["score"], shape["z_order"]) for shape in task.shapes] == [(0.25, 0), (0.9, 1)]
    for shape, mask in zip(task.shapes, found[::-1], strict=True):
        np.testing.assert_array_equal(pixels(shape), mask)
    assert push(tmp_path / "found", "--score", "0.5", "--replace", "auto") == 0
    assert [shape["score"] for shape in task.shapes] == [0.9]


def test_undecided_pixels_are_told_of(masks: Path, task: FakeTask, capsys: Capture) -> None:
    labels = draw(3)[1].copy()
    labels[:5] = 255
    LabelMap(labels).save(masks / "i03.png")
    assert push(masks) == 0
    said = capsys.readouterr().out
    assert "undecided pixels of 1 images are in no shape; a label 'undecided' would get them" in said
    task.labels = {**task.labels, "undecided": "any"}
    assert push(masks, "--replace", "auto") == 0
    assert "undecided pixels of 1 images get its label 'undecided'" in capsys.readouterr().out
    np.testing.assert_array_equal(on_server(task, 3) == 3, labels == 255)


def test_images_that_have_no_frame_refuse_nothing_else(masks: Path, task: FakeTask, capsys: Capture) -> None:
    LabelMap(draw(1)[1]).save(masks / "elsewhere.png")
    LabelMap(draw(1)[1][:20]).save(masks / "i01.png")
    assert push(masks) == 1
    error = capsys.readouterr().err
    assert "failed: elsewhere in push: no frame of task 12 'cats'" in error
    assert "failed: i01 in push: is (20, 64), but its frame 'i01.png' (48, 64)" in error
    np.testing.assert_array_equal(on_server(task, 3), draw(3)[1])
    assert not [shape for shape in task.shapes if shape["frame"] == 1]


def test_names_that_mean_two_frames(masks: Path, task: FakeTask, capsys: Capture) -> None:
    task.photographs = {name: draw(1)[0] for name in ("a/i01.png", "b/i01.png", "i03.png", "i03.jpg")}
    LabelMap(draw(1)[1]).save(masks / "b/i01.png")
    (masks / "i00.png").unlink()
    (masks / "i02.png").unlink()
    assert push(masks) == 1
    error = capsys.readouterr().err
    assert "failed: i01 in push: several frames or images are called 'i01'" in error
    assert "failed: i03 in push: several frames or images are called 'i03'" in error
    assert {shape["frame"] for shape in task.shapes} == {1}


@pytest.mark.parametrize(
    ("labels", "words", "message"),
    [
        ({"disc": "any"}, (), "has no label 'square', but disc; add it there, or leave its objects out by --skip-"),
        ({"disc": "any", "square": "rectangle"}, (), "label 'square' takes shapes of type 'rectangle' alone; change"),
        ({"disc": "any", "square": "polygon"}, (), "takes shapes of type 'polygon' alone; give --polygons"),
        ({"disc": "any", "square": "mask"}, ("--polygons",), "of type 'mask' alone; leave --polygons out"),
    ],
)
def test_labels_that_do_not_fit(
    labels: dict[str, str], words: tuple[str, ...], message: str, masks: Path, task: FakeTask, capsys: Capture
) -> None:
    task.labels = labels
    assert push(masks, *words) == 2
    assert message in capsys.readouterr().err and task.written() == []


def test_unknown_labels_are_left_out_where_that_is_wanted(masks: Path, task: FakeTask, capsys: Capture) -> None:
    task.labels = {"disc": "any"}
    assert push(masks, "--skip-unknown") == 0
    assert "2 objects of 'square' left out, a label that it lacks" in capsys.readouterr().out
    np.testing.assert_array_equal(on_server(task, 3), draw(3)[1] == 1)


def test_a_server_that_fails_midway(
    masks: Path, task: FakeTask, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """What is there already stays until its successor has arrived, and the same command heals."""
    assert push(masks) == 0
    before = [shape["points"] for shape in task.shapes]
    task.refuse["PATCH", "/annotations"] = 500
    assert push(masks, "--replace", "auto") == 2
    error = capsys.readouterr().err
    assert "has failed; try again later (HTTP 500" in error and "0 of 4 frames are sent" in error
    assert "give the same command with --replace auto" in error and "Traceback" not in error
    assert [shape["points"] for shape in task.shapes] == before
    task.refuse.clear()
    assert push(masks, "--replace", "auto") == 0
    assert [shape["points"] for shape in task.shapes] == before
