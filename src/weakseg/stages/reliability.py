"""How far a mask is to be trusted: regressions of "IoU >= 0.6" on cues of the mask, one for each kind of label."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from weakseg.data.annotations import LabelKind

EMPTY = "nothing of the photograph is in it"
DOUBTFUL = 0.5
TELLING = 0.4  # how much a cue must lower the log-odds to be given as a reason
MOST_REASONS = 3
MOST = 3.0  # deviations from the mean that a cue is taken for at most


@dataclass(frozen=True)
class Reliability:
    """How far the mask of one label is to be trusted.

    Attributes:
        value: In [0, 1]: an estimate of the probability that the mask has an IoU of 0.6 or more.
        reasons: What speaks against it, the weightiest first; empty where nothing does much.
    """

    value: float
    reasons: tuple[str, ...] = ()

    def doubt(self, name: str) -> str:
        """Return a sentence about the mask of a label where it is doubtful; empty where it is not."""
        if self.value >= DOUBTFUL:
            return ""
        because = f": {', '.join(self.reasons)}" if self.reasons else ""
        return f"the mask of {name!r} is doubtful (reliability {self.value:.2f}){because}"


@dataclass(frozen=True)
class Regression:
    """Log-odds of a good mask.

    Attributes:
        bias: Where all cues have their means.
        cues: Mean, deviation, and what one deviation more adds, of each.
    """

    bias: float
    cues: Mapping[str, tuple[float, float, float]]


Source = LabelKind | Literal["clicks"]  # the last: points whose masks a regression made, without walk and network

REGRESSIONS: Mapping[Source, Regression] = {
    "clicks": Regression(1.63, {"colour": (0.657, 0.728, 0.16), "kept": (0.755, 0.123, 1.35)}),
    "boxes": Regression(0.58, {"colour": (0.289, 0.935, 0.92)}),
    "points": Regression(
        -0.52,
        {
            "colour": (0.476, 0.737, 0.95),
            "kept": (0.89, 0.106, 0.62),
            "whole": (0.966, 0.0863, 0.39),
            "smooth": (0.862, 0.0996, 0.46),
            "frame": (0.0392, 0.0536, -0.45),
        },
    ),
    "scribbles": Regression(
        -0.03, {"colour": (0.506, 0.655, 0.83), "kept": (0.869, 0.115, 0.54), "whole": (0.966, 0.0876, 0.55)}
    ),
    "tags": Regression(
        -0.52, {"peak": (4.81, 2.84, 0.53), "frame": (0.202, 0.228, -0.58), "whole": (0.914, 0.164, 0.76)}
    ),
}
"""Fitted on the masks of benchmarks/first_contact.py, part ``settings``: 160 of each kind of mark, 79 of tags;
``clicks`` on 117 of benchmarks/clicks.py, part ``settings``, 90 of photographs that its weights were not fitted on."""

RUN_REGRESSIONS: Mapping[LabelKind, Regression] = {
    "boxes": Regression(1.99, {"colour": (0.61, 0.741, 0.5), "whole": (0.928, 0.162, 0.35)}),
    "points": Regression(0.02, {"colour": (-0.951, 1.88, 0.98)}),
    "scribbles": Regression(2.43, {"agreed": (0.899, 0.0986, 1.18), "colour": (0.673, 0.69, 0.62)}),
    "tags": Regression(
        1.14,
        {
            "agreed": (0.824, 0.227, 0.84),
            "smooth": (0.811, 0.164, 0.83),
            "colour": (0.51, 0.908, 0.6),
            "whole": (0.936, 0.135, 0.46),
        },
    ),
}
"""Of masks of runs; fitted on those of 273 photographs of MSRC by benchmarks/run_reliability.py."""

REASONS: Mapping[str, tuple[str, str]] = {
    "colour": ("it hardly differs in colour from what is around it", ""),
    "kept": ("little of it is what the marks lead to directly", ""),
    "agreed": ("it contradicts its seeds", ""),
    "whole": ("it is in pieces", ""),
    "smooth": ("the last step, which follows colours, changed much of it", ""),
    "frame": ("", "it covers much of the photograph's frame"),
    "peak": ("little in the photograph speaks for the word", ""),
}
"""What a low and a high value of a cue mean."""


OUTLINED = Reliability(1.0)
"""Of what a person has outlined."""
NOTHING = Reliability(0.0, (EMPTY,))


def reliability_of(source: Source, cues: Mapping[str, float]) -> Reliability:
    """Return how far a mask is to be trusted.

    Args:
        source: What it was made from.
        cues: From ``mask_cues``; those of the regression that are not there count as usual ones.
    """
    return _judged(REGRESSIONS[source], cues) if cues.get("area", 1.0) else NOTHING


def reliability_in_run(source: LabelKind, cues: Mapping[str, float]) -> Reliability:
    """Return how far a mask of a run over many images is to be trusted; arguments as of ``reliability_of``."""
    return _judged(RUN_REGRESSIONS[source], cues) if cues.get("area") else NOTHING


def _judged(regression: Regression, cues: Mapping[str, float]) -> Reliability:
    against = dict[str, float]()
    odds = regression.bias
    for name, (mean, deviation, weight) in regression.cues.items():
        away = max(-MOST, min(MOST, (cues.get(name, mean) - mean) / deviation))
        odds += weight * away
        if weight * away < -TELLING and (reason := REASONS[name][away > 0]):
            against[reason] = weight * away
    reasons = sorted(against, key=lambda reason: against[reason])[:MOST_REASONS]
    return Reliability(1 / (1 + math.exp(-odds)), tuple(reasons))
