"""Which settings count where two runs are told apart."""

CHANGES_NOTHING = frozenset({"loader_workers", "memory_mb", "warn_below"})
"""Settings of these names change how work is done, or what is said of it, and no result."""
FILES = frozenset({"file"})
"""Settings of these names are files: their content counts, not where they lie."""
