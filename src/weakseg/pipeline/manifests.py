"""The manifest of a step: what its products were made with, and of what they depend; and how two of them differ."""

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from weakseg.errors import StoreError, cut
from weakseg.files import read_json
from weakseg.settings.counted import is_default
from weakseg.version import __version__

MANIFEST = "manifest.json"


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    return {
        "weakseg": __version__,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "timm": importlib.metadata.version("timm"),
        "numpy": importlib.metadata.version("numpy"),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a step's folder.

    Raises:
        StoreError: If it is missing or damaged.
    """
    manifest = read_json(folder / MANIFEST)
    if not is_manifest(manifest):
        raise StoreError(f"{folder / MANIFEST}: is no manifest of a step; delete {folder} to make it anew")
    found: dict[str, Any] = manifest
    return found


def is_manifest(value: Any) -> bool:
    """Return whether a JSON value has the shape of a manifest."""
    if not isinstance(value, dict):
        return False
    kinds = {"key": str, "complete": bool, "versions": dict}
    kinds |= {name: dict for name in ("inputs", "products", "summary", "seen") if name in value}
    if not all(isinstance(value.get(name), kind) for name, kind in kinds.items()):
        return False
    failures = value.get("summary", {}).get("failures", [])
    return isinstance(failures, list) and all(isinstance(each, dict) and "image_id" in each for each in failures)


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Return ``"a.b: old -> new"`` for each leaf in which two values differ as JSON."""
    old, new = as_json(old), as_json(new)
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{prefix}.{key}".lstrip("."))]
    return [] if old == new else [f"{cut(prefix)}: {_short(old)} -> {_short(new)}"]


def as_json(value: Any) -> Any:
    """Return a value as it is after it was written as JSON and read."""
    return json.loads(json.dumps(value, default=str))


def without(value: Any, names: frozenset[str]) -> Any:
    """Return a JSON value without the keys ``names``, and defaults that change nothing, at any depth."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key not in names and not is_default(key, each)}
        return {key: without(each, names) for key, each in kept.items()}
    return [without(each, names) for each in value] if isinstance(value, list) else value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
