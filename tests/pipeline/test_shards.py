"""Shares of images, ledgers of shards, and two processes that race for one unit."""

import subprocess
import sys
from pathlib import Path

import pytest
from test_attempts import Deadly, samples

from weakseg.errors import ConfigError
from weakseg.files import noting, write_bytes, write_json
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.ledger import LEDGER, Ledger
from weakseg.pipeline.manifests import MANIFEST, versions
from weakseg.pipeline.plan import Failure
from weakseg.pipeline.shard_records import (
    OWN,
    Record,
    all_have_finished,
    begin_share,
    fits,
    read_record,
    take_shards,
)
from weakseg.pipeline.share import SHARDS_FOLDER, Share
from weakseg.pipeline.spread import run_units

ONE, TWO = Share(1, 2), Share(2, 2)


def put(folder: Path, share: Share, name: str, content: bytes) -> None:
    """Leave a file as a shard would have."""
    with noting() as written:
        write_bytes(folder / name, content)
    Ledger(folder, share).add(written)


def step(folder: Path, *, complete: bool = False) -> Path:
    told = {"key": "k", "complete": complete, "versions": versions()}
    write_json(folder / MANIFEST, {**told, "settings": {}, "step": folder.name})
    return folder


class TestShare:
    def test_each_image_belongs_to_one_whatever_the_list(self) -> None:
        images = samples(*(f"folder/é{n}" for n in range(1000)))
        parts = [share.part(images) for share in Share(3, 7).all]
        assert sorted(s.id for part in parts for s in part) == sorted(s.id for s in images)
        assert all(100 < len(part) < 190 for part in parts)
        assert Share(3, 7).part(images[::-1]) == parts[0][::-1]

    def test_its_name(self) -> None:
        assert (str(Share.of(" 3/12 ")), Share.of("3/12").name) == ("3/12", "3-of-12")
        assert [str(share) for share in Share(2, 3).all] == ["2/3", "3/3", "1/3"]

    @pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/99999", "1/2/3"])
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ConfigError, match="shard: i/n with i from 1 to n"):
            Share.of(text)


class TestRecords:
    def test_files_of_all_shards_are_held_and_each_writes_its_own_ledger(self, tmp_path: Path) -> None:
        put(tmp_path, ONE, "a.txt", b"a")
        put(tmp_path, TWO, "b.txt", b"b")
        assert {*Ledger(tmp_path).files} == {*Ledger(tmp_path, ONE).files} == {"a.txt", "b.txt"}
        assert not (tmp_path / LEDGER).exists()
        assert {path.name for path in (tmp_path / SHARDS_FOLDER).iterdir()} == {"1-of-2.jsonl", "2-of-2.jsonl"}

    def test_of_two_that_wrote_one_file_the_one_that_is_there_counts(self, tmp_path: Path) -> None:
        put(tmp_path, TWO, "a.txt", b"first")
        put(tmp_path, ONE, "a.txt", b"other")
        ledger = Ledger(tmp_path)
        assert ledger.holds(tmp_path / "a.txt") and ledger.unfit() == []

    def test_a_run_of_the_whole_takes_what_fits_and_removes_the_rest(self, tmp_path: Path) -> None:
        need, folder = step(tmp_path / "need", complete=True), step(tmp_path / "made")
        for share, seen in ((ONE, "now"), (TWO, "then")):
            begin_share(folder, share, {"need": seen}, {"need": need})
            put(folder, share, f"{share.number}.txt", b"x")
        take_shards(folder, {"need": "now"}, {"need": need})
        assert {*Ledger(folder).files} == {"1.txt"} and not (folder / "2.txt").exists()
        assert [path.suffix for path in (folder / SHARDS_FOLDER).glob("1-of-2*")].count(".taken") == 1
        take_shards(folder, {"need": "now"}, {"need": need})
        assert {*Ledger(folder).files} == {"1.txt"}

    def test_its_own_share_of_a_step_fits_while_that_is_as_it_was(self, tmp_path: Path) -> None:
        need = step(tmp_path / "need")
        put(need, ONE, "a.txt", b"a")
        assert fits({"need": OWN}, {"need": "whatever"}, {"need": need})
        Ledger(need).close()
        put(need, TWO, "b.txt", b"more")
        assert fits({"need": OWN}, {"need": "whatever"}, {"need": need})
        with noting() as written:
            write_bytes(need / "a.txt", b"others")
        ledger = Ledger(need)
        ledger.add(written)
        assert not fits({"need": OWN}, {"need": "whatever"}, {"need": need})
        assert not fits({}, {"need": "whatever"}, {"need": need})

    def test_all_have_finished_of_one_number_of_shards(self, tmp_path: Path) -> None:
        Record({}, True).write(tmp_path, ONE)
        Record({}, True).write(tmp_path, Share(2, 3))
        Record({}, False).write(tmp_path, TWO)
        assert not all_have_finished(tmp_path)
        Record({}, True, [Failure("a", "made", "why")]).write(tmp_path, TWO)
        assert all_have_finished(tmp_path)
        found = read_record(tmp_path, "2-of-2")
        assert found and found.failures == [Failure("a", "made", "why")]

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"seen": 1, "finished": 1, "failures": 1}', '{"seen": {"a": 1}}']
    )
    def test_a_damaged_record_says_nothing(self, tmp_path: Path, text: str) -> None:
        (tmp_path / SHARDS_FOLDER).mkdir()
        (tmp_path / SHARDS_FOLDER / "1-of-2.json").write_text(text)
        assert read_record(tmp_path, "1-of-2") is None and not all_have_finished(tmp_path)


RACE = """
import sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_attempts import Deadly, LocalEngine, samples
from weakseg.pipeline.share import Share
from weakseg.pipeline.spread import run_units
job = Deadly(Path(sys.argv[1]) / "out")
units = job.units(samples(*(f"i{n}" for n in range(300))))
print("ready", flush=True)
sys.stdin.readline()
assert run_units(job, units, title="race", engine=LocalEngine(1), share=Share.of(sys.argv[3])) == []
"""


def test_two_processes_that_race_for_every_unit(tmp_path: Path) -> None:
    here, pipe = str(Path(__file__).parent), subprocess.PIPE
    commands = [[sys.executable, "-c", RACE, str(tmp_path), here, shard] for shard in ("1/2", "2/2")]
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for command in commands]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n"
    said = _both(started)
    assert [process.returncode for process in started] == [0, 0], said
    job = Deadly(tmp_path / "out")
    assert {path.stem: path.read_text() for path in job.out.glob("*.txt")} == {f"i{n}": f"i{n}" for n in range(300)}
    begun = [len(path.read_text()) for path in (tmp_path / "begun").iterdir()]
    assert max(begun) == 2  # both have worked on some, at once
    times = {path: path.stat().st_mtime_ns for path in job.out.glob("*.txt")}
    units = job.units(samples(*(f"i{n}" for n in range(300))))
    assert run_units(job, units, title="race", engine=LocalEngine(1)) == []
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not list(job.out.glob(".part-*")) and not (job.out / ".attempts").exists()


def _both(started: "list[subprocess.Popen[str]]") -> list[str]:
    """Let both go on at once, and return what they say of errors."""
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate()[1] for process in started]
