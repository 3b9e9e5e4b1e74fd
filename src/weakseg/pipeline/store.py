"""The run folder: one folder a step with a manifest; products appear whole, and are never mixed."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from weakseg.errors import OutputError, StoreError
from weakseg.files import read_json, write_json
from weakseg.pipeline.earlier import KEY_DIGITS, earlier, json_or_none, move, others
from weakseg.pipeline.ledger import STATE_FILE, Ledger
from weakseg.pipeline.lock import LOCK_FILE, lock_folder
from weakseg.pipeline.manifests import MANIFEST, as_json, differences, read_manifest, versions, without
from weakseg.pipeline.share import Share
from weakseg.settings.counted import CHANGES_NOTHING

logger = logging.getLogger(__name__)

STEPS_FOLDER = "steps"
SETTINGS_FILE = "settings.json"
"""What the products of a stage that was run alone were made with."""
NO_INPUTS: Mapping[str, Any] = MappingProxyType({})


def plain_place(name: str, key: str) -> str:
    """Return the folder of a step where a run folder holds one run."""
    return name


def keyed_place(name: str, key: str) -> str:
    """Return the folder of a step where products of several recipes lie side by side.

    >>> keyed_place("seeds", "0123456789abcdef")
    'steps/seeds-0123456789ab'
    """
    return f"{STEPS_FOLDER}/{name}-{key[:KEY_DIGITS]}"


class Store:
    """A run folder, which no other process may work on meanwhile, but for other shards.

    Args:
        folder: Made where it is missing.
        place: From a step's name and key to its folder inside.
        others: Whether it may hold files that are not weakseg's.
        share: Which shard works on it; ``None``: it is the only one.

    Raises:
        OutputError: If the folder cannot be used.
        StoreError: If it holds files and none that weakseg leaves in its folders, or another process works on it; says
            which.
    """

    def __init__(
        self,
        folder: Path,
        *,
        place: Callable[[str, str], str] = plain_place,
        others: bool = False,
        share: Share | None = None,
    ) -> None:
        self.folder = folder
        self._place = place
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not others and _is_foreign(folder):
                raise StoreError(
                    f"{folder}: holds files that are not weakseg's, which might be replaced; use a new --out folder"
                )
            self._lock = lock_folder(folder, share)
            self._state = folder.stat()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise OutputError(
                f"{str(folder)[:200]}: cannot be used as run folder: {why}; choose another --out"
            ) from error

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        del self._lock

    def check_there(self) -> None:
        """Refuse to go on where the folder has gone, or another is in its place, such as one below a lost mount.

        Raises:
            OutputError: If so.
        """
        with suppress(OSError):
            if os.path.samestat(self.folder.stat(), self._state):
                return
        raise OutputError(
            f"{self.folder}: has gone since the command began, or another folder is in its place; see that its disk is "
            "there and call again: what was finished is kept"
        )

    def settle(
        self, name: str, value: Mapping[str, Any], what: str, *, besides: frozenset[str] = CHANGES_NOTHING
    ) -> None:
        """Write ``value`` to ``name`` on the first run; on later ones demand that it is the same.

        Args:
            name: Of the file.
            value: JSON values.
            what: They are, for the error.
            besides: Keys, at any depth, that may differ.

        Raises:
            StoreError: If it differs; names the differing keys with their old and new values.
        """
        path = self.folder / name
        plain = as_json(value)
        if not path.exists():
            write_json(path, plain)
        elif changes := differences(without(read_json(path), besides), without(plain, besides)):
            shown = "; ".join(changes[:5]) + (f"; and {len(changes) - 5} more" if len(changes) > 5 else "")
            raise StoreError(f"{self.folder}: was made with other {what}: {shown}. Use a new --out folder")

    def make_room(self, keys: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Put the products of steps of other keys aside, and take those of these keys back where they lie aside.

        Nothing is deleted, so that the settings of before find what they made.

        Args:
            keys: Of the steps of a plan, by name.

        Returns:
            The manifests of what was put aside, by the steps' names.

        Raises:
            StoreError: If a step's manifest is damaged, or the folder cannot be written.
        """
        aside = others(self.folder, keys)
        for name, manifest in aside.items():
            move(self.folder / name, earlier(self.folder, name, manifest["key"]))
        for kept, place in self._kept(keys):
            move(kept, place)
        return aside

    def would_move(self, keys: Mapping[str, str]) -> bool:
        """Return whether ``make_room`` would put anything aside, or take anything back."""
        return bool(others(self.folder, keys)) or any(self._kept(keys))

    def _kept(self, keys: Mapping[str, str]) -> Iterator[tuple[Path, Path]]:
        """Yield what lies aside of these keys, with its place."""
        for name, key in keys.items():
            kept, place = earlier(self.folder, name, key), self.folder_of(name, key)
            if kept.is_dir() and not place.exists():
                yield kept, place

    def changes(self, name: str, value: Mapping[str, Any], *, besides: frozenset[str] = CHANGES_NOTHING) -> list[str]:
        """Return where ``value`` differs from what the file ``name`` holds; nowhere if there is none."""
        path = self.folder / name
        old = json_or_none(path)
        return differences(without(old, besides), without(as_json(value), besides)) if old is not None else []

    def folder_of(self, name: str, key: str) -> Path:
        """Return where a step's products are, or will be."""
        return self.folder / self._place(name, key)

    def state_of(self, name: str, key: str) -> str:
        """Return how far a step is, in words; empty where nothing of it is there."""
        folder = self.folder_of(name, key)
        if not (folder / MANIFEST).exists():
            return ""
        return "done before" if read_manifest(folder)["complete"] else "goes on where it stopped"

    def open_step(
        self, name: str, key: str, settings: Mapping[str, Any], inputs: Mapping[str, Any] = NO_INPUTS
    ) -> tuple[Path, dict[str, Any]]:
        """Return a step's folder and manifest, made now or by an earlier call with the same key.

        A step is complete if each of its products is there as it was written, and was made of ``inputs``. A product
        that is not is removed; where the inputs have changed all are.

        Args:
            name: Of the step.
            key: Of ``step_keys``.
            settings: Of the step, for the manifest.
            inputs: What tells the products of the steps that it needs from others, by the steps' names.

        Raises:
            StoreError: If the folder holds products of other settings, or files of unknown origin.
        """
        folder = self.folder_of(name, key)
        if not (folder / MANIFEST).exists():
            if folder.exists() and any(folder.iterdir()):
                raise StoreError(
                    f"{folder}: holds files but no {MANIFEST}; use a new --out folder, or delete this one to make it "
                    "anew"
                )
            return folder, self._begin(name, key, settings, inputs)
        manifest = read_manifest(folder)
        if manifest["key"] != key:
            changes = "; ".join(differences(manifest.get("settings"), settings)[:5]) or "what an earlier step made"
            raise StoreError(f"{folder}: holds products of other settings or inputs: {changes}. Use a new --out folder")
        if other := _changed_inputs(manifest.get("inputs", inputs), inputs):
            logger.info("%s: is made anew, because %s changed", name, " and ".join(other))
            clear(folder, keep=frozenset({MANIFEST}))
            return folder, self._begin(name, key, settings, inputs)
        if manifest["complete"]:
            return folder, _checked(folder, {"inputs": dict(inputs), **manifest})
        if newer := differences(manifest["versions"], versions()):
            logger.warning("%s: was begun with other versions: %s", folder, "; ".join(newer))
        return folder, manifest

    def begin_step(self, name: str, key: str, settings: Mapping[str, Any]) -> None:
        """Write the manifest of a step that shards begin, unless it is there; they say elsewhere what it is made of."""
        if not (self.folder_of(name, key) / MANIFEST).exists():
            self._begin(name, key, settings)

    def _begin(
        self, name: str, key: str, settings: Mapping[str, Any], inputs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        told = {"step": name, "key": key, "settings": settings, "versions": versions()}
        manifest: dict[str, Any] = as_json(
            {**told, **({} if inputs is None else {"inputs": dict(inputs)}), "complete": False}
        )
        write_json(self.folder_of(name, key) / MANIFEST, manifest)
        return manifest

    def reopen_step(self, name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Mark a complete step as one that gets further products; return the manifest."""
        opened = {**manifest, "complete": False, "grows": True}
        write_json(self.folder_of(name, manifest["key"]) / MANIFEST, opened)
        return opened

    def finish_step(self, name: str, manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
        """Mark a step as complete, with its summary and what its ledger lists; return the manifest.

        Of a step that was reopened, ``grown_from`` among the products is the digest of those that it had first.
        """
        folder = self.folder_of(name, manifest["key"])
        finished = {**manifest, "complete": True, "products": _products(Ledger(folder)), "summary": summary}
        if finished.pop("grows", False):
            before = manifest["products"]
            finished["products"]["grown_from"] = before.get("grown_from", before["digest"])
        write_json(folder / MANIFEST, finished)
        return finished


def _is_foreign(folder: Path) -> bool:
    """Return whether a folder holds files, but none by which a command's own folder is known."""
    known = (LOCK_FILE, SETTINGS_FILE, f"*/{MANIFEST}", f"{STEPS_FOLDER}/*/{MANIFEST}")  # before locks: the others
    return any(folder.iterdir()) and not any(any(folder.glob(name)) for name in known)


def clear(folder: Path, *, keep: frozenset[str]) -> None:
    """Remove what is in a folder, but for what is directly in it under the names ``keep``."""
    for path in folder.iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _checked(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a complete step; not complete where products are missing or damaged, which are removed."""
    ledger, listed = Ledger(folder), manifest.get("products")
    if listed is None:  # by a version that kept no ledger
        logger.info("%s: was made by an earlier version; its files are taken as they are", folder)
        ledger.adopt()
        manifest = {**manifest, "products": _products(ledger)}
        write_json(folder / MANIFEST, manifest)
        return manifest
    unknown = ledger.digest != listed.get("digest")
    unfit = ledger.unfit()
    if not unknown and not unfit:
        return manifest
    manifest = {**manifest, "complete": False}
    write_json(folder / MANIFEST, manifest)
    if unknown:
        logger.warning("%s: its list of files is damaged; all are made anew", folder)
        clear(folder, keep=frozenset({MANIFEST, STATE_FILE}))
    else:
        named = ", ".join(unfit[:5]) + (", ..." if len(unfit) > 5 else "")
        logger.warning(
            "%s: of %d files %d are missing or damaged: %s; made anew", folder, len(ledger), len(unfit), named
        )
        ledger.drop(unfit)
    return manifest


def _products(ledger: Ledger) -> dict[str, Any]:
    return {"digest": ledger.close(), "files": len(ledger)}


def _changed_inputs(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the names of the steps whose products are not those that a step was made of."""
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
