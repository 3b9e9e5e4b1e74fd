"""Steps of other settings give way to a plan, and are kept beside it in the run folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weakseg.errors import OutputError, StoreError
from weakseg.files import read_json
from weakseg.pipeline.manifests import MANIFEST, is_manifest, read_manifest

ASIDE_FOLDER = "earlier"
KEY_DIGITS = 12


def earlier(folder: Path, name: str, key: str) -> Path:
    """Return where a run folder keeps a step's products of a key that its plan does not want."""
    return folder / ASIDE_FOLDER / f"{name}-{key[:KEY_DIGITS]}"


def others(folder: Path, keys: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the manifests of steps of other keys in a run folder, by name."""
    found = {}
    for place in (path.parent for path in sorted(folder.glob(f"*/{MANIFEST}"))):
        if place.name not in keys and not is_manifest(json_or_none(place / MANIFEST)):
            continue  # it is someone else's
        manifest = read_manifest(place)
        if manifest["key"] != keys.get(place.name):
            found[place.name] = manifest
    return found


def move(folder: Path, to: Path) -> None:
    """Move a folder within a file system, in one step; what lies there already, of the same key, gives way."""
    try:
        if to.exists():
            shutil.rmtree(to)
        to.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(to)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be moved to {to}: {error.strerror}; choose another --out folder"
        ) from error


def json_or_none(path: Path) -> Any:
    """Return the JSON value in a file; ``None`` where there is none."""
    try:
        return read_json(path)
    except StoreError:
        return None
