"""Masks from seeds."""

from dataclasses import dataclass, field

from weakseg.settings.crf import CrfParams
from weakseg.settings.rules import check_settings
from weakseg.settings.tiles import TileConfig


@dataclass(frozen=True)
class RefineConfig:
    """How masks are made from seeds.

    Attributes:
        label_confidence: Probability that a seed is right, in (1/L, 1); undecided pixels favour no label.
        crf: The CRF; 0 iterations: the seeds are the masks.
        check_crf: In a run the CRF is tried on some images first. Where it takes more than half of their area from
            more than a third, and one, of the classes, the seeds are the masks.
        max_side: Larger images are reduced to this for the CRF; bounds memory.
        tiles: How outlines in much larger ones are found again, on their own pixels.
    """

    label_confidence: float = 0.7
    crf: CrfParams = field(default_factory=CrfParams)
    check_crf: bool = False
    max_side: int = 1024
    tiles: TileConfig = field(default_factory=TileConfig)

    def __post_init__(self) -> None:
        """Refuse a confidence that is no probability, and sizes too small to work on."""
        check_settings("masks", self, label_confidence="in (0, 1)", max_side=">= 32")
