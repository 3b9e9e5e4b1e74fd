"""What takes too long for CI: processes of one command that are killed, and errors late. ``make scale`` runs it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from four_images import four_words, halve_image_of, write_four
from weakseg.cli.several import start


def kill_when(there: Path, number: int, killed: list[int]) -> None:
    """Kill the first or second process that this one has started, once a file is there."""
    while not there.exists():
        time.sleep(0.05)
    children = [child for child in psutil.Process().children() if "train-segmenter" in child.cmdline()]
    killed.extend(child.pid for child in children)
    os.kill(sorted(killed)[number], signal.SIGKILL)


@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_is_killed_ends_all(tmp_path: Path, number: int, capfd: pytest.CaptureFixture[str]) -> None:
    killed: list[int] = []
    state = write_four(tmp_path) / "out" / "state.pt"
    threading.Thread(target=kill_when, args=(state, number, killed), daemon=True).start()
    words = [*four_words(tmp_path, "out"), "--fit.epochs=200"]
    assert start(2, words) == 2
    said = capfd.readouterr().err
    assert len(killed) == 2 and not any(map(psutil.pid_exists, killed))
    assert f"process {number} of 2 was ended by the system (signal 9)" in said
    assert said.count("another process of this command has ended") <= 1


def test_an_image_that_the_first_process_cannot_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = halve_image_of(0, write_four(tmp_path))
    assert start(2, four_words(tmp_path, "out")) == 2
    said = capfd.readouterr().err
    assert said.count("weakseg train-segmenter: ") == 1 and f"{path}: cannot be read as an image" in said, said


COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where a shell has put the tests aside
from weakseg.cli.ends import as_process
from weakseg.cli.several import start
sys.exit(as_process(lambda: start(2, sys.argv[1:])))
"""


def ended_by(number: int, folder: Path, *, group: bool) -> tuple[int, str]:
    """Start a long training as two processes, send a signal once it trains, and return exit code and messages."""
    state, words = write_four(folder) / "out" / "state.pt", [*four_words(folder, "out"), "--fit.epochs=200"]
    command = [sys.executable, "-c", COMMAND, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not state.exists():
            time.sleep(0.05)
        children = psutil.Process(process.pid).children()
        (os.killpg if group else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=60)  # its end is that of all who have the stream
        assert len(children) == 2 and not psutil.wait_procs(children, timeout=10)[1]
        return process.returncode, said


def test_an_interrupt_from_the_terminal_is_told_once(tmp_path: Path) -> None:
    code, said = ended_by(signal.SIGINT, tmp_path, group=True)
    assert code == 130 and said.count("stopped; what is finished is kept") == 1 and "Traceback" not in said, said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_processes_end_with_the_one_that_has_started_them(tmp_path: Path, number: int, code: int) -> None:
    found, said = ended_by(number, tmp_path, group=False)
    assert found == code and "Traceback" not in said, said
