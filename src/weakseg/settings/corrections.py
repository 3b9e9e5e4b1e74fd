"""How strokes correct a mask."""

from dataclasses import dataclass

from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class CorrectionConfig:
    """How strokes and clicks that are drawn on a mask change it.

    ``zone``, ``disc`` and ``core`` are shares of the side of a square as large as the box around the object.

    Attributes:
        max_side: Longest side, in pixels, that the cut is made at.
        stroke_width: Of strokes and clicks, in pixels of that size.
        zone: Around a stroke the other label becomes likely, and within twice of it nothing is sure.
        disc: Around a stroke its label is sure.
        core: From the mask's border on, on both sides, its label is sure.
        iterations: Of GrabCut.
    """

    max_side: int = 320
    stroke_width: int = 5
    zone: float = 0.15
    disc: float = 0.06
    core: float = 0.06
    iterations: int = 2

    def __post_init__(self) -> None:
        """Refuse values without meaning."""
        check_settings("corrections", self, max_side=">= 16", stroke_width=">= 1", iterations=">= 1")
        check_settings("corrections", self, zone=">= 0", disc=">= 0", core=">= 0")
