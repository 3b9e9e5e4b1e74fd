"""A published folder: a model with its card, which ``predict`` and ``label`` take as they take a run."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from weakseg.errors import ConfigError, OutputError, StoreError, cut
from weakseg.files import atomic_folder, read_json_object, write_json

CONFIG_FILE, CARD_FILE, SETTINGS_FILE, EXAMPLE_FILE = "config.json", "README.md", "recipe.yaml", "example-mask.png"
LABELLER = "labeller"
FORMAT_KEY, FORMAT = "weakseg_publication", 1
LONGEST_NAME = 200
BESIDE = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")  # what somebody may have laid beside it, to be shared too


@dataclass(frozen=True)
class Publication:
    """A published folder.

    Attributes:
        folder: The folder.
        told: What its ``config.json`` says.
    """

    folder: Path
    told: dict[str, Any]

    @property
    def files(self) -> tuple[str, ...]:
        """The files that ``weakseg publish`` wrote, by their names in the folder, ``config.json`` the last."""
        return (*self.told["files"], CONFIG_FILE)

    @property
    def model(self) -> Path:
        """File of the segmenter.

        Raises:
            ConfigError: If it was published without one.
        """
        return self._part("segmenter", "publish it with --what both, or take weakseg label, which needs tags")

    @property
    def labeller(self) -> Path:
        """Folder of what ``weakseg label`` needs.

        Raises:
            ConfigError: If it was published without it.
        """
        return self._part(LABELLER, "publish it with --what both, or take weakseg predict, which needs no tags")

    def _part(self, name: str, remedy: str) -> Path:
        place: str | None = self.told[name]
        if not place:
            raise ConfigError(f"{self.folder}: was published without a {name}; {remedy}")
        return self.folder / place


def is_publication(path: Path) -> bool:
    """Return whether a path is a published folder; other programs have files of this name, too."""
    config = path / CONFIG_FILE
    return config.is_file() and FORMAT_KEY in read_json_object(config)


def open_publication(folder: Path) -> Publication:
    """Return what a published folder holds.

    Raises:
        StoreError: If its ``config.json`` is damaged or of a later version, or one of its files is not there.
    """
    path = folder / CONFIG_FILE
    told = read_json_object(path)
    if told.get(FORMAT_KEY) != FORMAT:
        found = cut(repr(told.get(FORMAT_KEY)))
        raise StoreError(f"{path}: is a publication of version {found}, expected {FORMAT}; take a newer weakseg")
    files, parts = told.get("files"), [told.get("segmenter"), told.get(LABELLER)]
    listed = files if isinstance(files, list) else [None]
    if not all(isinstance(name, str) and _is_below(name) for name in listed):
        raise StoreError(f"{path}: 'files' is no list of names in the folder; publish the model again")
    if not any(parts) or not all(part is None or (isinstance(part, str) and _is_below(part)) for part in parts):
        raise StoreError(f"{path}: names neither a segmenter nor a labeller; publish the model again")
    if missing := [name for name in (*listed, *filter(None, parts)) if not (folder / name).exists()]:
        raise StoreError(f"{folder}: {missing[0]} is missing; fetch or publish the whole folder again")
    return Publication(folder, told)


def labeller_of(path: Path) -> Path:
    """Return the folder that a labeller is opened from: the path itself, or what a published folder has of one."""
    return open_publication(path).labeller if is_publication(path) else path


def seal(folder: Path, told: dict[str, Any]) -> None:
    """Write ``config.json``, by which a folder is a published one, into one that holds all else."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    write_json(folder / CONFIG_FILE, {FORMAT_KEY: FORMAT, **told, "files": names})


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a place for a published folder that holds anything, but for one that is to be replaced.

    Raises:
        ConfigError: If it does, or is a file.
    """
    if target.exists() and not target.is_dir():
        raise ConfigError(f"--to: {target} is a file; give a folder")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not overwrite:
        raise ConfigError(f"--to: {target} holds files; give a new folder, or --overwrite to replace what is published")
    if not is_publication(target):
        raise ConfigError(f"--to: {target} holds files, and no published model that could be replaced; give a new one")


def put(made: Path, target: Path) -> None:
    """Move what ``seal`` has finished to its place, which ``check_target`` has looked at.

    Where there is a publication, its ``config.json`` first names no model, and comes last, so that what is half
    replaced is not taken, and may be replaced; what somebody has laid beside its files stays.

    Raises:
        OutputError: If the target cannot be written.
    """
    if not target.is_dir() or not any(target.iterdir()):
        with atomic_folder(target) as folder:
            shutil.copytree(made, folder, dirs_exist_ok=True)
        return
    old, new = read_json_object(target / CONFIG_FILE).get("files"), read_json_object(made / CONFIG_FILE)["files"]
    gone = [name for name in old if name not in new] if isinstance(old, list) else []
    write_json(target / CONFIG_FILE, {FORMAT_KEY: FORMAT, "files": [*gone, *new]})
    try:
        _remove(target, gone)
        for name in (*new, CONFIG_FILE):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            beside = (target / name).with_name(f".part-{Path(name).name}")
            shutil.copyfile(made / name, beside)
            beside.replace(target / name)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error}); publish it again") from error


def left_beside(publication: Publication) -> tuple[list[str], list[str]]:
    """Return what is shared of the files beside those of a publication, and the others."""
    known = set(publication.files)
    found = []
    for folder, folders, names in os.walk(publication.folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [(Path(folder) / name).relative_to(publication.folder).as_posix() for name in names]
    others = sorted(name for name in found if name not in known and not Path(name).name.startswith("."))
    return [name for name in others if name in BESIDE], [name for name in others if name not in BESIDE]


def _remove(folder: Path, names: Sequence[object]) -> None:
    """Remove files of a folder, and folders that are empty then."""
    for name in names:
        if isinstance(name, str) and _is_below(name):
            (folder / name).unlink(missing_ok=True)
            above = (folder / name).parent
            if above != folder and above.is_dir() and not any(above.iterdir()):
                above.rmdir()


def _is_below(name: str) -> bool:
    """Return whether a name is a path below a folder."""
    path = PurePosixPath(name)
    usable = name.isprintable() and len(name) <= LONGEST_NAME
    return usable and bool(path.parts) and not path.is_absolute() and ".." not in path.parts
