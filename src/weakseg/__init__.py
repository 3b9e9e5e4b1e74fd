"""weakseg: from cheap labels to pixel masks and trained segmentation models, with graphs."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Segmentation", "__version__", "segment"]

if TYPE_CHECKING:
    from weakseg.api import Segmentation, segment


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first asked for, so that ``import weakseg`` stays quick."""
    if name in ("Segmentation", "segment"):
        from weakseg import api

        return getattr(api, name)
    raise AttributeError(f"module 'weakseg' has no attribute {name!r}")
