"""Accumulation of activations while a classifier learns."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.settings.rules import SettingError, check_settings

Gate = Literal["rank", "probability"]
MIN_PROBABILITY, DROP_THRESHOLD = 0.1, 0.6


@dataclass(frozen=True)
class AttentionDropConfig:
    """Hiding what the accumulated activations of an image know already, so that they move on to its other parts.

    Attributes:
        probability: Share of the images of an epoch of which it is hidden; 0: of none.
        threshold: Pixels where an accumulated activation of a class of the image is above this are hidden.
    """

    probability: float = 0.0
    threshold: float = DROP_THRESHOLD

    def __post_init__(self) -> None:
        """Refuse shares that are none, and a threshold of what is never hidden."""
        section = "classifier.attention_drop"
        check_settings(section, self, probability="in [0, 1]", threshold="in [0, 1)")
        if not self.probability and self.threshold != DROP_THRESHOLD:
            raise SettingError(section, "threshold", self.threshold, "has no effect with probability 0; leave it out")


@dataclass(frozen=True)
class AccumulationConfig:
    """Which activations are accumulated.

    Attributes:
        gate: Those of an image's class count where the network knows it: ``rank``: it is among the n classes with the
            highest logits, n being how many the image has; ``probability``: it has ``min_probability`` or more.
        min_probability: Of the gate ``probability``.
        skip_epochs: First epochs in which nothing is accumulated.
    """

    gate: Gate = "rank"
    min_probability: float = MIN_PROBABILITY
    skip_epochs: int = 1

    def __post_init__(self) -> None:
        """Refuse words that do not exist, and a probability that no gate asks for."""
        section = "classifier.accumulation"
        check_settings(section, self, gate=get_args(Gate), min_probability="in [0, 1)", skip_epochs=">= 0")
        if self.gate != "probability" and self.min_probability != MIN_PROBABILITY:
            wanted = f"belongs to gate 'probability', and the gate is {self.gate!r}; leave it out"
            raise SettingError(section, "min_probability", self.min_probability, wanted)
