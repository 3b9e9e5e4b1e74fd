"""What is computed of all files of a finished step is kept beside them, until they are others."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from weakseg.errors import OutputError, StoreError
from weakseg.files import read_json_object, write_bytes
from weakseg.pipeline.manifests import read_manifest


def remembered(folder: Path, name: str, compute: Callable[[], Any]) -> Any:
    """Return a JSON value of a step's files, computed now or when they were the same.

    Args:
        folder: Of the step; where it is not finished, or has no manifest, nothing is kept.
        name: Of the value; it is in a hidden file of this name.
        compute: Computes it; tuples will be lists when they are remembered.
    """
    path, digest = folder / f".{name}.json", _digest_of(folder)
    if digest is None:
        return compute()
    with suppress(StoreError):
        if (kept := read_json_object(path)).get("of") == digest and "value" in kept:
            return kept["value"]
    value = compute()
    with suppress(OutputError):  # it spares work, and nothing else
        write_bytes(path, json.dumps({"of": digest, "value": value}).encode())
    return value


def _digest_of(folder: Path) -> str | None:
    """Return the digest of a finished step's products."""
    try:
        manifest = read_manifest(folder)
    except StoreError:
        return None
    return manifest.get("products", {}).get("digest") if manifest["complete"] else None
