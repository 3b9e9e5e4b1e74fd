"""What a stage that was run alone has made with other settings is put aside, where the settings of before find it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weakseg.errors import OutputError
from weakseg.files import read_json_object
from weakseg.pipeline.keys import hash_of
from weakseg.pipeline.lock import LOCK_FILE
from weakseg.pipeline.manifests import as_json, differences, without
from weakseg.settings.counted import CHANGES_NOTHING

HIDDEN_FOLDER = ".earlier"
"""In the folder of the products; hidden, so that it is taken for no product, and no photograph has its name."""
_DIGITS = 12


def exchange(folder: Path, name: str, value: Mapping[str, Any]) -> list[str]:
    """Put aside what a folder holds of other settings, take back what it holds aside of these; return what changed.

    Nothing is deleted. A call that ends in between is carried on by the next. What was made of other inputs stays where
    it is.

    Args:
        folder: Of the products; no other process works on it.
        name: Of its file of settings.
        value: The settings that are wanted, under ``settings``, and what they are for, under ``inputs``.

    Raises:
        StoreError: If the file of settings is damaged.
        OutputError: If the folder cannot be written.
    """
    path, wanted = folder / name, without(as_json(value), CHANGES_NOTHING)
    old = without(read_json_object(path), CHANGES_NOTHING) if path.exists() else None
    changes = differences(old, wanted) if old is not None else []
    if old is not None and changes:
        if differences(old.get("inputs"), wanted["inputs"]):
            return []
        _move(folder, folder / HIDDEN_FOLDER / hash_of(old)[:_DIGITS], last=name)
    kept = folder / HIDDEN_FOLDER / hash_of(wanted)[:_DIGITS]
    if kept.is_dir():
        _move(kept, folder, first=name)
    return changes


def identity_of(folder: Path, name: str) -> str:
    """Return the path of a folder, and what tells what it holds from what it held with other settings, of its file.

    Raises:
        StoreError: If that file is damaged.
    """
    if not (folder / name).is_file():
        return str(folder.resolve())
    return f"{folder.resolve()}, {hash_of(without(read_json_object(folder / name), CHANGES_NOTHING))[:_DIGITS]}"


def _move(source: Path, target: Path, *, first: str = "", last: str = "") -> None:
    """Move what a folder holds, each entry in one step; the file of settings says where the others belong meanwhile."""
    entries = [path for path in sorted(source.iterdir()) if path.name not in (LOCK_FILE, HIDDEN_FOLDER)]
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(entries, key=lambda path: (path.name != first, path.name == last)):
            path.rename(target / path.name)
        if not any(source.iterdir()):
            source.rmdir()
    except OSError as error:
        raise OutputError(f"{source}: cannot be moved to {target}: {error.strerror}; use a new --out folder") from error
