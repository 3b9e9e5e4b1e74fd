"""How commands end, as processes: exit codes, streams that cannot be written, and workers that end with them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from weakseg.cli import ends, main
from weakseg.errors import DataError

COMMAND = [sys.executable, "-m", "weakseg"]
WORK = """
import os, sys, time
from pathlib import Path
from weakseg.cli import main as cli, words
from weakseg.pipeline.engines.local import LocalEngine

def note(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)

folder, sys.argv[1:] = sys.argv[1], ["words"]
words.main = lambda _: list(LocalEngine(2).map(note, [folder] * 4, title="test")) and 0
sys.exit(cli.main())
"""

STARTING = """
import multiprocessing, signal, sys, time
from pathlib import Path
from weakseg.cli import main as cli, words

def wait(_):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    (Path(folder) / str(child.pid)).touch()
    time.sleep(60)

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
folder, sys.argv[1:] = sys.argv[1], ["words"]
words.main = wait
sys.exit(cli.main())
"""


def ended(*words: str, close: int | None = None, stdout: int = subprocess.PIPE, **environment: str) -> tuple[int, str]:
    """Return the exit code of a command and what it says on standard error."""
    done = subprocess.run(
        [*COMMAND, *words],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        preexec_fn=None if close is None else lambda: os.close(close),
    )
    return done.returncode, done.stderr.decode(errors="replace")


def test_a_reader_that_has_gone_is_no_success() -> None:
    with subprocess.Popen([*COMMAND, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.wait() == ends.EXIT_BROKEN_PIPE and process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_no_success() -> None:
    with Path("/dev/full").open("wb") as full:
        code, said = ended("--help", stdout=full.fileno())
    assert code == 2 and said == "weakseg: standard output cannot be written: No space left on device\n"


def test_closed_streams_stop_nothing() -> None:
    assert ended("nonsense", close=2) == (2, "")
    assert ended("--help", close=1) == (0, "")
    assert ended("--help", close=0) == (0, "")


def test_characters_that_a_terminal_cannot_show_are_escaped(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    code, said = ended("report", str(tmp_path / "犬"), **plain)
    assert code == 2 and "no run folder" in said and said.isascii() and "Traceback" not in said


@pytest.mark.parametrize(("error", "code", "said"), [
    (DataError("torn"), 2, "weakseg words: torn"),
    (BrokenPipeError(32, "Broken pipe"), 141, ""),
    (OSError(28, "No space left on device"), 2, "weakseg: standard output cannot be written: No space left"),
    (OSError(28, "No space left on device", "a.png"), 2, "this is a bug of weakseg"),
    (KeyboardInterrupt(), 130, "weakseg words: stopped"),
    (ends.Terminated(), 143, "weakseg words: stopped"),
    (ZeroDivisionError(), 2, "this is a bug of weakseg"),
])  # fmt: skip
def test_what_ends_a_command(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr("weakseg.cli.words.main", fail)
    assert main.main(["words"]) == code and said in capsys.readouterr().err


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Return how long it took until a condition held, at most ``seconds``."""
    begun = time.monotonic()
    while not condition() and time.monotonic() - begun < seconds:
        time.sleep(0.05)
    return time.monotonic() - begun


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_command_and_leave_nothing(stop: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path)], stderr=subprocess.PIPE) as process:
        until(lambda: len(list(tmp_path.iterdir())) == 2 or process.poll() is not None, 60)
        workers = [int(path.name) for path in tmp_path.iterdir()]
        process.send_signal(stop)
        took = until(lambda: not any(map(psutil.pid_exists, workers)), 10)
        assert process.wait(10) == (143 if stop == signal.SIGTERM else -9)
        said = process.stderr.read() if process.stderr else b""
    assert len(workers) == 2 and took < (2 if stop == signal.SIGTERM else 5), said.decode()
    assert b"resource_tracker" not in said
    shared = Path("/dev/shm")
    mine = (str(process.pid), *map(str, workers))
    if shared.is_dir():
        until(lambda: not [path for path in shared.iterdir() if any(number in path.name for number in mine)], 3)
        assert not [path for path in shared.iterdir() if any(number in path.name for number in mine)]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_worker_that_is_still_starting_ends_with_its_command(stop: signal.Signals, code: int, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTING, str(tmp_path)], stderr=subprocess.PIPE) as process:
        until(lambda: any(tmp_path.iterdir()) or process.poll() is not None, 60)
        (worker,) = (int(path.name) for path in tmp_path.iterdir())
        process.send_signal(stop)
        assert process.wait(10) == code
        until(lambda: not psutil.pid_exists(worker), 2)
        assert not psutil.pid_exists(worker)
