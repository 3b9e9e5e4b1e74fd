import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from generated import CLASSES, folder_arguments, write_folder
from weakseg.data.annotations import Drawn, Point
from weakseg.data.check import probe_image
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, write_drawn
from weakseg.data.image import load_rgb
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.files import write_json
from weakseg.methods.recipes import load_recipe
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.intake import Intake, take_in
from weakseg.pipeline.spread import run_units
from weakseg.pipeline.units import ImageJob


@dataclass(frozen=True)
class LoadJob(ImageJob):
    """Load an image, and write its size."""

    out: Path

    suffix: ClassVar[str] = ".json"

    def one(self, sample: WeakSample) -> None:
        write_json(self.output(sample.id), sample.load_image().shape)


def dataset_of(root: Path) -> Dataset:
    return open_dataset(load_recipe("cam", folder_arguments(root)).data)


def test_every_image_is_probed_once(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    intake = take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine())
    assert (intake.report.num_images, len(intake.content), intake.failures) == (4, 4, ())
    table = tmp_path / "probe.json"
    stamp = table.stat().st_mtime_ns
    take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine())
    assert table.stat().st_mtime_ns == stamp and not (tmp_path / "probe").exists()


def test_a_call_that_is_stopped_goes_on(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)

    @dataclass(frozen=True)
    class Stopping(LocalEngine):
        """Is stopped after some items, and remembers what it was given."""

        most: int = 4
        given: list[int] = field(default_factory=list)

        def map(self, work: Any, items: Any, *, title: str) -> Iterator[Any]:
            self.given.append(len(items))
            yield from islice(super().map(work, items, title=title), self.most)
            if len(items) > self.most:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_in(dataset_of(root), tmp_path / "probe", engine=Stopping(most=3))
    second = Stopping()
    intake = take_in(dataset_of(root), tmp_path / "probe", engine=second)
    assert second.given == [1] and len(intake.content) == 4


def test_who_learns_nothing_is_not_told_what_cannot_be_learned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_folder(tmp_path / "data", 4)
    dataset = replace(dataset_of(root), classes=Classes((*CLASSES, "unicorn")))
    for learns in (False, True):
        take_in(dataset, tmp_path / "probe", engine=LocalEngine(), learns=learns)
        assert ("'unicorn': no training image shows it" in caplog.text) == learns


def test_a_changed_image_is_probed_again(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    before = take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine()).content
    image = root / "images" / "i00.png"
    image.write_bytes((root / "images" / "i01.png").read_bytes())
    os.utime(image, ns=(1, 1))
    after = take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine()).content
    assert {key for key in before if before[key] != after[key]} == {"train/i00"}


def test_a_photograph_that_changes_meanwhile_is_never_loaded(tmp_path: Path) -> None:
    """Not even one of the same size and time; a file that was only touched, or copied back, is."""
    root = write_folder(tmp_path / "data", 4)
    first, second, third, *_ = take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine()).dataset.splits[
        "train"
    ]
    path, status = first.image_path, first.image_path.stat()
    content = bytearray(path.read_bytes())
    expected = first.load_image()
    os.utime(path)
    np.testing.assert_array_equal(first.load_image(), expected)
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second.image_path.write_bytes(third.image_path.read_bytes())
    job = LoadJob(tmp_path / "out")
    failures = run_units(job, job.units([first, second, third]), title="load", engine=LocalEngine())
    assert [failure.image_id for failure in failures] == [first.id, second.id]
    assert all("has changed since it was first looked at; put the old file back" in one.reason for one in failures)
    content[-20] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(first.load_image(), expected)


def test_a_photograph_that_changes_while_it_is_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folder(tmp_path / "data", 4)
    sample = dataset_of(root).splits["train"][0]

    def load(path: Path) -> NDArray[np.uint8]:
        loaded = load_rgb(path)
        path.write_bytes(b"another")
        return loaded

    monkeypatch.setattr("weakseg.data.sample.load_rgb", load)
    with pytest.raises(DataError, match=r"i00\.png: has changed"):
        probe_image(sample)


def test_an_unreadable_image_is_left_out_and_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 6)
    (root / "images" / "i01.png").write_bytes(b"no image")
    (root / "images" / "i02.png").unlink()
    intake = take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine())
    assert [failure.image_id for failure in intake.failures] == ["i01", "i02"]
    assert "i01.png" in intake.failures[0].reason
    assert [sample.id for sample in intake.dataset.splits["train"]] == ["i00", "i03", "i04"]


def test_names_as_long_as_file_systems_allow_fail_alone(tmp_path: Path) -> None:
    root, long = write_folder(tmp_path / "data", 4), ["x" * 251, "é" * 123]
    tags = json.loads((root / "tags.json").read_text())
    for index, name in enumerate(long):
        (root / "images" / f"i0{index}.png").rename(root / "images" / f"{name}.png")
        tags[f"{name}.png"] = tags.pop(f"i0{index}.png")
    (root / "tags.json").write_text(json.dumps(tags))
    for _ in range(2):
        intake = take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine())
        assert [failure.image_id for failure in intake.failures] == long
        assert [sample.id for sample in intake.dataset.splits["train"]] == ["i02"]
    assert "246 bytes without its suffix" in intake.failures[1].reason


def test_no_readable_image_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    for path in (root / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the training images can be read; the first: .*i00\.png"):
        take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine())


@pytest.mark.parametrize("content", [b"", b"[]", b'{"num_bytes": 1}', b"\xff", None])
def test_a_damaged_record_is_made_anew(content: bytes | None, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    before = take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine()).content
    path = tmp_path / "probe.json"
    record = path.read_text()
    hashed = json.loads(record)["images"]["i01"][2]
    path.write_bytes(record.replace(hashed, f"x{hashed[1:]}").encode() if content is None else content)
    assert take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine()).content == before
    assert path.read_text() == record


def test_drawn_labels_count_and_must_fit_their_photograph(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    tagged = take_in(dataset_of(root), tmp_path / "probe", engine=LocalEngine()).content

    def take_in_drawn(size: tuple[int, int]) -> Intake:
        drawn = Drawn(points=(Point(1, 3.5, 4.5),))
        write_drawn(root / "d.json", DrawnFile("points", Classes(CLASSES), {"i01": DrawnImage(size, drawn)}))
        config = load_recipe("cam", [*folder_arguments(root), "--data.drawn=d.json"]).data
        return take_in(open_dataset(config), tmp_path / "probe", engine=LocalEngine())

    drawn = take_in_drawn((48, 64))
    assert {key for key in tagged if tagged[key] != drawn.content[key]} == {"train/i01"}
    assert drawn.dataset.sizes == {"i01": (48, 64)}
    (failure,) = take_in_drawn((64, 48)).failures
    assert failure.image_id == "i01" and "EXIF orientation" in failure.reason
