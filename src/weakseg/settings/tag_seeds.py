"""Confident seeds of tags."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
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
        if not 0 < self.strict <= self.lenient or not 0 < self.fraction < 1 or self.max_side < 32:
            raise ConfigError(
                "tag seeds: need 0 < strict <= lenient, fraction in (0, 1) and max_side >= 32, got "
                f"{self.strict}, {self.lenient}, {self.fraction}, {self.max_side}"
            )
        if not 0 <= self.crf_confidence <= 1:
            raise ConfigError(f"tag seeds: crf_confidence must be in [0, 1], got {self.crf_confidence}")
