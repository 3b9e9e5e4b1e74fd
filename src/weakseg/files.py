"""Files appear whole or not at all: everything is written beside its place, flushed, and moved there in one step."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple

from weakseg.errors import OutputError, StoreError, cut

TEMPORARY_PREFIX = ".part-"
COMPACT_WIDTH = 120
MAX_DEPTH = 50
BLOCK = 1 << 20
OWNER = "WEAKSEG_OWNER"
_NUMBERED = re.compile(r"\(os error ([0-9]{1,4})\)")


class Written(NamedTuple):
    """A file as it was written; there are hundreds of thousands of them.

    Attributes:
        path: Where it is.
        num_bytes: Its size.
        written_ns: When it was last changed, by the clock of its file system.
        digest: Of its content.
    """

    path: str
    num_bytes: int
    written_ns: int
    digest: str

    @classmethod
    def of(cls, path: Path | str) -> "Written":
        """Return what is in a file now.

        Raises:
            OSError: If it cannot be read.
        """
        with open(path, "rb") as file:  # noqa: PTH123 - a Path takes longer
            status = os.fstat(file.fileno())
            return cls(os.fspath(path), status.st_size, status.st_mtime_ns, digest_of_content(file))

    def is_there(self) -> bool:
        """Return whether the file is as it was written: size and time tell, and the content where the time differs."""
        try:
            status = os.stat(self.path)  # noqa: PTH116 - a Path takes longer
            if (status.st_size, status.st_mtime_ns) == (self.num_bytes, self.written_ns):
                return True
            return status.st_size == self.num_bytes and Written.of(self.path).digest == self.digest
        except OSError:
            return False


_noted: ContextVar[list[Written] | None] = ContextVar("noted", default=None)
_home: ContextVar[Path | None] = ContextVar("home", default=None)


def owner() -> str:
    """Return what this process and the workers that it starts call themselves in the names of temporary files."""
    return os.environ.setdefault(OWNER, secrets.token_hex(6))


@contextmanager
def noting(home: Path | None = None) -> Iterator[list[Written]]:
    """Yield a list that gets every file that this thread writes meanwhile.

    Args:
        home: Folder that is there, and is not made anew for what is written in it: one that has gone may come back.
    """
    found: list[Written] = []
    tokens = _noted.set(found), _home.set(home)
    try:
        yield found
    finally:
        _noted.reset(tokens[0])
        _home.reset(tokens[1])


def digest_of_content(file: BufferedIOBase) -> str:
    """Return a hexadecimal digest of what an open file holds."""
    total = hashlib.blake2b(digest_size=16)
    while block := file.read(BLOCK):
        total.update(block)
    return total.hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it replaces ``path``, on failure it is removed.

    Raises:
        OutputError: If the folder cannot be written (read-only, disk full); the old file, if any, is untouched.
        StoreError: If the file system has no names of such a length.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{owner()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        _create(temporary)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield temporary
        written = _flushed(temporary, path)
        temporary.replace(path)
    except Exception as error:
        if (cause := system_error(error)) is None:
            raise
        raise _cannot_write(path, cause) from error
    finally:
        with suppress(OSError):  # a disk that has turned read-only; what counts is the error above
            temporary.unlink(missing_ok=True)
    if (noted := _noted.get()) is not None:
        noted.append(written)


def _create(path: Path) -> None:
    """Make an empty file, and the folders above it where they are missing, but for the home of what is noted."""
    try:
        _open_new(path)
    except FileNotFoundError:
        if (home := _home.get()) and path.is_relative_to(home) and not home.is_dir():
            raise
        path.parent.mkdir(parents=True, exist_ok=True)
        _open_new(path)


def _open_new(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less what the umask takes away


def _flushed(temporary: Path, path: Path) -> Written:
    """Bring a file to the disk, and return what is there."""
    with temporary.open("r+b") as file:
        os.fsync(file.fileno())
        status = os.fstat(file.fileno())
        digest = digest_of_content(file) if _noted.get() is not None else ""
        return Written(os.fspath(path), status.st_size, status.st_mtime_ns, digest)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside ``path``; on success it takes the place of that, on failure it is removed.

    Args:
        path: What is not there yet, or an empty folder.

    Raises:
        OutputError: If the folder cannot be written; nothing is left then.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{owner()}-{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented UTF-8 JSON to ``path`` atomically."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_compact_json(path: Path, value: Any) -> None:
    """Write ``value`` as UTF-8 JSON to ``path`` atomically; numbers, and records of them, take one line each."""
    write_bytes(path, (_compact(value, "\n") + "\n").encode())


def _compact(value: Any, line_break: str) -> str:
    """Return JSON on one line where that is short, or holds no record; ``line_break`` is followed by the indent."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line_break) + len(line) <= COMPACT_WIDTH or not _holds_records(value):
        return line
    inner = line_break + " "
    if isinstance(value, Mapping):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_compact(part, inner)}" for key, part in value.items()]
        return f"{{{inner}{f',{inner}'.join(parts)}{line_break}}}"
    return f"[{inner}{f',{inner}'.join(_compact(part, inner) for part in value)}{line_break}]"


def _holds_records(value: Any) -> bool:
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(isinstance(part, Mapping) or _holds_records(part) for part in parts)


def read_json(path: Path) -> Any:
    """Return the JSON value in ``path``.

    Raises:
        StoreError: If the file cannot be read or is no JSON.
    """
    try:
        return json_value(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read as JSON: {cut(error)}; restore it, or delete it") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in ``path``.

    Raises:
        StoreError: If the file cannot be read, or holds anything else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise StoreError(f"{path}: expected a JSON object, got {type(value).__name__}; restore it, or delete it")
    return value


def json_value(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: If it is no JSON, or nested more than 50 deep.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [part for one in layer for part in _parts_of(one) if isinstance(part, dict | list)]
        if not layer:
            return value
    raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def _parts_of(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _cannot_write(path: Path, error: OSError) -> StoreError:
    if error.errno == errno.ENAMETOOLONG:
        return StoreError(f"{str(path)[:200]}: the name is too long for this file system; give the image a shorter one")
    return OutputError(
        f"{path}: cannot be written: {error.strerror or error}; free some space{where_full(path, error)} or choose "
        "another --out folder"
    )


def where_full(path: Path, error: OSError) -> str:
    """Return which disk has no room for a file, and how much of it is free; empty where that is not what is wrong."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    with suppress(OSError, StopIteration, NotImplementedError):
        place = next(folder for folder in path.absolute().parents if folder.exists()).resolve()
        mount = next(folder for folder in (place, *place.parents) if folder.is_mount())
        room, names = shutil.disk_usage(place), os.statvfs(place) if hasattr(os, "statvfs") else None
        told = f"{room.free / 1e6:,.1f} of {room.total / 1e6:,.1f} MB are free"
        if names and names.f_files and not names.f_favail:
            told += f", but it holds {names.f_files:,} files, which are all that it can"
        return f" on the disk at {mount} ({told})"
    return ""


def system_error(error: BaseException) -> OSError | None:
    """Return the system's error that an exception is, or says that it was, as those of safetensors do.

    >>> system_error(ValueError("I/O error: No space left on device (os error 28)")).errno
    28
    """
    if isinstance(error, OSError):
        return error
    found = _NUMBERED.search(str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else None
