"""Masks from seeds."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams


@dataclass(frozen=True)
class RefineConfig:
    """How masks are made from seeds.

    Attributes:
        label_confidence: Probability that a seed is right, in (1/L, 1); undecided pixels favour no label.
        crf: The CRF; 0 iterations: the seeds are the masks.
        max_side: Larger images are reduced to this for the CRF; bounds memory.
    """

    label_confidence: float = 0.7
    crf: CrfParams = field(default_factory=CrfParams)
    max_side: int = 1024

    def __post_init__(self) -> None:
        """Refuse a confidence that is no probability, and sizes too small to work on."""
        if not 0 < self.label_confidence < 1 or self.max_side < 32:
            raise ConfigError(
                f"masks: need label_confidence in (0, 1) and max_side >= 32, "
                f"got {self.label_confidence}, {self.max_side}"
            )
