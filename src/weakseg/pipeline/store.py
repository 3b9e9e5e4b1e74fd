"""The run folder: one folder a step with a manifest; products appear whole, and are never mixed."""

import importlib.metadata
import json
import logging
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weakseg.errors import OutputError, StoreError
from weakseg.files import TEMPORARY_PREFIX, read_json, write_json
from weakseg.settings.counted import CHANGES_NOTHING
from weakseg.version import __version__

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
STEPS_FOLDER = "steps"
KEY_DIGITS = 12


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    return {
        "weakseg": __version__,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "timm": importlib.metadata.version("timm"),
        "numpy": importlib.metadata.version("numpy"),
    }


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
    """A run folder.

    Args:
        folder: Made where it is missing.
        place: From a step's name and key to its folder inside.

    Raises:
        OutputError: If the folder cannot be used.
    """

    def __init__(self, folder: Path, *, place: Callable[[str, str], str] = plain_place) -> None:
        self.folder = folder
        self._place = place
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.rglob(f"{TEMPORARY_PREFIX}*"):
                leftover.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be used as run folder: {error.strerror}; choose another --out"
            ) from error

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
        plain = json.loads(json.dumps(value, default=str))
        if not path.exists():
            write_json(path, plain)
        elif changes := differences(_without(read_json(path), besides), _without(plain, besides)):
            shown = "; ".join(changes[:5]) + (f"; and {len(changes) - 5} more" if len(changes) > 5 else "")
            raise StoreError(f"{self.folder}: was made with other {what}: {shown}. Use a new --out folder")

    def folder_of(self, name: str, key: str) -> Path:
        """Return where a step's products are, or will be."""
        return self.folder / self._place(name, key)

    def open_step(self, name: str, key: str, settings: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
        """Return a step's folder and manifest, made now or by an earlier call with the same key.

        Raises:
            StoreError: If the folder holds products of other settings or inputs.
        """
        folder = self.folder_of(name, key)
        path = folder / MANIFEST
        if path.exists():
            manifest: dict[str, Any] = read_json(path)
            if manifest.get("key") != key:
                plain = json.loads(json.dumps(settings, default=str))
                changes = "; ".join(differences(manifest.get("settings"), plain)[:5]) or "what an earlier step made"
                raise StoreError(
                    f"{folder}: holds products of other settings or inputs: {changes}. Use a new --out folder"
                )
            if not manifest["complete"] and (changed := differences(manifest["versions"], versions())):
                logger.warning("%s: was begun with other versions: %s", folder, "; ".join(changed))
            return folder, manifest
        if folder.exists() and any(folder.iterdir()):
            raise StoreError(f"{folder}: holds files but no {MANIFEST}; use a new --out folder")
        manifest = {"step": name, "key": key, "settings": settings, "versions": versions(), "complete": False}
        write_json(path, json.loads(json.dumps(manifest, default=str)))
        return folder, manifest

    def finish_step(self, name: str, manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
        """Mark a step as complete, with its summary."""
        write_json(self.folder_of(name, manifest["key"]) / MANIFEST, {**manifest, "complete": True, "summary": summary})


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Return ``"a.b: old -> new"`` for each leaf in which two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{prefix}.{key}".lstrip("."))]
    return [] if old == new else [f"{prefix}: {_short(old)} -> {_short(new)}"]


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(each, names) for key, each in value.items() if key not in names}
    return [_without(each, names) for each in value] if isinstance(value, list) else value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
