"""Seeds from activations."""

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
from weakseg.settings.rules import check_settings
from weakseg.settings.saliency import FusionConfig

BackgroundKind = Literal["threshold", "power", "class", "none", "saliency"]


PSA_CRF = CrfParams(10, 3.0, 3.0, 80.0, 13.0, 10.0)  # for a unary of scores


@dataclass(frozen=True)
class SeedConfig:
    """How seeds are read off activations.

    Attributes:
        background: ``threshold`` (constant score, IRNet), ``power`` ((1 - max)^alpha, PSA), ``class`` (one of the
            classes is the background), ``none`` (every pixel has a class), or ``saliency`` (a map of each image, OAA).
        strict: Background score (``threshold``) or exponent (``power``) of the run that decides foreground.
        lenient: The same of the run that decides background.
        background_class: Name of the class that is the background, for ``class``.
        unary: ``labels`` (arg-max first, then a CRF with confidence ``label_confidence``, IRNet) or ``scores`` (CRF on
            the scores, PSA).
        label_confidence: Of hard labels, in (1/L, 1).
        crf: The CRF of both runs; 0 iterations: none.
        max_side: Larger images are reduced to this for the CRF, or to join saliency; bounds memory.
        fusion: How ``saliency`` joins; nothing else but ``max_side`` counts then.
    """

    background: BackgroundKind = "threshold"
    strict: float = 0.45
    lenient: float = 0.35
    background_class: str = ""
    unary: Literal["labels", "scores"] = "labels"
    label_confidence: float = 0.7
    crf: CrfParams = field(default_factory=CrfParams)
    max_side: int = 1024
    fusion: FusionConfig = field(default_factory=FusionConfig)

    def __post_init__(self) -> None:
        """Refuse what does not exist, or contradicts itself."""
        check_settings("seeds", self, background=get_args(BackgroundKind), unary=("labels", "scores"))
        if self.background == "threshold" and not 0 <= self.lenient <= self.strict <= 1:
            raise ConfigError(f"seeds: thresholds need 0 <= lenient <= strict <= 1, got {self.lenient}, {self.strict}")
        if self.background == "power" and not 0 < self.strict <= self.lenient:
            raise ConfigError(f"seeds: exponents need 0 < strict <= lenient, got {self.strict}, {self.lenient}")
        check_settings("seeds", self, label_confidence="in (0, 1)", max_side=">= 32")
        if (self.background == "class") != bool(self.background_class):
            raise ConfigError("seeds.background_class: give it with background 'class', and only then")
        if self.background != "saliency" and self.fusion != FusionConfig():
            raise ConfigError(
                f"seeds.fusion: has no effect with background {self.background!r}; leave it out, or set "
                "seeds.background to saliency"
            )

    @property
    def unused(self) -> str:
        """What is to be said of settings that differ from the defaults and do nothing; empty: there are none."""
        if self.background != "saliency":
            return ""
        counted = ("background", "max_side", "fusion")
        own = [entry.name for entry in fields(self) if entry.name not in counted]
        given = [name for name in own if getattr(self, name) != getattr(SeedConfig(), name)]
        return f"seeds: with background 'saliency' {', '.join(given)} do nothing; fusion counts" if given else ""


def psa_readings() -> SeedConfig:
    """Return the two readings that PSA's affinity network learns from: exponents 4 and 32, the CRF on the scores."""
    return SeedConfig(background="power", strict=4.0, lenient=32.0, unary="scores", crf=PSA_CRF)
