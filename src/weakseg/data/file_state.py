"""Whether a file is still the one that was looked at: its size and times tell, and its content where these differ."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from weakseg.errors import DataError
from weakseg.files import Written


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was found.

    Attributes:
        content_hash: BLAKE2b of its bytes, hexadecimal.
        num_bytes: Its size.
        mtime_ns: When its content was last written, as it says of itself.
        changed_ns: When the file system last noted a change of it, which nobody sets.
    """

    content_hash: str
    num_bytes: int
    mtime_ns: int
    changed_ns: int = 0

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """Return the state of a file, whose bytes are read in parts.

        Raises:
            DataError: If it cannot be read.
        """
        status = _status_of(path)
        return cls(_hash_of(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def seems_same(self, path: Path) -> bool:
        """Return whether size and times are those of the file now; nothing of it is read.

        Raises:
            DataError: If it cannot be found.
        """
        status = _status_of(path)
        return (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (
            self.num_bytes,
            self.mtime_ns,
            self.changed_ns,
        )

    def check(self, path: Path) -> None:
        """Refuse a file whose content is another.

        Raises:
            DataError: If it has changed, or cannot be read.
        """
        if not self.seems_same(path) and _hash_of(path) != self.content_hash:
            raise DataError(
                f"{path}: has changed since it was first looked at; put the old file back, or begin anew with this one"
            )


def _status_of(path: Path) -> os.stat_result:
    try:
        status = os.stat(path)  # noqa: PTH116 - twice as fast
    except OSError as error:
        raise DataError(f"{path}: no such image file ({error.strerror}); check the path in the label file") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: no such image file, but something else of the name; check the path in the label file")
    return status


def _hash_of(path: Path) -> str:
    try:
        return Written.of(path).digest
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
