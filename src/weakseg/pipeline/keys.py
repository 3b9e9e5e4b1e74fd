"""What the key of a step's products covers: a hash of what they depend on, and of nothing else."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from weakseg.errors import ConfigError
from weakseg.files import Written
from weakseg.lasting import lasting
from weakseg.pipeline.plan import Step, check_plan
from weakseg.settings.counted import CHANGES_NOTHING, FILES, FOLDERS, FOLDERS_OR_NAMES, is_default

LAYOUT_VERSION = 2
NOTHING: Mapping[str, str] = MappingProxyType({})


def hash_of(value: Any) -> str:
    """Return a hexadecimal digest of a JSON value, independent of key order."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def digest_of(path: Path) -> str:
    """Return a hexadecimal digest of a file's content."""
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, _size: int, _written_ns: int) -> str:
    return Written.of(path).digest


@lasting()
def step_keys(steps: Sequence[Step], content_key: str, *, known: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """Return the key of each step: a hash of name, code, settings, the keys of what it needs, and the data.

    Steps of two plans that have the same key make the same products. What is ``known`` of this plan is taken as it is.

    Raises:
        ConfigError: If the plan does not fit together, or a file that a setting names is missing.
    """
    check_plan(steps)
    keys = dict(known)
    for step in (step for step in steps if step.name not in known):
        inputs = {name: keys[name] for name in step.needs}
        settings = settings_that_count(step.settings, step.name)
        keys[step.name] = hash_of([LAYOUT_VERSION, step.name, step.work.code, settings, inputs, content_key])
    return keys


def settings_that_count(settings: Any, where: str = "") -> Any:
    """Return settings without those that change nothing, and with digests in place of ``FILES`` and folders."""
    if isinstance(settings, Mapping):
        digests = {**dict.fromkeys(FILES, _of_file), **dict.fromkeys(FOLDERS, _of_folder)}
        digests |= dict.fromkeys(FOLDERS_OR_NAMES, _of_folder_or_name)
        return {
            name: digests.get(name, settings_that_count)(value, f"{where}.{name}")
            for name, value in settings.items()
            if name not in CHANGES_NOTHING and not is_default(name, value)
        }
    if isinstance(settings, list | tuple):
        return [settings_that_count(value, where) for value in settings]
    return settings


def _of_file(name: Any, where: str) -> str:
    if not name:
        return ""
    path = Path(str(name)).expanduser()
    if not path.is_file():
        raise ConfigError(f"{where}: {path} is no file; correct the path")
    return digest_of(path)


def _of_folder(name: Any, where: str) -> str:
    if not name:
        return ""
    folder = Path(str(name)).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{where}: {folder} is no folder; correct the path")
    try:
        return _files_digest(tuple(sorted(_files_in(os.fspath(folder), ""))))
    except OSError as error:
        raise ConfigError(f"{where}: {error.filename}: {error.strerror}; see that all in it may be read") from error


def _of_folder_or_name(name: Any, where: str) -> str:
    return _of_folder(name, where) if name and Path(str(name)).expanduser().is_dir() else str(name)


def _files_in(folder: str, below: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield name, path, size and time of the files of a folder and of those in it, hidden files left out."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_in(entry.path, f"{below}{entry.name}/")
            elif not entry.name.startswith(".") and entry.is_file():
                state = entry.stat()
                yield f"{below}{entry.name}", entry.path, state.st_size, state.st_mtime_ns


def digest_of_files(files: Mapping[str, str | Path]) -> str:
    """Return a hexadecimal digest of names and contents; it is remembered while sizes and times stay."""
    states = ((name, os.fspath(path), Path(path).stat()) for name, path in sorted(files.items()))
    return _files_digest(tuple((name, path, state.st_size, state.st_mtime_ns) for name, path, state in states))


@lru_cache(maxsize=4)
def _files_digest(files: tuple[tuple[str, str, int, int], ...]) -> str:
    return hash_of({name: Written.of(path).digest for name, path, _, _ in files})
