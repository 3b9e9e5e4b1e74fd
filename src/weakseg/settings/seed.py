"""Seeds from activations."""

from dataclasses import dataclass, field, fields, replace
from typing import Literal, Self, get_args

from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
from weakseg.settings.rules import check_settings
from weakseg.settings.saliency import FusionConfig

BackgroundKind = Literal["threshold", "power", "class", "none", "saliency"]
Threshold = float | Literal["auto"]
SPREAD = 0.05  # between a background score that is decided for, and either reading

PSA_CRF = CrfParams(10, 3.0, 3.0, 80.0, 13.0, 10.0)  # for a unary of scores


@dataclass(frozen=True)
class SeedConfig:
    """How seeds are read off activations.

    Attributes:
        background: ``threshold`` (constant score, IRNet), ``power`` ((1 - max)^alpha, PSA), ``class`` (one of the
            classes is the background), ``none`` (every pixel has a class), or ``saliency`` (a map of each image, OAA).
        strict: Background score (``threshold``) or exponent (``power``) of the run that decides foreground. ``auto``,
            for ``threshold``: 0.05 above the score that tells the features of the images of a run apart best.
        lenient: The same of the run that decides background; ``auto``: 0.05 below that score.
        background_class: Name of the class that is the background, for ``class``.
        unary: ``labels`` (arg-max first, then a CRF with confidence ``label_confidence``, IRNet) or ``scores`` (CRF on
            the scores, PSA).
        label_confidence: Of hard labels, in (1/L, 1).
        crf: The CRF of both runs; 0 iterations: none.
        check_crf: In a run the CRF is tried on some images first. Where it takes more than half of their area from
            more than a third, and one, of the classes, there is none, nor anything undecided.
        max_side: Larger images are reduced to this for the CRF, or to join saliency; bounds memory.
        fusion: How ``saliency`` joins; nothing else but ``max_side`` counts then.
    """

    background: BackgroundKind = "threshold"
    strict: Threshold = 0.45
    lenient: Threshold = 0.35
    background_class: str = ""
    unary: Literal["labels", "scores"] = "labels"
    label_confidence: float = 0.7
    crf: CrfParams = field(default_factory=CrfParams)
    check_crf: bool = False
    max_side: int = 1024
    fusion: FusionConfig = field(default_factory=FusionConfig)

    def __post_init__(self) -> None:
        """Refuse what does not exist, or contradicts itself."""
        check_settings("seeds", self, background=get_args(BackgroundKind), unary=("labels", "scores"))
        given = [value for value in (self.lenient, self.strict) if value != "auto"]
        if self.background == "threshold" and not (given == sorted(given) and all(0 <= v <= 1 for v in given)):
            raise ConfigError(f"seeds: thresholds need 0 <= lenient <= strict <= 1, got {self.lenient}, {self.strict}")
        if self.background == "power":
            strict, lenient = self.numbers
            if not 0 < strict <= lenient:
                raise ConfigError(f"seeds: exponents need 0 < strict <= lenient, got {strict}, {lenient}")
        check_settings("seeds", self, label_confidence="in (0, 1)", max_side=">= 32")
        if (self.background == "class") != bool(self.background_class):
            raise ConfigError("seeds.background_class: give it with background 'class', and only then")
        if self.background != "saliency" and self.fusion != FusionConfig():
            raise ConfigError(
                f"seeds.fusion: has no effect with background {self.background!r}; leave it out, or set "
                "seeds.background to saliency"
            )

    @property
    def numbers(self) -> tuple[float, float]:
        """The strict and the lenient threshold, or exponent.

        Raises:
            ConfigError: If one is ``auto``: what it stands for is decided over the images of a run, by its seeds.
        """
        if self.strict == "auto" or self.lenient == "auto":
            raise ConfigError(
                "seeds.strict, seeds.lenient: 'auto' is decided over the images of a run, from class activations and "
                f"with background 'threshold'; give numbers here, got {self.strict} and {self.lenient}"
            )
        return self.strict, self.lenient

    def with_score(self, score: float) -> Self:
        """Return these settings with what is ``auto`` decided by a background score in [0, 1]."""
        high, low = round(min(score + SPREAD, 1.0), 3), round(max(score - SPREAD, 0.0), 3)
        strict = high if self.strict == "auto" else self.strict
        lenient = min(low, strict) if self.lenient == "auto" else self.lenient
        return self.with_numbers(max(strict, lenient), lenient)

    def with_numbers(self, strict: float, lenient: float) -> Self:
        """Return these settings with other thresholds, and nothing left to decide of them."""
        return replace(self, strict=strict, lenient=lenient)

    @property
    def without_crf(self) -> Self:
        """These settings with no CRF, and nothing undecided: both thresholds are that between them."""
        middle = round(sum(self.numbers) / 2, 3)
        return replace(self, strict=middle, lenient=middle, crf=replace(self.crf, iterations=0), check_crf=False)

    @property
    def unused(self) -> str:
        """What is to be said of settings that differ from the defaults and do nothing; empty: there are none."""
        if self.background != "saliency":
            return ""
        counted = ("background", "max_side", "fusion")
        own = [entry.name for entry in fields(self) if entry.name not in counted]
        plain = (SeedConfig(), auto_seeds())
        given = [n for n in own if all(getattr(self, n) != getattr(default, n) for default in plain)]
        return f"seeds: with background 'saliency' {', '.join(given)} do nothing; fusion counts" if given else ""


def auto_seeds() -> SeedConfig:
    """Return seeds whose thresholds, and whether they have a CRF, are decided over the images of a run."""
    return SeedConfig(strict="auto", lenient="auto", check_crf=True)


def psa_readings() -> SeedConfig:
    """Return the two readings that PSA's affinity network learns from: exponents 4 and 32, the CRF on the scores."""
    return SeedConfig(background="power", strict=4.0, lenient=32.0, unary="scores", crf=PSA_CRF)
