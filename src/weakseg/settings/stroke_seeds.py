"""Seeds of points and scribbles."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.settings.rules import check_settings

Contested = Literal["later", "undecided"]
Conflict = Literal["undecided", "majority"]


@dataclass(frozen=True)
class StrokeSeedConfig:
    """How points and scribbles become seeds.

    Attributes:
        width: Of scribbles in pixels.
        superpixels: About how many a photograph of 375 x 500 pixels has, others in proportion to their area; 0: none,
            the seeds are the annotated pixels.
        compactness: Of the superpixels: how much nearness counts against likeness of colour.
        conflict: What a superpixel with several labels is: ``undecided``, or what the ``majority`` of its annotated
            pixels is; these keep their own labels in any case.
        contested: What a pixel on scribbles of several classes is: the ``later`` one's, or ``undecided``.
        max_side: Larger images are reduced to this for the superpixels; bounds time.
    """

    width: float = 3.0
    superpixels: int = 1000
    compactness: float = 10.0
    conflict: Conflict = "undecided"
    contested: Contested = "later"
    max_side: int = 1024

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        check_settings("seeds.strokes", self, width="> 0", compactness="> 0", superpixels=">= 0", max_side=">= 32")
        check_settings("seeds.strokes", self, conflict=get_args(Conflict), contested=get_args(Contested))
