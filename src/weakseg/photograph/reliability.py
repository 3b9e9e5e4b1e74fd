"""How far a mask is to be trusted: cues of a mask, and a regression of "IoU >= 0.6" on them for each kind of label."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Kind = str

EDGES = 1e-3, 1 - 1e-3  # between which a share counts
LEAST = 0.05  # of what is compared as a ratio
TELLING = 0.4  # how much a cue must lower the logarithm of the odds to be given as a reason
MOST_REASONS = 3

@dataclass(frozen=True)
class Reliability:
    """How far the mask of one label is to be trusted.

    Attributes:
        value: In [0, 1]: an estimate of the probability that the mask has an IoU of 0.6 or more.
        reasons: What speaks against it, the weightiest first; empty where nothing does much.
    """

    value: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Weight:
    """What one more deviation of a cue adds to the logarithm of the odds; ``low`` and ``high`` say it in words."""

    mean: float
    deviation: float
    weight: float
