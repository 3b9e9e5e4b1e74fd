"""Two processes on one folder: the second is told of the first, and takes over when that has died."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from weakseg.errors import OutputError, StoreError
from weakseg.files import TEMPORARY_PREFIX, owner
from weakseg.pipeline import lock
from weakseg.pipeline.lock import LOCK_FILE, lock_folder
from weakseg.pipeline.share import Share
from weakseg.pipeline.store import Store

HOLD = """
import sys, time
from pathlib import Path
from weakseg.files import owner
from weakseg.pipeline.store import Store
store = Store(Path(sys.argv[1]))
print(owner(), flush=True)
time.sleep(60)
"""


WINDOWS = """
import fcntl, os, sys, types
from weakseg.pipeline import lock
def locking(number, mode, count):
    fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB, count, os.lseek(number, 0, os.SEEK_CUR))
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
lock.sys = types.SimpleNamespace(platform="win32", argv=sys.argv)
"""
"""Locks of Windows as far as they can be had elsewhere: of one byte, where the file stands."""


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that works on the folder; what it calls itself is the first line that it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "WEAKSEG_OWNER"}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.kill()


def test_the_other_process_is_named_and_its_death_ends_the_lock(tmp_path: Path, other: "subprocess.Popen[str]") -> None:
    assert other.stdout is not None
    name = other.stdout.readline().strip()
    with pytest.raises(StoreError, match=rf"process {other.pid} on \S+ \(-c .*; since \d{{4}}-.*\) works on it; wait"):
        Store(tmp_path)
    leftovers = [tmp_path / "masks" / f"{TEMPORARY_PREFIX}{of}-1.png" for of in (name, "theirs", owner())]
    leftovers.append(tmp_path / f"{TEMPORARY_PREFIX}x.png")
    (tmp_path / "masks").mkdir()
    for path in leftovers:
        path.write_bytes(b"half")
    other.send_signal(signal.SIGKILL)
    other.wait()
    store = Store(tmp_path)
    assert [path.exists() for path in leftovers] == [False, True, True, True]  # only what the dead one has left
    assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid() and store.folder == tmp_path


def test_one_process_may_open_a_folder_again(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path / "." / "x" / "..")
    assert lock_folder(first.folder) is lock_folder(second.folder)


def test_a_folder_is_free_when_the_block_ends(tmp_path: Path) -> None:
    locked = "import sys; from pathlib import Path; from weakseg.pipeline.store import Store; Store(Path(sys.argv[1]))"
    with Store(tmp_path):
        blocked = subprocess.run([sys.executable, "-c", locked, str(tmp_path)], capture_output=True, check=False)
    free = subprocess.run([sys.executable, "-c", locked, str(tmp_path)], capture_output=True, check=False)
    assert (blocked.returncode, free.returncode) == (1, 0) and b"works on it" in blocked.stderr


def test_windows_locks_a_byte_behind_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "sys", lock.sys)  # so that it comes back
    monkeypatch.setitem(sys.modules, "msvcrt", None)
    exec(WINDOWS, {})
    command = [sys.executable, "-c", WINDOWS + HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline()
        with pytest.raises(StoreError, match=rf"process {process.pid} on .* works on it"):
            Store(tmp_path)
        process.kill()
    with Store(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()
    assert (tmp_path / LOCK_FILE).stat().st_size < 1000


def test_a_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as if there were none
    assert Store(tmp_path).folder == tmp_path
    assert "no locks are to be had there" in caplog.text and "let one command at a time use it" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"owner": 3, "command": null}', b"\xff" * 300])
def test_a_damaged_note_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOCK_FILE).write_bytes(content)
    assert Store(tmp_path) and json.loads((tmp_path / LOCK_FILE).read_text())["owner"] == owner()


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(OutputError, match="cannot be used as run folder: embedded null byte"):
        Store(Path("a\0b"))


def test_a_lock_file_of_a_stranger_removes_nothing(tmp_path: Path) -> None:
    for folder in ("data", "data/.part-", "precious"):
        (tmp_path / folder).mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years")
    (tmp_path / "data" / LOCK_FILE).write_text(json.dumps({"owner": "/../../precious/*"}))
    lock_folder(tmp_path / "data")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years"


SHARDS = """
import sys, time
from pathlib import Path
from weakseg.pipeline.share import Share
from weakseg.pipeline.store import Store
store = Store(Path(sys.argv[1]), share=Share.of(sys.argv[2]) if sys.argv[2] else None)
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say whose lock is in the way")
@pytest.mark.parametrize(("works", "wanted"), [("2/5", ""), ("2/5", "2/3"), ("", "2/3")])
def test_who_works_is_not_told_by_clocks(tmp_path: Path, works: str, wanted: str) -> None:
    """Of three that have left a note the one that holds the lock is named, though its clock is an hour behind."""
    for name in ("", "-1-of-3", "-2-of-3"):
        note = {"pid": 1, "host": "fast", "command": "ended", "since": "2999-01-01 00:00:00"}
        (tmp_path / f"{LOCK_FILE}{name}").write_text(json.dumps(note))
    command = [sys.executable, "-c", SHARDS, str(tmp_path), works]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline()
        said = rf"process {process.pid} on \S+ \(-c .*since 20.*[+-]\d{{4}}\) works on it"
        with pytest.raises(StoreError, match=said):
            Store(tmp_path, share=Share.of(wanted) if wanted else None)
        process.kill()
