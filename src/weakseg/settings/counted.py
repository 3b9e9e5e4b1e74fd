"""Which settings count where two runs are told apart."""

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from weakseg.settings.graph import FeaturesConfig
from weakseg.settings.tiles import TileConfig

CHANGES_NOTHING = frozenset({"loader_workers", "memory_mb", "proposer_device"})
"""Settings of these names change how work is done, and no result; what a step reports is part of that."""
NO_CHANGE_BY_DEFAULT: Mapping[str, Any] = MappingProxyType(
    {
        "tiles": asdict(TileConfig()),
        "tiles_for": "outlines",
        "features": asdict(FeaturesConfig()),
        "proposer": "grabcut",
        "proposer_file": "",
        "prompts": "marks",
    }
)
"""Settings of these names are left out where they have this value: what was made before there were any stays valid."""
FILES = frozenset({"file", "vectors_file"})
"""Settings of these names are files: their content counts, not where they lie."""
FOLDERS = frozenset({"from_folder"})
"""Settings of these names are folders: the names and the content of what is in them count, not where they lie."""
FOLDERS_OR_NAMES = frozenset({"proposer_file"})
"""Settings of these names are such folders where there is one; else they are names, and count as they are."""


def is_default(name: str, value: Any) -> bool:
    """Return whether a setting is one of ``NO_CHANGE_BY_DEFAULT`` and has that value."""
    return name in NO_CHANGE_BY_DEFAULT and value == NO_CHANGE_BY_DEFAULT[name]
