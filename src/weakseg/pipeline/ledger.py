"""What a folder of products holds, as it was written, so that "done" is what is checked and not what is there."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from weakseg.errors import OutputError, StoreError
from weakseg.files import Written, json_value, where_full, write_bytes
from weakseg.lasting import lasting
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.share import SHARDS_FOLDER, Share

LEDGER = "written.jsonl"
OF_SHARD, TAKEN = ".jsonl", ".taken"
STATE_FILE = "state.pt"
"""What a training resumes from; nothing depends on it once the step is finished, so that it may be deleted then."""


class Ledger:
    """The files that a step has written, with size, time and digest; a line is added for each as soon as it is there.

    A file is taken for the one that was written if size and time agree, or else the content. Of the shards that work on
    a folder each adds lines to a ledger of its own, and reads those of all.

    Args:
        folder: Of the files; what it holds beside them counts for nothing.
        share: Whose ledger gets what is added; ``None``: that of the folder.

    Raises:
        StoreError: If a ledger is there but cannot be read.
    """

    def __init__(self, folder: Path, share: Share | None = None) -> None:
        self.folder = folder
        self._path = ledger_of(folder, share) if share else folder / LEDGER
        self._files = read_ledger(folder / LEDGER, folder)
        for path in ledgers_of_shards(folder):
            for name, each in read_ledger(path, folder).items():
                known = self._files.get(name)
                if not known or known.digest == each.digest or not known.is_there():  # two may have raced
                    self._files[name] = each

    @property
    def files(self) -> Mapping[str, Written]:
        """The files, by name."""
        return self._files

    def __len__(self) -> int:
        return len(self._files)

    def holds(self, path: Path) -> bool:
        """Return whether a file is there as it was written."""
        written = self._files.get(path.relative_to(self.folder).as_posix())
        return written is not None and written.is_there()

    def unfit(self) -> list[str]:
        """Return the names of the files that are missing, or are not as they were written."""
        return [name for name, written in self._files.items() if not written.is_there()]

    def add(self, written: Iterable[Written]) -> None:
        """Note files of the folder; others are left out.

        Raises:
            OutputError: If the ledger cannot be written.
        """
        own = {self._name(each): each for each in written if Path(each.path).is_relative_to(self.folder)}
        own = {name: each for name, each in own.items() if name not in (LEDGER, STATE_FILE)}
        if not own:
            return
        self._files |= own
        lines = "".join(_line(name, each) for name, each in own.items())
        try:
            self._path.parent.mkdir(exist_ok=True)  # and no folder above it: one that has gone may come back
            with self._path.open("ab") as file:
                file.write(f"\n{lines}".encode())  # a line that was torn ends here
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written: {error.strerror}; see that its folder is there, free some space"
                f"{where_full(self._path, error)}, or choose another --out folder"
            ) from error

    def adopt(self) -> None:
        """Note all files that are there, as they are."""
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        self.add(Written.of(path) for path in files if path.name != MANIFEST)

    def drop(self, names: Iterable[str]) -> None:
        """Remove files, and forget them."""
        for name in names:
            Path(self._files.pop(name).path).unlink(missing_ok=True)
        self.close()

    def close(self) -> str:
        """Write each file's line once, in the order of the names, those of shards too; return the digest of all."""
        self._files = dict(sorted(self._files.items()))
        write_bytes(self._path, "".join(_line(name, each) for name, each in self._files.items()).encode())
        for path in ledgers_of_shards(self.folder):
            path.replace(path.with_suffix(TAKEN))
        return self.digest

    @property
    def digest(self) -> str:
        """Digest of the names and contents of all files, whenever they were written."""
        total = hashlib.blake2b(digest_size=16)
        for name in sorted(self._files):
            total.update(f"{name}\x1f{self._files[name].digest}\n".encode(errors="surrogatepass"))
        return total.hexdigest()

    def _name(self, written: Written) -> str:
        return Path(written.path).relative_to(self.folder).as_posix()


def ledger_of(folder: Path, share: Share) -> Path:
    """Return the ledger of a shard."""
    return folder / SHARDS_FOLDER / f"{share.name}{OF_SHARD}"


def ledgers_of_shards(folder: Path) -> list[Path]:
    """Return the ledgers of shards that the folder's own does not cover yet."""
    return sorted((folder / SHARDS_FOLDER).glob(f"*{OF_SHARD}"))


@lasting()
def read_ledger(path: Path, folder: Path) -> dict[str, Written]:
    """Return the files of a folder that a ledger lists, by their names.

    Raises:
        StoreError: If the ledger is there but cannot be read.
    """
    found, place = {}, os.fspath(folder)
    for values in _values(_content(path)):
        with suppress(ValueError, TypeError):
            name, num_bytes, written_ns, digest = values
            if _is_inside(name):
                found[name] = Written(f"{place}/{name}", num_bytes, written_ns, digest)
    return found


def _values(content: bytes) -> list[Any]:
    """Return the JSON values of lines; the last line of a killed run may be torn, and is left out."""
    lines = [line for line in content.splitlines() if line]
    with suppress(ValueError, RecursionError):
        values: list[Any] = json.loads(b"[" + b",".join(lines) + b"]")
        return values
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json_value(line.decode()))
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}; try again, or delete its folder") from error


def _is_inside(name: str) -> bool:
    """Return whether a name leads to a place in the folder: what it names may be removed."""
    if name[:1] not in ("", "/", ".") and "/." not in name:
        return True
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts


def _line(name: str, written: Written) -> str:
    return json.dumps([name, written.num_bytes, written.written_ns, written.digest]) + "\n"
