"""Runs whose disk fills, whose folder goes, and machines whose clocks differ: ``make scale``."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_engines_agree import SHARDS, data, ended, products, reference, words  # noqa: F401

from full_disks import can_mount
from weakseg.cli.main import main
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import OutputError
from weakseg.files import write_bytes
from weakseg.pipeline.attempts import Attempts
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.engines.ray import RayEngine
from weakseg.pipeline.ledger import Ledger
from weakseg.pipeline.spread import run_units
from weakseg.pipeline.units import ImageJob

mounts = pytest.mark.skipif(not can_mount(), reason="a small disk needs the right to mount one")

FILLED = """
mount -t tmpfs -o "$2" none "$1" || exit 99
eval "$4"; echo "first $?" >> "$3/said"
find "$1" -name '.part-*' >> "$3/said"
find "$1" -path '*.attempts/*' >> "$3/said"
cat "$1"/out/failures.csv >> "$3/failures" 2>&1
mount -o "remount,$5" none "$1" || exit 98
eval "$4"; echo "second $?" >> "$3/said"
cp -r "$1/out" "$3/out"
"""


@mounts
@pytest.mark.parametrize(
    ("room", "more"),
    [
        ("size=48k", ()),  # among what is looked at first
        ("size=100k", ()),  # among the seeds
        ("size=130k", ("--engine=ray",)),  # among the masks
        ("size=5m", ()),  # at the state of the training
        ("size=80m", ()),  # at its model
        ("size=400m,nr_inodes=40", ()),  # names, and not bytes, are all gone
    ],
)
def test_a_disk_that_fills(
    data: Path,  # noqa: F811
    tmp_path: Path,
    reference: dict[str, bytes],  # noqa: F811
    room: str,
    more: tuple[str, ...],
) -> None:
    """The error names the disk, nothing half-written stays, no image is blamed; with room it goes on to the same."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = shlex.join([sys.executable, "-m", "weakseg", *words(data, disk / "out", *more, workers=2)])
    wide = "size=800m,nr_inodes=0"
    scenario = ["unshare", "-rm", "sh", "-c", FILLED, "sh", str(disk), room, str(tmp_path), command, wide]
    done = subprocess.run(scenario, capture_output=True, text=True, check=False, timeout=500)
    assert (tmp_path / "said").read_text().split("\n") == ["first 2", "second 0", ""], done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("weakseg run: ")]
    assert len(told) == 1 and "Traceback" not in done.stderr, done.stderr
    assert "MB are free on its disk; should it fill, the run ends" in done.stderr or "data/images" in told[0]
    assert "No space left on device" in told[0] and f"free some space on the disk at {disk} (" in told[0]
    assert ("files, which are all that it can)" in told[0]) == ("inodes" in room)
    failures = (tmp_path / "failures").read_text()
    assert failures == "image,step,reason\n" or "failures.csv: No such file" in failures
    assert products(tmp_path / "out") == reference


@mounts
def test_ray_without_room_for_its_own_files_is_said(data: Path, tmp_path: Path) -> None:  # noqa: F811
    disk = tmp_path / "d"
    disk.mkdir()
    command = shlex.join([sys.executable, "-m", "weakseg", *words(data, tmp_path / "out", "--engine=ray", workers=2)])
    script = 'mount -t tmpfs -o size=8k none "$1" && export RAY_TMPDIR="$1" && eval "$2"'
    scenario = ["unshare", "-rm", "sh", "-c", script, "sh", str(disk), command]
    done = subprocess.run(scenario, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "weakseg run: engine: Ray cannot be started on this machine" in done.stderr
    assert "have free space (RAY_TMPDIR names another folder), or use the engine 'joblib'" in done.stderr


ON_ANOTHER_CLOCK = """
import os, sys, time
from weakseg import files
seconds = int(sys.argv.pop(1))
flushed, strftime, clock = files._flushed, time.strftime, time.time
def of_client(temporary, path):  # Lustre's files have the time of the machine that wrote them
    state = temporary.stat()
    os.utime(temporary, ns=(state.st_atime_ns, state.st_mtime_ns + seconds * 10**9))
    return flushed(temporary, path)
files._flushed = of_client
time.time = lambda: clock() + seconds
time.strftime = lambda form, at=None: strftime(form, at or time.localtime(time.time()))
from weakseg.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_machines_whose_clocks_differ_by_an_hour(
    data: Path,  # noqa: F811
    tmp_path: Path,
    reference: dict[str, bytes],  # noqa: F811
) -> None:
    """Of three shards one is an hour behind and one ahead; what each has made stays, and is found done again."""
    out = tmp_path / "out"
    for shard, seconds in zip(SHARDS, (-3600, 0, 3600), strict=True):
        command = [sys.executable, "-c", ON_ANOTHER_CLOCK, str(seconds), *words(data, out, f"--shard={shard}")]
        assert subprocess.run(command, check=False).returncode == 0
        note = json.loads((out / f".weakseg.lock-{shard.replace('/', '-of-')}").read_text())
        since = time.mktime(time.strptime(note["since"].rpartition(" ")[0], "%Y-%m-%d %H:%M:%S"))
        assert abs(since - time.time() - seconds) < 300
    made = {path: path.stat().st_ino for name in ("activations", "seeds", "masks") for path in (out / name).glob("i*")}
    hours = {round((path.stat().st_mtime - time.time()) / 3600) for path in made}
    assert len(made) == 27 and hours == {-1, 0, 1}
    assert main(words(data, out)) == 0 and products(out) == reference
    assert {path: path.stat().st_ino for path in made} == made
    command = [sys.executable, "-c", ON_ANOTHER_CLOCK, "-3600", *words(data, out)]
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 0 and again.stderr.count("done before") >= 6
    assert {path: path.stat().st_ino for path in made} == made


@dataclass(frozen=True)
class Losing(ImageJob):
    """Writes an image's name; one of them moves the folder away, as a disk that goes, and one brings it back."""

    out: Path
    suffix = ".txt"

    def one(self, sample: WeakSample) -> None:
        if sample.id == "goes" and not (self.out.parent / "gone").exists():
            (self.out.parent / "gone").touch()
            self.out.rename(self.out.with_name("elsewhere"))
        time.sleep(0.2)
        write_bytes(self.output(sample.id), sample.id.encode())


@pytest.mark.parametrize("engine", [LocalEngine(1), LocalEngine(2), RayEngine(2)], ids=["one", "joblib", "ray"])
def test_a_folder_that_is_gone_for_a_moment(tmp_path: Path, engine: LocalEngine | RayEngine) -> None:
    """The command ends with an error, no image has failed, and nothing is left where the folder was."""
    job = Losing(tmp_path / "out")
    names = ["a/1", "b", "goes", *(f"i{n}" for n in range(9))]
    units = job.units([WeakSample(name, Path(f"{name}.png"), Tags(frozenset())) for name in names])
    with pytest.raises(OutputError, match=r"out/?.*: cannot be written: No such file or directory"):
        run_units(job, units, title="masks", engine=engine)
    engine.release()
    assert not job.out.exists()
    (tmp_path / "elsewhere").rename(job.out)
    before = {name: job.output(name).stat().st_ino for name in names if Ledger(job.out).holds(job.output(name))}
    assert run_units(job, units, title="masks", engine=engine) == []
    assert {name: job.output(name).stat().st_ino for name in before} == before
    assert {job.output(name).read_text() for name in names} == {*names} and not Attempts(job.out).folder.exists()
    shutil.rmtree(job.out)
    assert os.listdir(tmp_path) == ["gone"]  # noqa: PTH208
