"""Scores of points and strokes by what each place of a photograph has to do with them."""

from dataclasses import dataclass

from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class ClickOddsConfig:
    """How points, and strokes as rows of points, become scores by a regression on cues of each cell.

    Attributes:
        max_side: Larger photographs are reduced to this; bounds time. The regression was fitted at 320.
        enlarged: The backbone sees the photograph enlarged by this, so that its cells are finer.
        stride: Pixels a cell.
        point_radius: Around a point this share of the long side is looked at.
        border_gap: The photograph's border is a place to come from, but not nearer than this share to a point of the
            same label.
        stroke_step: Of a stroke there is a point at most every such share of the long side.
        bias: Added to the log-odds of objects; the larger, the further they reach.
    """

    max_side: int = 320
    enlarged: float = 2.0
    stride: int = 4
    point_radius: float = 0.02
    border_gap: float = 0.075
    stroke_step: float = 0.1
    bias: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        check_settings("clicks", self, max_side=">= 32", enlarged="> 0", stride=">= 1")
        check_settings("clicks", self, point_radius="in [0, 1]", border_gap="in [0, 1]", stroke_step="> 0")
