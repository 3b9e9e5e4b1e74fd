"""Weights of the regressions on cues of clicks, from benchmarks/fit_clicks.py: MSRC's fit and half of COCO."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CueWeights:
    """Log-odds.

    Attributes:
        bias: Where all cues have their means.
        cues: Mean, deviation, and what one deviation more adds, of each.
    """

    bias: float
    cues: Mapping[str, tuple[float, float, float]]


FIRST = CueWeights(
    -0.8011,
    {
        "colour path to object": (3.167, 0.5905, -0.6283),
        "colour path to rest": (3.192, 0.6129, 0.7623),
        "colour path to border": (2.303, 0.6836, 1.136),
        "features path to object": (3.083, 0.5214, 1.109),
        "features path to rest": (3.213, 0.558, -0.268),
        "features path to border": (2.298, 0.5876, -0.3922),
        "both path to object": (3.125, 0.533, -1.387),
        "both path to rest": (3.222, 0.5697, -1.132),
        "both path to border": (2.285, 0.6216, -0.01167),
        "level 3 like object": (0.01821, 0.1869, 0.5117),
        "level 3 like rest": (0.01491, 0.1831, -0.07648),
        "level 4 like object": (0.01263, 0.3189, 0.8654),
        "level 4 like rest": (0.03135, 0.2951, -0.5928),
        "classes of object": (-0.9168, 0.7027, 0.4014),
        "classes of rest": (-0.5692, 0.6493, 0.2576),
        "colour from object": (3.43, 0.6142, -0.3021),
        "colour from rest": (3.207, 0.7085, 0.258),
        "distance to object": (-1.147, 0.5652, 0.4661),
        "distance to rest": (-0.9491, 0.5944, 0.7409),
        "distance by that of clicks": (-0.02076, 0.6372, -0.8913),
        "clear class": (0.1058, 1.024, 0.5743),
    },
)
SECOND = CueWeights(
    -1.212,
    {
        "colours of the object": (-0.474, 3.074, 0.729),
        "level 3 like the object": (0.0437, 0.5328, 1.353),
        "level 4 like the object": (0.008176, 0.8239, 0.6165),
        "colour path from log-odds 1": (-0.7687, 2.299, -0.2954),
        "colour path from log-odds 2.5": (-0.7624, 2.281, 1.178),
        "both path from log-odds 1": (-0.7964, 2.174, -0.2569),
        "both path from log-odds 2.5": (-0.7706, 2.172, -0.3815),
        "log-odds before": (-0.8397, 3.58, -7.802),
        "area before": (-1.244, 0.3907, 0.5415),
        "colour path to object": (3.167, 0.5905, -1.572),
        "colour path to rest": (3.192, 0.6129, 2.213),
        "colour path to border": (2.303, 0.6836, 2.603),
        "features path to object": (3.083, 0.5214, 2.056),
        "features path to rest": (3.213, 0.558, -0.3663),
        "features path to border": (2.298, 0.5876, -1.065),
        "both path to object": (3.125, 0.533, -3.566),
        "both path to rest": (3.222, 0.5697, -3.603),
        "both path to border": (2.285, 0.6216, 0.2955),
        "level 3 like object": (0.01821, 0.1869, 1.069),
        "level 3 like rest": (0.01491, 0.1831, -0.05007),
        "level 4 like object": (0.01263, 0.3189, 1.875),
        "level 4 like rest": (0.03135, 0.2951, -1.664),
        "classes of object": (-0.9168, 0.7027, 1.093),
        "classes of rest": (-0.5692, 0.6493, 0.6167),
        "colour from object": (3.43, 0.6142, -0.6574),
        "colour from rest": (3.207, 0.7085, 0.551),
        "distance to object": (-1.147, 0.5652, 1.488),
        "distance to rest": (-0.9491, 0.5944, 2.001),
        "distance by that of clicks": (-0.02076, 0.6372, -2.124),
        "clear class": (0.1058, 1.024, 1.441),
    },
)
