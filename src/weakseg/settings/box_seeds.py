"""Seeds of boxes."""

from dataclasses import dataclass
from typing import Literal

from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class BoxSeedConfig:
    """How boxes become seeds.

    Attributes:
        iterations: Of GrabCut, >= 1.
        min_iou: A segment that overlaps its box less than this is not believed; the whole box is taken.
        margin: GrabCut sees the box and this fraction of its sides around it; 0: the whole image, as published.
        contested: What a pixel in segments of several classes is: the ``smaller`` segment's, or ``undecided``.
        max_side: Larger images are reduced to this for GrabCut; bounds time.
    """

    iterations: int = 5
    min_iou: float = 0.15
    margin: float = 0.0
    contested: Literal["smaller", "undecided"] = "smaller"
    max_side: int = 1024

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        check_settings("seeds.boxes", self, iterations=">= 1", min_iou="in [0, 1]", margin=">= 0", max_side=">= 32")
        check_settings("seeds.boxes", self, contested=("smaller", "undecided"))
