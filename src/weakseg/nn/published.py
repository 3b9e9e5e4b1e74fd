"""Weights that others have published: fetched into the user's cache when asked for, and checked by their digest."""

import hashlib
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from urllib.error import URLError

from weakseg.errors import CheckpointError, ConfigError, cut
from weakseg.files import atomic_path
from weakseg.progress import track

TIMEOUT_S = 30.0
BLOCK = 1 << 16


@dataclass(frozen=True)
class Published:
    """A file of weights.

    Attributes:
        file: Its name in the cache.
        url: Where it is published.
        sha256: Hexadecimal digest of its content.
        num_bytes: Its size.
        about: What it is, whose, its licence, and what it learned from.
    """

    file: str
    url: str
    sha256: str
    num_bytes: int
    about: str


PUBLISHED: dict[str, Published] = {
    "u2netp": Published(
        file="u2netp.onnx",
        url="https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx",
        sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        num_bytes=4_574_861,
        about="U2-Net-p (Qin et al. 2020), saliency; Apache-2.0; learned from masks of pixels (DUTS)",
    ),
}


def cache_folder() -> Path:
    """Return the folder of fetched weights.

    ``WEAKSEG_CACHE``, else ``weakseg`` in ``XDG_CACHE_HOME``, else in the folder that the system has for caches.
    """
    if own := os.environ.get("WEAKSEG_CACHE", ""):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if shared and Path(shared).is_absolute():  # others are to be ignored
        return Path(shared) / "weakseg"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "weakseg"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "weakseg" / "cache"
    return Path.home() / ".cache" / "weakseg"


def place_of(name: str) -> Path:
    """Return where the cache has the file of a name of ``PUBLISHED``, whether it is there or not."""
    return cache_folder() / "weights" / PUBLISHED[name].file


def find_weights(name: str) -> Path:
    """Return the file of a name of ``PUBLISHED``, as it was published.

    Raises:
        ConfigError: If it is not in the cache.
        CheckpointError: If it is damaged.
    """
    path = place_of(name)
    if not path.is_file():
        raise ConfigError(
            f"{path}: is not there; weakseg weights get {name} fetches it, weakseg weights add FILE takes one that is"
        )
    if sha256_of(path) != PUBLISHED[name].sha256:
        raise CheckpointError(f"{path}: is damaged; weakseg weights get {name} fetches it anew")
    return path


def get_weights(name: str) -> Path:
    """Fetch the file of a name of ``PUBLISHED`` into the cache, unless it is there, and return it.

    Raises:
        CheckpointError: If it cannot be fetched, or is not what was published; the cache is then as before.
        OutputError: If the cache cannot be written.
    """
    path, wanted = place_of(name), PUBLISHED[name]
    if path.is_file() and sha256_of(path) == wanted.sha256:
        return path
    with atomic_path(path) as temporary, _fetching(wanted):
        _fetch(wanted, temporary)
        if (found := sha256_of(temporary)) != wanted.sha256:
            raise CheckpointError(
                f"{wanted.url}: is not what was published: its SHA-256 is {found}, expected {wanted.sha256}; nothing "
                "was kept"
            )
    return path


def add_weights(file: Path) -> tuple[str, Path]:
    """Copy a file that is one of ``PUBLISHED`` into the cache; return its name there, and the copy.

    Raises:
        CheckpointError: If it cannot be read, or is none of them.
        OutputError: If the cache cannot be written.
    """
    try:
        found = sha256_of(file)
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read ({error.strerror or error}); give a file of weights") from error
    name = next((name for name, known in PUBLISHED.items() if known.sha256 == found), None)
    if name is None:
        known = ", ".join(f"{name} {one.sha256}" for name, one in PUBLISHED.items())
        raise CheckpointError(
            f"{file}: is none of the known weights: its SHA-256 is {found}, theirs are {known}; a setting called file "
            "takes others as they are"
        )
    with atomic_path(place_of(name)) as temporary:
        shutil.copyfile(file, temporary)
    return name, place_of(name)


def sha256_of(path: Path) -> str:
    """Return the hexadecimal digest of a file's content.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _fetching(wanted: Published) -> Iterator[None]:
    """Turn errors of the network into one that says what to do."""
    try:
        yield
    except (URLError, TimeoutError, ConnectionError, SSLError, HTTPException) as error:  # others are of the disk
        raise CheckpointError(
            f"{wanted.url}: cannot be fetched ({cut(error)}); where there is no network, fetch it on another machine "
            f"and give it by weakseg weights add {wanted.file}"
        ) from error


def _fetch(wanted: Published, out: Path) -> None:
    """Write what a server sends, of which not more than the wanted size is read."""
    request = urllib.request.Request(wanted.url, headers={"User-Agent": "weakseg"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer, out.open("wb") as file:
        read = 0
        with track(f"{wanted.file}, kB", wanted.num_bytes // 1000) as advance:
            while block := answer.read(BLOCK):
                advance((read + len(block)) // 1000 - read // 1000)
                read += len(block)
                file.write(block)
                if read > wanted.num_bytes:
                    return  # the digest differs
        if read < wanted.num_bytes:
            raise ConnectionError(f"it ended after {read} of {wanted.num_bytes} bytes")
