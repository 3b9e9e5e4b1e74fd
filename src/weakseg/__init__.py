"""weakseg: from cheap labels to pixel masks and trained segmentation models, with graphs."""

from typing import TYPE_CHECKING, Any

from weakseg.version import __version__

__all__ = [
    "Marks",
    "Photograph",
    "SegmentOptions",
    "Segmentation",
    "__version__",
    "read_marks",
    "segment",
    "segment_labelled",
]

if TYPE_CHECKING:
    from weakseg.api import segment, segment_labelled
    from weakseg.photograph.config import SegmentOptions
    from weakseg.photograph.marks import Marks, read_marks
    from weakseg.photograph.photograph import Photograph, Segmentation

_PLACES = {
    "Marks": "weakseg.photograph.marks",
    "Photograph": "weakseg.photograph.photograph",
    "SegmentOptions": "weakseg.photograph.config",
    "Segmentation": "weakseg.photograph.photograph",
    "read_marks": "weakseg.photograph.marks",
    "segment": "weakseg.api",
    "segment_labelled": "weakseg.api",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first asked for, so that ``import weakseg`` stays quick."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'weakseg' has no attribute {name!r}")
