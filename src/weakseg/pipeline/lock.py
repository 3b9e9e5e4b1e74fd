"""One command at a time works on a folder, or several shards: locks that end with their process, and say whose."""

import json
import logging
import os
import re
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from weakseg.errors import OutputError, StoreError
from weakseg.files import TEMPORARY_PREFIX, owner, write_bytes
from weakseg.pipeline.share import MOST, Share

LOCK_FILE = ".weakseg.lock"
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)  # a link would have another file written
_LOCKED_BYTE = 1 << 20  # far behind what is written, as what is locked cannot be read on Windows
_LOCK_FORMAT = "@hhqqi4x"  # Linux's struct flock: kind, from where, start, length, process

logger = logging.getLogger(__name__)


class FolderLock:
    """Keeps other processes from a folder until it is released, its last user is gone, or its process has ended.

    The lock is the system's (a record lock of POSIX, or Windows's of bytes), so that none is left of a killed process.
    A shard locks a byte, that of its number; whoever works on the whole folder locks all of them. A file says who works
    on the folder, or on a shard, or did so last; what that one has left half written is removed.

    Args:
        folder: It must exist.
        share: Which shard; ``None``: the whole folder.

    Raises:
        StoreError: If another process works on the folder; says which.
        OutputError: If the folder cannot be written.
    """

    def __init__(self, folder: Path, share: Share | None = None) -> None:
        self.path, self.share = folder / LOCK_FILE, share
        self._number = os.open(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        try:
            self._take(folder)
        except BaseException:
            os.close(self._number)
            raise

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):  # which ends the lock
            os.close(self._number)

    def _take(self, folder: Path) -> None:
        try:
            _lock(self._number, self.share)
        except (BlockingIOError, PermissionError) as error:
            raise StoreError(
                f"{folder}: {self._who(folder)} works on it; wait for its end, stop it, or choose another --out folder"
            ) from error
        except (OSError, ImportError) as error:
            logger.warning("%s: no locks are to be had there (%s); let one command at a time use it", folder, error)
        told = [_note_of(folder, self.share)] if self.share else [self.path, *_notes(folder)]
        remove_leftovers(folder, *(str(self._read(path).get("owner", "")) for path in told))
        self._write(folder)

    def _who(self, folder: Path) -> str:
        """Return who works on the folder: whose lock is in the way, not who says the later time, as clocks differ."""
        number, pid = _in_the_way(self._number, self.share)
        of_shards = [path for path in _notes(folder) if number is None or f"-{number}-of-" in path.name]
        noted = [self._read(path) for path in ([] if number else [self.path]) + ([] if number == 0 else of_shards)]
        of_process = [one for one in noted if one.get("pid") == pid]
        return _described(max(of_process or noted, key=lambda one: str(one.get("since", "")), default={}))

    def _read(self, path: Path) -> dict[str, Any]:
        """Return who works on the folder, or did so last; empty where that is not known."""
        with suppress(OSError, ValueError):
            if path == self.path:  # to open it again, and close that, would end the lock
                os.lseek(self._number, 0, os.SEEK_SET)
                found = json.loads(os.read(self._number, 100_000))
            else:
                found = json.loads(path.read_bytes())
            return found if isinstance(found, dict) else {}
        return {}

    def _write(self, folder: Path) -> None:
        words = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        told = {"owner": owner(), "pid": os.getpid(), "host": socket.gethostname(), "command": words, "since": since}
        content = json.dumps(told, indent=2).encode() + b"\n"
        if self.share:
            write_bytes(_note_of(folder, self.share), content)
            return
        for note in _notes(folder):
            note.unlink(missing_ok=True)
        os.lseek(self._number, 0, os.SEEK_SET)
        os.write(self._number, content)
        os.ftruncate(self._number, len(content))


def _note_of(folder: Path, share: Share) -> Path:
    """Return the file that says who works on a shard."""
    return folder / f"{LOCK_FILE}-{share.name}"


def _notes(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{LOCK_FILE}-*"))


def _lock(number: int, share: Share | None) -> None:
    """Lock an open file for this process, or a shard's byte of it, until it closes the file or ends.

    Raises:
        BlockingIOError or PermissionError: If another process has locked it.
        OSError: If its file system has no locks.
        ImportError: If the system has none.
    """
    start, count = (_LOCKED_BYTE + share.number, 1) if share else (_LOCKED_BYTE, MOST + 1)
    if sys.platform == "win32":
        import msvcrt

        os.lseek(number, start, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_NBLCK, count)
    else:
        import fcntl

        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB, *((count, start) if share else ()))


def _in_the_way(number: int, share: Share | None) -> tuple[int | None, int]:
    """Return the shard whose lock is in the way, 0 for the whole folder, and its process; ``None``: none says so."""
    start = _LOCKED_BYTE + share.number if share else 0
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError, struct.error):
            asked = struct.pack(_LOCK_FORMAT, fcntl.F_WRLCK, os.SEEK_SET, start, int(share is not None), 0)
            kind, _, start, _, pid = struct.unpack(_LOCK_FORMAT, fcntl.fcntl(number, fcntl.F_GETLK, asked))
            return (None if kind == fcntl.F_UNLCK else max(0, start - _LOCKED_BYTE)), pid
    return None, 0


_held: WeakValueDictionary[tuple[Path, Share | None], FolderLock] = WeakValueDictionary()


def lock_folder(folder: Path, share: Share | None = None) -> FolderLock:
    """Return the lock of a folder, or of a shard of it, which this process may have already.

    Raises:
        StoreError: As ``FolderLock``.
        OutputError: As ``FolderLock``.
    """
    place = folder.resolve()
    lock = _held.get((place, share))
    if lock is None:
        if any(held == place for held, _ in _held):  # this process has no lock against itself
            raise StoreError(f"{folder}: this process works on it in another way; let one shard at a time do so")
        try:
            lock = _held[place, share] = FolderLock(place, share)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be used as run folder: {error.strerror}; choose another --out"
            ) from error
    return lock


def remove_leftovers(folder: Path, *owners: str) -> None:
    """Remove what owners, by their names of ``files.owner``, have left half written below a folder."""
    known = {of for of in owners if re.fullmatch(r"[0-9a-f]{12}", of)}  # the file that names one may come from anyone
    if known:
        for leftover in folder.rglob(f"{TEMPORARY_PREFIX}*"):
            if leftover.name.removeprefix(TEMPORARY_PREFIX).partition("-")[0] in known:
                leftover.unlink(missing_ok=True)


def _described(who: dict[str, Any]) -> str:
    if not who:
        return "another process"
    command = str(who.get("command"))
    shown = command if len(command) <= 200 else command[:197] + "..."
    return f"process {who.get('pid')} on {who.get('host')} ({shown}; since {who.get('since')})"
