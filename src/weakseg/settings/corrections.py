"""How strokes correct a mask."""

from dataclasses import dataclass

from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class CorrectionConfig:
    """How strokes and clicks that are drawn on a mask change it.

    Attributes:
        max_side: Longest side, in pixels, that the cut is made at.
        stroke_width: Of strokes and clicks, in pixels of that size.
        iterations: Of GrabCut.
    """

    max_side: int = 320
    stroke_width: int = 5
    iterations: int = 2

    def __post_init__(self) -> None:
        """Refuse values without meaning."""
        check_settings("corrections", self, max_side=">= 16", stroke_width=">= 1", iterations=">= 1")
