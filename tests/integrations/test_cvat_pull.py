"""``weakseg cvat pull`` against a server of this machine, by the real cvat-sdk."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvat_server import FakeTask
from generated import CLASSES, draw
from weakseg.cli.main import main
from weakseg.data.annotations import Box, Point, Scribble
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.regions import mask_of_runs
from weakseg.integrations.cvat.shapes import mask_points

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("host")


def pull(out: Path, *words: str) -> int:
    return main(["cvat", "pull", "12", "--out", str(out), *words])


@pytest.fixture
def drawn(task: FakeTask) -> FakeTask:
    """Each kind of shape, and a tag."""
    task.draw("rectangle", "disc", 1, [8.5, 10.0, 30.25, 40.0])
    task.draw("points", "disc", 1, [18.5, 24.5, 20.0, 25.0])
    task.draw("polyline", "square", 2, [40.0, 12.0, 50.0, 20.0, 44.0, 21.0])
    task.draw("polygon", "square", 3, [39.0, 12.0, 55.0, 12.0, 55.0, 25.0, 39.0, 25.0])
    task.draw("mask", "disc", 3, mask_points(draw(3)[1] == 1))
    task.tags.append({"id": 7, "frame": 0, "label_id": task.label_ids["square"], "source": "manual"})
    return task


def test_labels_and_photographs_are_a_data_set(drawn: FakeTask, tmp_path: Path, capsys: Capture) -> None:
    assert pull(tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "4 photographs, 4 labelled, 1 boxes, 2 points, 1 scribbles, 2 regions, 1 tags" in said
    for index, name in enumerate(drawn.names):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/images" / name)), draw(index)[0])
    config = DataConfig(root=str(tmp_path / "out"), format="cvat", train="annotations.xml")
    dataset = open_dataset(config)
    samples = {sample.id: sample for sample in dataset.splits["train"]}
    assert dataset.classes.names == CLASSES and list(samples) == ["i00", "i01", "Fotos/i02", "i03"]
    assert samples["i00"].tags.present == {2}
    assert samples["i01"].drawn.boxes == (Box(1, 10.0, 8.5, 40.0, 30.25),)
    assert samples["i01"].drawn.points == (Point(1, 24.5, 18.5), Point(1, 25.0, 20.0))
    assert samples["Fotos/i02"].drawn.scribbles == (Scribble(2, ((12.0, 40.0), (20.0, 50.0), (21.0, 44.0))),)
    polygon, mask = (mask_of_runs(region.runs, region.size) for region in samples["i03"].drawn.regions)
    assert polygon[12:25, 39:55].all() and polygon.sum() == 13 * 16
    np.testing.assert_array_equal(mask, draw(3)[1] == 1)
    words = ["--data.root", str(tmp_path / "out"), "--data.format", "cvat", "--data.train", "annotations.xml"]
    assert main(["data", "check", *words]) == 0
    assert drawn.written() == []


def test_a_dry_run_asks_and_writes_nothing(drawn: FakeTask, tmp_path: Path, capsys: Capture) -> None:
    assert pull(tmp_path / "out", "--dry-run") == 0
    said = capsys.readouterr().out
    assert (
        "4 photographs, labels disc, square; drawn: 1 rectangle, 1 points, 1 polyline, 1 polygon, 1 mask, 1 tag" in said
    )
    assert "nothing was" in said and not (tmp_path / "out").exists()
    assert [method for method, _, _ in drawn.requests if method != "GET"] == []


def test_labels_alone(drawn: FakeTask, tmp_path: Path) -> None:
    assert pull(tmp_path / "out", "--labels-only") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["annotations.xml"]


def test_photographs_that_are_there_are_not_asked_for_again(drawn: FakeTask, tmp_path: Path, capsys: Capture) -> None:
    drawn.spoiled["i01.png"] = b"no image"
    assert pull(tmp_path / "out") == 1
    assert "failed: i01.png in pull: frame 1: what the server sends is no image" in capsys.readouterr().err
    assert pull(tmp_path / "out") == 2
    assert "annotations.xml exists; give another --out, or --overwrite" in capsys.readouterr().err
    drawn.requests.clear()
    drawn.spoiled.clear()
    assert pull(tmp_path / "out", "--overwrite") == 0
    asked = [path for _, path, _ in drawn.requests if "type=frame" in path]
    assert len(asked) == 1 and "number=1" in asked[0]


def test_deleted_frames_stay_away(drawn: FakeTask, tmp_path: Path) -> None:
    drawn.deleted = (1,)
    assert pull(tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out/images").rglob("*.*")) == ["i00.png", "i02.jpg", "i03.png"]


def test_frames_of_a_video(task: FakeTask, tmp_path: Path) -> None:
    task.video, names = True, [f"frame_{index:06d}" for index in range(4)]
    task.photographs = dict(zip(names, task.photographs.values(), strict=True))
    task.draw("rectangle", "disc", 1, [8.0, 10.0, 30.0, 40.0])
    assert pull(tmp_path / "out") == 0
    config = DataConfig(root=str(tmp_path / "out"), format="cvat", train="annotations.xml")
    samples = open_dataset(config).splits["train"]
    assert [sample.image_path.name for sample in samples] == [f"{name}.png" for name in names]
    assert all(sample.image_path.is_file() for sample in samples)


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a/../../out.png"])
def test_names_that_lead_out_of_the_folder(name: str, task: FakeTask, tmp_path: Path, capsys: Capture) -> None:
    task.photographs = {name: draw(0)[0], "i01.png": draw(1)[0]}
    assert pull(tmp_path / "deep/out") == 1
    assert "leads outside the data folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*.png")] == ["i01.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no zip", "its export holds no annotations.xml (File is not a zip file)"), (None, "its export holds no ann")],
)
def test_exports_that_cannot_be_used(
    content: bytes | None, message: str, task: FakeTask, tmp_path: Path, capsys: Capture
) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("other.xml", "")
    task.spoiled["export"] = content or held.getvalue()
    assert pull(tmp_path / "out") == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()
