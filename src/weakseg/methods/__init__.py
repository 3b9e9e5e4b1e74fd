"""One folder for each method; all are found through ``METHODS``, which is imported when it is first asked for."""

from typing import TYPE_CHECKING, Any

__all__ = ["METHODS", "Method"]

if TYPE_CHECKING:
    from weakseg.methods.table import METHODS, Method


def __getattr__(name: str) -> Any:
    """Import the table when it is first asked for, so that one method does not cost the imports of all."""
    if name in __all__:
        from weakseg.methods import table

        return getattr(table, name)
    raise AttributeError(f"module 'weakseg.methods' has no attribute {name!r}")
