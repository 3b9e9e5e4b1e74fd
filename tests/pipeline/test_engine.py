from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import OutputError
from weakseg.files import write_bytes
from weakseg.pipeline.engine import map_images
from weakseg.rng import generator_for


@dataclass(frozen=True)
class Write:
    """Writes random numbers keyed by the image; fails on names that ask for it."""

    out: Path

    def output(self, image_id: str) -> Path:
        return self.out / f"{image_id}.txt"

    def run(self, sample: WeakSample) -> None:
        if sample.id.startswith("bad"):
            raise ValueError(f"cannot do {sample.id}")
        if sample.id == "full":
            raise OutputError("no space")
        values = torch.rand(3, generator=generator_for(0, sample.id, "test"))
        write_bytes(self.output(sample.id), f"{values.tolist()} {torch.get_num_threads()}".encode())


@dataclass(frozen=True)
class WriteMany(Write):
    """Writes several at once and notes who went together; a bad one stops all of its batch that come after it."""

    batch_size: int = 3

    def run_batch(self, samples: Sequence[WeakSample]) -> None:
        for sample in samples:
            self.run(sample)
        names = "+".join(sample.id for sample in samples)
        write_bytes(self.out.parent / "batches" / names, str(torch.get_num_threads()).encode())


def samples(*names: str) -> list[WeakSample]:
    return [WeakSample(name, Path(f"{name}.png"), Tags(frozenset())) for name in names]


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_failing_image_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    failures = map_images(Write(tmp_path), samples("a", "bad1", "b", "bad0"), title="write", workers=1)
    assert [(f.image_id, f.step, f.reason) for f in failures] == [
        ("bad1", "write", "ValueError: cannot do bad1"),
        ("bad0", "write", "ValueError: cannot do bad0"),
    ]
    assert set(contents(tmp_path)) == {"a.txt", "b.txt"}


def test_an_output_that_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no space"):
        map_images(Write(tmp_path), samples("a", "full", "b"), title="write", workers=1)
    assert set(contents(tmp_path)) == {"a.txt"}


def test_finished_images_are_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("kept")
    map_images(Write(tmp_path), samples("a", "b"), title="write", workers=1)
    assert contents(tmp_path)["a.txt"] == "kept"


def test_workers_and_order_change_nothing(tmp_path: Path) -> None:
    names = [f"i{n}" for n in range(8)]
    map_images(Write(tmp_path / "one"), samples(*names), title="write", workers=1)
    map_images(Write(tmp_path / "four"), samples(*reversed(names)), title="write", workers=4)
    assert contents(tmp_path / "one") == contents(tmp_path / "four")


def test_threads_of_this_process_are_restored(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    map_images(Write(tmp_path), samples("a"), title="write", workers=1)
    assert torch.get_num_threads() == before
    assert contents(tmp_path)["a.txt"].endswith(" 1")


def test_a_failure_in_a_process_comes_back(tmp_path: Path) -> None:
    failures = map_images(Write(tmp_path), samples("a", "bad", "b"), title="write", workers=2)
    assert [f.image_id for f in failures] == ["bad"]


@pytest.mark.parametrize("workers", [1, 2])
def test_images_are_done_several_at_once(tmp_path: Path, workers: int) -> None:
    names = [f"i{n}" for n in range(7)]
    assert map_images(WriteMany(tmp_path / "many"), samples(*names), title="write", workers=workers) == []
    map_images(Write(tmp_path / "one"), samples(*names), title="write", workers=1)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert contents(tmp_path / "batches") == {"i0+i1+i2": "1", "i3+i4+i5": "1"}  # the last is alone


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_image_in_a_batch_is_named_and_the_others_are_done(tmp_path: Path, workers: int) -> None:
    job = WriteMany(tmp_path / "out")
    failures = map_images(job, samples("a", "bad1", "b", "c", "d", "e", "bad0"), title="write", workers=workers)
    assert [(f.image_id, f.reason) for f in failures] == [
        ("bad1", "ValueError: cannot do bad1"),
        ("bad0", "ValueError: cannot do bad0"),
    ]
    assert set(contents(tmp_path / "out")) == {f"{name}.txt" for name in "abcde"}
    assert set(contents(tmp_path / "batches")) == {"c+d+e"}


def test_what_a_batch_finished_before_it_failed_is_not_repeated(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Once(WriteMany):
        def run(self, sample: WeakSample) -> None:
            assert not self.output(sample.id).exists()
            super().run(sample)

    failures = map_images(Once(tmp_path / "out"), samples("a", "b", "bad"), title="write", workers=1)
    assert [f.image_id for f in failures] == ["bad"]


def test_finished_images_are_left_out_of_batches(tmp_path: Path) -> None:
    write_bytes(tmp_path / "out" / "b.txt", b"kept")
    map_images(WriteMany(tmp_path / "out"), samples("a", "b", "c", "d"), title="write", workers=1)
    assert set(contents(tmp_path / "batches")) == {"a+c+d"}
    assert contents(tmp_path / "out")["b.txt"] == "kept"


def test_a_batch_whose_output_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no space"):
        map_images(WriteMany(tmp_path / "out"), samples("a", "full", "b", "c"), title="write", workers=1)
    assert set(contents(tmp_path / "out")) == {"a.txt"}
