"""Faults of engines that take their time: ``make scale``."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_attempts import RAY, Deadly, check_killed_commands, do, ended  # noqa: F401

CHECK = """
import os, sys, time
from pathlib import Path
from weakseg.errors import ConfigError
from weakseg.pipeline.options import RunOptions
engine = RunOptions(device="cpu", engine="ray", address=sys.argv[1]).resolve().make_engine()
for folder in map(Path, sys.argv[2:]):
    try:
        engine.check_folder(folder)
        print("shared", len(list(folder.iterdir())))
    except ConfigError as error:
        print(error)
def work(item):
    time.sleep(0.2)
    return os.getpid()
print(engine.workers, len({process for _, process in engine.map(work, list(range(12)), title="work")}))
"""
ENVIRONMENT = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


def test_a_killed_command_on_ray_condemns_nobody(tmp_path: Path) -> None:
    check_killed_commands(tmp_path, RAY, kills=2)


def test_two_commands_that_share_no_folder_share_no_ray(tmp_path: Path) -> None:
    """Each has a Ray of its own, and the end of one is not that of the other."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from test_attempts import Deadly, RAY, do\n"
        "if __name__ == '__main__':\n"
        "    do(Deadly(Path(sys.argv[1])), ['wait0', 'wait1', 'a'], RAY)\n"
    )
    (tmp_path / "driver.py").write_text(script)
    here = str(Path(__file__).parent)
    for name in "xy":
        (tmp_path / name).mkdir()
    commands = [[sys.executable, str(tmp_path / "driver.py"), str(tmp_path / name / "out"), here] for name in "xy"]
    started = [subprocess.Popen(command) for command in commands]
    assert [one.wait() for one in started] == [0, 0]
    assert all(len(list((tmp_path / name / "out").glob("*.txt"))) == 3 for name in "xy")


@contextmanager
def ray_start(log: Path, *words: str, before: tuple[str, ...] = ()) -> Iterator[None]:
    """Run a machine of a cluster: the real command."""
    ray = str(Path(sys.executable).with_name("ray"))
    command = [*before, ray, "start", "--num-cpus", "1", "--object-store-memory", "80000000", "--block", *words]
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, env=ENVIRONMENT) as process:
        until = time.monotonic() + 60
        while "--block" not in log.read_text() and time.monotonic() < until:
            time.sleep(0.2)
        try:
            yield
        finally:
            process.terminate()


def can_mount() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="a machine that sees other folders needs the right to mount some")
def test_a_folder_that_a_machine_does_not_see_is_refused_with_its_reason(tmp_path: Path) -> None:
    """A cluster of two machines, one of which has an empty file system where the run folder is."""
    hidden, seen = tmp_path / "hidden", tmp_path / "seen"
    hidden.mkdir()
    seen.mkdir()
    port = "6399"
    alone = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs none {hidden} && exec "$0" "$@"')
    with (
        ray_start(tmp_path / "head.log", "--head", "--port", port, "--include-dashboard", "false"),
        ray_start(tmp_path / "node.log", "--address", f"127.0.0.1:{port}", before=alone),
    ):
        command = [sys.executable, "-c", CHECK, f"127.0.0.1:{port}", str(hidden), str(seen)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=180)
    refused, shared, workers = done.stdout.splitlines()
    assert refused.startswith(f"{hidden}: not shared with machine ") and "it does not see the folder" in refused
    assert "at the same path, on a file system they share" in refused
    assert (shared, workers) == ("shared 0", "2 2") and list(hidden.iterdir()) == []


def test_a_long_job_with_many_deaths(tmp_path: Path) -> None:
    """Six of sixty images end their processes, wherever they are."""
    names = [f"{'segfault' if n % 10 == 7 else 'i'}{n}" for n in range(60)]
    job = Deadly(tmp_path / "out")
    failures = do(job, names, RAY)
    assert set(failures) == {name for name in names if name.startswith("segfault")}
    assert {path.stem for path in job.out.glob("*.txt")} == {name for name in names if name.startswith("i")}
