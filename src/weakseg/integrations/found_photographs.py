"""Photographs that another program names: looked for in one folder, and what is computed of the last ones is kept."""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from weakseg.data.image import IMAGE_SUFFIXES
from weakseg.data.paths import inside
from weakseg.errors import DataError, quoted
from weakseg.names import composed
from weakseg.photograph.photograph import Photograph

Made = TypeVar("Made")
_KEPT = 4  # photographs of which graphs are kept; each takes tens of megabytes
_LONGEST, _DEEPEST = 4096, 32  # characters of a path, and folders of one that are looked for
_LOST_BY_UPLOADS = re.compile(r"[^-\w.]")


class FoundPhotographs:
    """The photographs of a folder, by the names that another program has for them.

    Attributes:
        root: Resolved folder; nothing outside it is ever opened, and nothing is fetched.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError(f"{root}: no such folder of photographs")
        self.root = root.resolve()
        self._kept: OrderedDict[tuple[str, int, int], Photograph] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, name: str, where: str) -> Path:
        """Return the file that a name means.

        It is the path from the folder, or the longest end of it that there is; else the one file of its last name at
        any depth, where blanks may have become underscores and signs been lost, as uploads do.

        Raises:
            DataError: If there is none, or several, or the name leads outside of the folder.
        """
        if len(name) > _LONGEST:
            raise DataError(f"{where}: {quoted(name)} has {len(name)} characters, more than any path")
        parts = PurePosixPath(name.replace("\\", "/")).parts
        inside(self.root, name, where)
        for start in range(max(len(parts) - _DEEPEST, 0), len(parts)):
            path = inside(self.root, str(PurePosixPath(*parts[start:])), where)
            if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
                return path
        found = self._alike(parts[-1] if parts else "")
        if len(found) == 1:
            return inside(self.root, found[0], where)
        if found:
            raise DataError(f"{where}: {quoted(name)} may be {found[0]!r} or {found[1]!r}; rename one")
        raise DataError(f"{where}: {quoted(name)} is no photograph in {self.root}; put it there, or give its folder")

    def _alike(self, name: str) -> list[str]:
        """Return the paths of files of a name, or of one that uploading turns into it."""
        files = [path for path in self.root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
        names = {path.relative_to(self.root).as_posix(): path.name for path in sorted(files)}
        same = [path for path, own in names.items() if composed(own) == composed(name)]
        return same or [path for path, own in names.items() if _uploaded(own) == _uploaded(name)]

    def work_on(self, path: Path, work: Callable[[Photograph], Made]) -> Made:
        """Return what ``work`` makes of a photograph, one at a time.

        Raises:
            DataError: If it cannot be read; or whatever ``work`` raises.
        """
        with self._lock:
            return work(self._photograph(path))

    def _photograph(self, path: Path) -> Photograph:
        """Return a photograph, with what has been computed of it where its file is as it was."""
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); was it deleted?") from error
        key = (str(path), status.st_mtime_ns, status.st_size)
        found = self._kept.pop(key, None) or Photograph(path)
        self._kept[key] = found
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found


def _uploaded(name: str) -> str:
    """Return what uploading makes of a file name: blanks become underscores, other signs go."""
    return _LOST_BY_UPLOADS.sub("", composed(name).strip().replace(" ", "_"))
