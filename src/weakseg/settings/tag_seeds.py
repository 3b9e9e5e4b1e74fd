"""Confident seeds of tags."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
from weakseg.settings.rules import check_settings
from weakseg.settings.seed import PSA_CRF


@dataclass(frozen=True)
class TagSeedConfig:
    """How a trimap and its confident part are read off activations; the background's score is ``(1 - max)^exponent``.

    Attributes:
        strict: Exponent of the reading that decides foreground.
        lenient: Exponent of the reading that decides background, at least ``strict``.
        crf: The CRF of both readings; 0 iterations: none.
        fraction: Share of the pixels of each class that is confident, those of highest activation, in (0, 1).
        crf_confidence: Confident pixels have a marginal of at least this.
        max_side: Larger images are reduced to this for the CRF; bounds memory.
    """

    strict: float = 4.0
    lenient: float = 24.0
    crf: CrfParams = field(default_factory=lambda: PSA_CRF)
    fraction: float = 0.4
    crf_confidence: float = 0.8
    max_side: int = 1024

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        check_settings("seeds.tags", self, strict="> 0", fraction="in (0, 1)", max_side=">= 32")
        check_settings("seeds.tags", self, crf_confidence="in [0, 1]")
        if not self.strict <= self.lenient:
            raise ConfigError(f"seeds.tags: need strict <= lenient, got {self.strict} and {self.lenient}")
