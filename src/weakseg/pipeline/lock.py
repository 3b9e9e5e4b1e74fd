"""One command at a time works on a folder: a lock that ends with its process, and says whose it is."""

import json
import logging
import os
import re
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from weakseg.errors import OutputError, StoreError
from weakseg.files import TEMPORARY_PREFIX, owner

LOCK_FILE = ".weakseg.lock"
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)  # a link would have another file written
_LOCKED_BYTE = 1 << 20  # on Windows; far behind what is written, as what is locked there cannot be read

logger = logging.getLogger(__name__)


class FolderLock:
    """Keeps other processes from a folder until it is released, its last user is gone, or its process has ended.

    The lock is the system's (a record lock of POSIX, or Windows's of a byte), so that none is left of a killed process.
    The file that it is on says who works on the folder, or did so last; what that one has left half written is removed.

    Args:
        folder: It must exist.

    Raises:
        StoreError: If another process works on the folder; says which.
        OutputError: If the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_FILE
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
            _lock(self._number)
        except (BlockingIOError, PermissionError) as error:
            raise StoreError(
                f"{folder}: {_described(self._read())} works on it; wait for its end, stop it, or choose another "
                "--out folder"
            ) from error
        except (OSError, ImportError) as error:
            logger.warning("%s: no locks are to be had there (%s); let one command at a time use it", folder, error)
        remove_leftovers(folder, str(self._read().get("owner", "")))
        self._write()

    def _read(self) -> dict[str, Any]:
        """Return who works on the folder, or did so last; empty where that is not known."""
        with suppress(OSError, ValueError):
            os.lseek(self._number, 0, os.SEEK_SET)
            found = json.loads(os.read(self._number, 100_000))
            return found if isinstance(found, dict) else {}
        return {}

    def _write(self) -> None:
        words = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        told = {"owner": owner(), "pid": os.getpid(), "host": socket.gethostname(), "command": words, "since": since}
        content = json.dumps(told, indent=2).encode() + b"\n"
        os.lseek(self._number, 0, os.SEEK_SET)
        os.write(self._number, content)
        os.ftruncate(self._number, len(content))


def _lock(number: int) -> None:
    """Lock an open file for this process, until it closes the file or ends.

    Raises:
        BlockingIOError or PermissionError: If another process has locked it.
        OSError: If its file system has no locks.
        ImportError: If the system has none.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(number, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


_held: WeakValueDictionary[Path, FolderLock] = WeakValueDictionary()


def lock_folder(folder: Path) -> FolderLock:
    """Return the lock of a folder, which this process may have already.

    Raises:
        StoreError: As ``FolderLock``.
        OutputError: As ``FolderLock``.
    """
    place = folder.resolve()
    lock = _held.get(place)
    if lock is None:
        try:
            lock = _held[place] = FolderLock(place)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be used as run folder: {error.strerror}; choose another --out"
            ) from error
    return lock


def remove_leftovers(folder: Path, of: str) -> None:
    """Remove what one owner, by its name of ``files.owner``, has left half written below a folder."""
    if re.fullmatch(r"[0-9a-f]{12}", of):  # the file that names it may come from anyone
        for leftover in folder.rglob(f"{TEMPORARY_PREFIX}{of}-*"):
            leftover.unlink(missing_ok=True)


def _described(who: dict[str, Any]) -> str:
    if not who:
        return "another process"
    command = str(who.get("command"))
    shown = command if len(command) <= 200 else command[:197] + "..."
    return f"process {who.get('pid')} on {who.get('host')} ({shown}; since {who.get('since')})"
