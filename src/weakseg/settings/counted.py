"""Which settings count where two runs are told apart."""

CHANGES_NOTHING = frozenset({"loader_workers", "memory_mb"})
"""Settings of these names change how work is done, and no result; what a step reports is part of that."""
FILES = frozenset({"file", "vectors_file"})
"""Settings of these names are files: their content counts, not where they lie."""
FOLDERS = frozenset({"from_folder"})
"""Settings of these names are folders: the names and the content of what is in them count, not where they lie."""
