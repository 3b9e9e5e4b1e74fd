"""What is computed of all files of a finished step is kept beside them, until they are others."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from weakseg.errors import OutputError, StoreError
from weakseg.files import read_json, write_json
from weakseg.pipeline.manifests import MANIFEST, as_json


def remembered(folder: Path, name: str, compute: Callable[[], Any]) -> Any:
    """Return a JSON value of a step's files, computed now or when they were the same.

    Args:
        folder: Of the step; where it is not finished, or was made without a manifest, nothing is kept.
        name: Of the value; it is in a hidden file of this name.
        compute: Computes it.
    """
    path = folder / f".{name}.json"
    with suppress(StoreError, AttributeError):
        manifest = read_json(folder / MANIFEST)
        of = manifest.get("products", {}).get("digest") if manifest.get("complete") else None
        if of is None:
            return compute()
        with suppress(StoreError, AttributeError):
            if (kept := read_json(path)).get("of") == of:
                return kept["value"]
        value = as_json(compute())
        with suppress(OutputError):  # it spares work, and nothing else
            write_json(path, {"of": of, "value": value})
        return value
    return compute()
