"""The walk of scores on learned affinities or boundaries."""

from dataclasses import dataclass
from typing import Literal

from weakseg.errors import ConfigError


@dataclass(frozen=True)
class WalkSteps:
    """How scores walk, on whatever affinity.

    Attributes:
        radius_cells: Cells nearer than this are neighbours.
        beta: Sharpening exponent of the affinity.
        steps: Steps of the walk.
        error: Largest error of the walk, see ``weakseg.ops.walk.walk``; 0 takes all steps.
    """

    radius_cells: float = 5.0
    beta: float = 8.0
    steps: int = 256
    error: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        if not (self.radius_cells > 1 and self.beta > 0 and self.steps >= 0):
            raise ConfigError(f"walk: need radius_cells > 1, beta > 0 and steps >= 0, got {self}")


@dataclass(frozen=True)
class WalkConfig(WalkSteps):
    """How scores walk on learned affinities.

    Attributes:
        background_power: Exponent of the background's score, ``(1 - max M)^power``.
        border: ``complete``, or ``official``: pairs whose first cell lies in the outer four columns or last four rows
            are missing, as in the code of 2018.
    """

    background_power: float = 16.0
    border: Literal["complete", "official"] = "complete"

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        super().__post_init__()
        if not self.background_power > 0:
            raise ConfigError(f"walk.background_power: need > 0, got {self.background_power}")
        if self.border not in ("complete", "official"):
            raise ConfigError(f"walk.border: 'complete' or 'official', got {self.border!r}")
