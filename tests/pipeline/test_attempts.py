"""Units that end the process that works on them, in every engine, and what is left of commands that were killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import OutputError, WeaksegError
from weakseg.files import write_bytes
from weakseg.pipeline import spread
from weakseg.pipeline.attempts import ATTEMPTS_FOLDER, Attempts, marker_of
from weakseg.pipeline.engines import Engine
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.engines.ray import RayEngine
from weakseg.pipeline.engines.ray_cluster import disconnect
from weakseg.pipeline.spread import run_units
from weakseg.pipeline.units import ImageJob, Unit, batches

LOCAL, RAY = LocalEngine(2), RayEngine(2, units_per_call=3)
ENGINES = pytest.mark.parametrize("engine", [LOCAL, RAY], ids=["joblib", "ray"])


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    yield
    for engine in (LOCAL, RAY):
        engine.release()
    disconnect()


@dataclass(frozen=True)
class Deadly(ImageJob):
    """Writes an image's name; ``segfault`` ends its process, ``once`` the first time alone, ``wait`` takes a while."""

    out: Path
    suffix: ClassVar[str] = ".txt"

    def one(self, sample: WeakSample) -> None:
        note(self.out.parent / "begun" / sample.id.replace("/", "_"))
        if "segfault" in sample.id:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "once" in sample.id and not (self.out.parent / "killed").exists():
            (self.out.parent / "killed").write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        if "wait" in sample.id:
            time.sleep(1)
        write_bytes(self.output(sample.id), sample.id.encode())


@dataclass(frozen=True)
class DeadlyBatch(Deadly):
    def units(self, samples: list[WeakSample]) -> list[Unit]:  # type: ignore[override]
        return batches(samples, 3)


def note(path: Path) -> None:
    """Count a call by one more letter."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write("x")


def samples(*names: str) -> list[WeakSample]:
    return [WeakSample(name, Path(f"{name}.png"), Tags(frozenset())) for name in names]


def do(job: Deadly, names: list[str], engine: Engine) -> dict[str, str]:
    failures = run_units(job, job.units(samples(*names)), title="masks", engine=engine)
    assert all(failure.passing for failure in failures)
    return {failure.image_id: failure.reason for failure in failures}


def done(job: Deadly) -> set[str]:
    return {path.stem for path in job.out.glob("[!.]*.txt")}  # whoever is killed may leave half a file, which is hidden


def tries(job: Deadly, name: str) -> int:
    return len((job.out.parent / "begun" / name).read_text())


@ENGINES
def test_an_image_that_ends_its_process_is_given_up_after_two_tries(tmp_path: Path, engine: Engine) -> None:
    job, names = Deadly(tmp_path / "out"), [*(f"i{n}" for n in range(8)), "segfault", *(f"j{n}" for n in range(8))]
    failures = do(job, names, engine)
    assert list(failures) == ["segfault"] and done(job) == {*names} - {"segfault"}
    assert "ended twice, the second time with nothing else at work" in failures["segfault"]
    assert "leave it out" in failures["segfault"] and tries(job, "segfault") == 2
    assert [path.name for path in (tmp_path / "out" / ATTEMPTS_FOLDER).iterdir()] == [
        marker_of(Unit(tuple(samples("segfault"))))
    ]
    assert list(do(job, names, engine)) == ["segfault"] and tries(job, "segfault") == 3  # alone from the first
    if engine is LOCAL:
        assert "SIGSEGV: a library failed" in failures["segfault"]


@ENGINES
def test_a_killed_process_costs_no_image(tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    job, names = Deadly(tmp_path / "out"), [*(f"i{n}" for n in range(8)), "once", *(f"j{n}" for n in range(8))]
    assert do(job, names, engine) == {} and done(job) == {*names} and tries(job, "once") == 2
    assert not (tmp_path / "out" / ATTEMPTS_FOLDER).exists()
    (said,) = [record.getMessage() for record in caplog.records if record.name == "weakseg.pipeline.spread"]
    assert said.startswith("masks: a process was ended") and "the others go on; each of these is tried alone" in said


def test_one_process_is_this_one_until_an_image_is_suspect(tmp_path: Path) -> None:
    """What an earlier command was working on when it died is tried in a process of its own."""
    job = Deadly(tmp_path / "out")
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from test_attempts import Deadly, LocalEngine, do\n"
        "do(Deadly(Path(sys.argv[1]) / 'out'), ['a', 'segfault', 'b'], LocalEngine(1))\n"
    )
    here = str(Path(__file__).parent)
    dead = subprocess.run([sys.executable, "-c", script, str(tmp_path), here], capture_output=True, check=False)
    assert dead.returncode == -signal.SIGSEGV and done(job) == {"a"}
    assert list(do(job, ["a", "segfault", "b"], LocalEngine(1))) == ["segfault"] and done(job) == {"a", "b"}
    assert tries(job, "segfault") == 2


def test_a_killed_command_condemns_nobody(tmp_path: Path) -> None:
    check_killed_commands(tmp_path, LOCAL, kills=2)


def check_killed_commands(tmp_path: Path, engine: Engine, *, kills: int) -> None:
    """Kill commands while they work on some images, then do these: none of them has failed."""
    job, names = Deadly(tmp_path / "out"), ["wait0", "wait1", "wait2", "wait3", "a"]
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from test_attempts import Deadly, LOCAL, RAY, do\n"
        "if __name__ == '__main__':\n"
        f"    do(Deadly(Path(sys.argv[1]) / 'out'), {names!r}, {'RAY' if engine is RAY else 'LOCAL'})\n"
    )
    (tmp_path / "driver.py").write_text(script)
    here = str(Path(__file__).parent)
    for _ in range(kills):
        command = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path), here]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
            until = time.monotonic() + 60
            while not Attempts(job.out).left() - before(job) and time.monotonic() < until:
                time.sleep(0.05)
            started = psutil.Process(driver.pid).children(recursive=True)
            driver.kill()
            driver.wait()
            psutil.wait_procs(started, timeout=1)
    assert Attempts(job.out).left()
    assert do(job, names, engine) == {} and done(job) == {*names}
    assert not (tmp_path / "out" / ATTEMPTS_FOLDER).exists()


def before(job: Deadly) -> frozenset[str]:
    """Return the markers of images that are done: of a command that was killed after their end."""
    return frozenset(marker_of(Unit(tuple(samples(name)))) for name in done(job))


def test_a_batch_with_such_an_image_is_tried_image_by_image(tmp_path: Path) -> None:
    job = DeadlyBatch(tmp_path / "out")
    assert list(do(job, ["a", "b-segfault", "c", "d", "e"], LOCAL)) == ["b-segfault"]
    assert done(job) == {"a", "c", "d", "e"}


def test_processes_that_end_before_they_begin_are_an_error(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Unstarted(Deadly):
        def __reduce__(self) -> tuple[object, ...]:
            return os.kill, (Killed(), signal.SIGKILL)

    job = Unstarted(tmp_path / "out")
    with pytest.raises(WeaksegError, match="a process was ended by the system"):
        do(job, ["a", "b"], LOCAL)


class Killed:
    """Becomes the process that unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.getpid, ()


def test_where_every_image_ends_its_process_it_is_no_fault_of_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "MANY", 2)
    names = [f"segfault{n}" for n in range(4)]
    with pytest.raises(WeaksegError, match="2 images have ended their processes, and none was done"):
        do(Deadly(tmp_path / "out"), names, LOCAL)


def test_an_orderly_end_leaves_no_marker(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Stopped(Deadly):
        def one(self, sample: WeakSample) -> None:
            super().one(sample)
            if sample.id == "full":
                raise OutputError("no space")

    job = Stopped(tmp_path / "out")
    with pytest.raises(OutputError):
        do(job, ["a", "full", "wait0", "wait1"], LOCAL)
    time.sleep(0.2)
    assert Attempts(job.out).left() == frozenset()


def test_a_folder_that_has_gone_is_an_error_and_is_not_made_anew(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Going(Deadly):
        def one(self, sample: WeakSample) -> None:
            if sample.id == "b" and self.out.exists():
                self.out.rename(self.out.with_name("elsewhere"))
                return
            super().one(sample)

    job, names = Going(tmp_path / "out"), ["a", "b", "c", "d"]
    with pytest.raises(OutputError, match=r"see that .* is there"):
        do(job, names, LocalEngine(1))
    assert not job.out.exists()
    (tmp_path / "elsewhere").rename(job.out)
    later = Deadly(job.out)
    assert do(later, names, LocalEngine(1)) == {} and done(later) == {*names} and tries(later, "a") == 1
