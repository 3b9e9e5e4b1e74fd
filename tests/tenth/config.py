"""Settings of the made-up method."""

from dataclasses import dataclass, field

from weakseg.methods.recipe import TagRecipe
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.fit import FitConfig


@dataclass(frozen=True)
class PairConfig:
    """The network of pairs.

    Attributes:
        channels: Of its features.
        size: Pixels of a side of what it learns from.
        mix: How much the pair counts against the activations, at the start of training.
        fit: Optimisation.
    """

    channels: int = 8
    size: int = 32
    mix: float = 0.5
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=2, batch_size=4))


@dataclass(frozen=True)
class PairRecipe(TagRecipe):
    """Tags to activations, a network of pairs, scores, masks, a segmenter, and its smoothed predictions."""

    method: str = "tenth"
    pairs: PairConfig = field(default_factory=PairConfig)
    masks: DecodeConfig = field(default_factory=DecodeConfig)
    smoothing: int = 1
