import errno
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors import SafetensorError

from cases import each
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError, OutputError
from weakseg.files import noting, write_bytes
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.ledger import LEDGER, Ledger
from weakseg.pipeline.plan import Failure
from weakseg.pipeline.spread import run_units
from weakseg.pipeline.units import ImageJob, Job, Unit, batches
from weakseg.rng import generator_for


@dataclass(frozen=True)
class Write(ImageJob):
    """Writes random numbers keyed by the image; fails on names that ask for it."""

    out: Path
    suffix: ClassVar[str] = ".txt"

    def one(self, sample: WeakSample) -> None:
        if "bad" in sample.id:
            raise ValueError(f"cannot do {sample.id}")
        if sample.id == "full":
            raise OutputError("no space")
        values = torch.rand(3, generator=generator_for(0, sample.id, "test"))
        write_bytes(self.output(sample.id), f"{values.tolist()} {torch.get_num_threads()}".encode())


@dataclass(frozen=True)
class WriteMany(Write):
    """Writes several at once and notes who went together; a bad one stops all of its batch that come after it."""

    size: int = 3

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        return batches(samples, self.size)

    def run(self, unit: Unit) -> None:
        super().run(unit)
        if len(unit.samples) > 1:
            names = "+".join(sample.id for sample in unit.samples)
            write_bytes(self.out.parent / "batches" / names, str(torch.get_num_threads()).encode())


@dataclass(frozen=True)
class WriteWhole(WriteMany):
    """Writes several at once, each of which depends on the others."""

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        return [replace(unit, whole=True) for unit in super().units(samples)]


@dataclass(frozen=True)
class WriteGroup(Write):
    """Writes one file for each group: an image and its helpers, under the name of the first, or of the group."""

    groups: tuple[tuple[str, ...], ...] = ()
    named: bool = True
    worked: list[str] = field(default_factory=list)

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        known = {sample.id: sample for sample in samples}
        return [
            Unit(tuple(known[name] for name in group), group[0] if self.named else "", together=True)
            for group in self.groups
        ]

    def run(self, unit: Unit) -> None:
        self.worked.append("+".join(sample.id for sample in unit.samples))
        if any("bad" in sample.id for sample in unit.samples):
            raise ValueError("cannot do this")
        write_bytes(self.output(*unit.products), b"group")


def samples(*names: str) -> list[WeakSample]:
    return [WeakSample(name, Path(f"{name}.png"), Tags(frozenset())) for name in names]


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file() and path.name != LEDGER}


def write(job: Job, *names: str, workers: int = 1) -> list[Failure]:
    return run_units(job, job.units(samples(*names)), title="write", engine=LocalEngine(workers))


def test_a_failing_image_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    failures = write(Write(tmp_path), "a", "bad1", "b", "bad0")
    assert [(f.image_id, f.step, f.reason) for f in failures] == [
        ("bad1", "write", "ValueError: cannot do bad1"),
        ("bad0", "write", "ValueError: cannot do bad0"),
    ]
    assert set(contents(tmp_path)) == {"a.txt", "b.txt"}


def test_an_output_that_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no space"):
        write(Write(tmp_path), "a", "full", "b")
    assert set(contents(tmp_path)) == {"a.txt"}


def put(path: Path, content: bytes) -> None:
    """Leave a file as a job would have."""
    with noting() as written:
        write_bytes(path, content)
    Ledger(path.parent).add(written)


def test_finished_images_are_not_repeated(tmp_path: Path) -> None:
    put(tmp_path / "a.txt", b"kept")
    write(Write(tmp_path), "a", "b")
    assert contents(tmp_path)["a.txt"] == "kept"


def test_what_is_not_as_it_was_written_is_written_again(tmp_path: Path) -> None:
    names = ("deleted", "cut", "changed", "empty", "touched", "strange")
    write(Write(tmp_path), *names[:5])
    whole = contents(tmp_path)
    (tmp_path / "deleted.txt").unlink()
    (tmp_path / "cut.txt").write_text(whole["cut.txt"][:9])
    (tmp_path / "changed.txt").write_text(whole["changed.txt"].replace("1", "2"))
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "strange.txt").write_text("no job has written this")
    os.utime(tmp_path / "touched.txt", (1, 1))
    before = (tmp_path / "touched.txt").stat().st_ino
    write(Write(tmp_path), *names)
    assert contents(tmp_path).items() >= whole.items() and contents(tmp_path)["strange.txt"].startswith("[")
    assert (tmp_path / "touched.txt").stat().st_ino == before  # only its time is another


@each("error", [
    OSError(errno.EIO, "Input/output error"),
    MemoryError(),
    RuntimeError("can't allocate memory"),
    SafetensorError("I/O error: No space left on device (os error 28)"),
])  # fmt: skip
def test_faults_that_may_pass_are_told_from_others(tmp_path: Path, error: Exception) -> None:
    @dataclass(frozen=True)
    class Faulty(Write):
        def one(self, sample: WeakSample) -> None:
            if sample.id == "wrapped":
                raise DataError("cannot be read") from error
            raise error if sample.id == "passing" else OSError("image file is truncated")

    failures = write(Faulty(tmp_path), "wrapped", "passing", "lasting")
    assert [failure.passing for failure in failures] == [True, True, False]


def test_a_name_that_is_too_long_fails_alone(tmp_path: Path) -> None:
    long, edge = "é" * 125, "x" * 240
    (failure,) = write(Write(tmp_path), "a", long, edge, f"folder/{long[:100]}")
    assert failure.image_id == long and "250 bytes" in failure.reason and "at most 240" in failure.reason
    assert set(contents(tmp_path / "folder")) == {f"{long[:100]}.txt"} and (tmp_path / f"{edge}.txt").exists()


def test_workers_and_order_change_nothing(tmp_path: Path) -> None:
    names = [f"i{n}" for n in range(8)]
    write(Write(tmp_path / "one"), *names)
    write(Write(tmp_path / "four"), *reversed(names), workers=4)
    assert contents(tmp_path / "one") == contents(tmp_path / "four")


def test_threads_of_this_process_are_restored(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    write(Write(tmp_path), "a")
    assert torch.get_num_threads() == before
    assert contents(tmp_path)["a.txt"].endswith(" 1")


def test_a_failure_in_a_process_comes_back(tmp_path: Path) -> None:
    failures = write(Write(tmp_path), "a", "bad", "b", workers=2)
    assert [f.image_id for f in failures] == ["bad"]


@pytest.mark.parametrize("workers", [1, 2])
def test_images_are_done_several_at_once(tmp_path: Path, workers: int) -> None:
    names = [f"i{n}" for n in range(7)]
    assert write(WriteMany(tmp_path / "many"), *names, workers=workers) == []
    write(Write(tmp_path / "one"), *names)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert contents(tmp_path / "batches") == {"i0+i1+i2": "1", "i3+i4+i5": "1"}  # the last is alone


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_image_in_a_batch_is_named_and_the_others_are_done(
    tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    job = WriteMany(tmp_path / "out")
    failures = write(job, "a", "b-bad", "c", "d", "e", "f", "g-bad", workers=workers)
    assert failures == [
        Failure("b-bad", "write", "ValueError: cannot do b-bad"),
        Failure("g-bad", "write", "ValueError: cannot do g-bad"),
    ]
    assert set(contents(tmp_path / "out")) == {f"{name}.txt" for name in "acdef"}
    assert set(contents(tmp_path / "batches")) == {"d+e+f"}
    remark = "write: 3 images at once failed (ValueError: cannot do b-bad); each is tried alone"
    assert [record.getMessage() for record in caplog.records] == [remark]


def test_a_batch_that_works_only_one_by_one_is_said_before_its_images_are_tried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    @dataclass(frozen=True)
    class Narrow(WriteMany):
        def run(self, unit: Unit) -> None:
            if len(unit.samples) > 1:
                raise MemoryError("too many")
            super().run(unit)

    with caplog.at_level(logging.WARNING):
        assert write(Narrow(tmp_path / "out"), "a", "b") == []
    assert set(contents(tmp_path / "out")) == {"a.txt", "b.txt"}
    assert "2 images at once failed (MemoryError: too many); each is tried alone" in caplog.text


def test_what_a_batch_finished_before_it_failed_is_not_repeated(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Once(WriteMany):
        def one(self, sample: WeakSample) -> None:
            assert not self.output(sample.id).exists()
            super().one(sample)

    failures = write(Once(tmp_path / "out"), "a", "b", "c-bad")
    assert [(f.image_id, f.reason) for f in failures] == [("c-bad", "ValueError: cannot do c-bad")]


def test_finished_images_are_left_out_of_batches(tmp_path: Path) -> None:
    put(tmp_path / "out" / "b.txt", b"kept")
    write(WriteMany(tmp_path / "out"), "a", "b", "c", "d")
    assert set(contents(tmp_path / "batches")) == {"a+c"}  # the others keep the company that they would have had
    assert contents(tmp_path / "out")["b.txt"] == "kept"


def test_a_batch_that_is_whole_is_made_anew_with_what_is_finished(tmp_path: Path) -> None:
    put(tmp_path / "out" / "b.txt", b"of another company")
    write(WriteWhole(tmp_path / "out"), "a", "b", "c", "d")
    assert set(contents(tmp_path / "batches")) == {"a+b+c"}
    made = contents(tmp_path / "out")
    assert made["b.txt"] != "of another company"
    write(WriteWhole(tmp_path / "out"), "a", "b", "c", "d")
    assert contents(tmp_path / "out") == made and set(contents(tmp_path / "batches")) == {"a+b+c"}


def test_images_that_are_not_looked_at_together_after_all_are_told(tmp_path: Path) -> None:
    told: list[str] = []
    job = WriteWhole(tmp_path / "out")
    units = job.units(samples("a", "bad", "c", "d"))
    failures = run_units(job, units, title="write", engine=LocalEngine(), warn=told.append)
    assert [failure.image_id for failure in failures] == ["bad"]
    assert told == [
        "write: 3 images at once failed (ValueError: cannot do bad); each is tried alone, without the others: a, bad, c"
    ]


def test_a_whole_batch_that_fails_for_want_of_memory_is_left_for_another_time(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Greedy(WriteWhole):
        def run(self, unit: Unit) -> None:
            if len(unit.samples) > 1:
                raise MemoryError("too many")
            super().run(unit)

    failures = write(Greedy(tmp_path / "out"), "a", "b")
    assert [(failure.image_id, failure.passing) for failure in failures] == [("a", True), ("b", True)]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_batch_whose_output_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no space"):
        write(WriteMany(tmp_path / "out"), "a", "full", "g", "h")
    assert set(contents(tmp_path / "out")) == {"a.txt"}


class TestUnits:
    def test_company_depends_on_no_order_of_the_list(self) -> None:
        named = [[sample.id for sample in unit.samples] for unit in batches(samples("d", "a", "c", "b", "e"), 2)]
        assert named == [["a", "b"], ["c", "d"], ["e"]]

    def test_single_images_stay_in_the_order_of_the_list(self) -> None:
        assert [unit.id for unit in batches(samples("b", "a"), 1)] == ["b", "a"]
        assert [unit.id for unit in Write(Path()).units(samples("b", "a"))] == ["b", "a"]

    def test_an_id_is_the_images_or_tells_members_and_seed_apart(self) -> None:
        one, two = samples("a", "b")
        ids = [
            unit.id
            for unit in (
                Unit((one,)),
                Unit((one, two)),
                Unit((two, one)),
                Unit((one, two), seed=1),
                Unit((one,), seed=1, together=True),
            )
        ]
        assert ids[0] == ids[4] == "a"
        assert len(set(ids[:4])) == 4 and all(len(unit_id) == 16 for unit_id in ids[1:4])
        assert Unit(tuple(samples("a", "b"))).id == ids[1]

    def test_a_batch_makes_one_product_an_image_and_a_group_one(self) -> None:
        both = tuple(samples("a", "b"))
        assert Unit(both).products == ("a", "b")
        assert Unit(both, "a", together=True).products == ("a",)
        assert Unit(both, together=True).products == (Unit(both).id,)


class TestGroups:
    def test_a_group_makes_one_product_and_is_not_repeated(self, tmp_path: Path) -> None:
        job = WriteGroup(tmp_path, (("a", "b"), ("b", "c")))
        assert write(job, "a", "b", "c") == [] and contents(tmp_path) == {"a.txt": "group", "b.txt": "group"}
        assert write(job, "a", "b", "c") == [] and job.worked == ["a+b", "b+c"]

    def test_a_group_without_a_name_is_called_by_its_id(self, tmp_path: Path) -> None:
        job = WriteGroup(tmp_path, (("a", "b"),), named=False)
        assert write(job, "a", "b") == []
        assert contents(tmp_path) == {f"{Unit(tuple(samples('a', 'b'))).id}.txt": "group"}

    def test_a_failing_group_names_its_image_and_company_and_is_not_split(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = WriteGroup(tmp_path, (("a", "bad", "c"), ("b", "c")))
        assert write(job, "a", "b", "bad", "c") == [
            Failure("a", "write", "with 'bad', 'c': ValueError: cannot do this")
        ]
        assert set(contents(tmp_path)) == {"b.txt"} and job.worked == ["a+bad+c", "b+c"] and not caplog.records


def test_a_job_that_does_not_say_what_it_does_to_an_image(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Idle(ImageJob):
        out: Path
        suffix: ClassVar[str] = ".txt"

    assert [failure.reason for failure in write(Idle(tmp_path), "a")] == ["NotImplementedError: "]
