"""Objects."""

from dataclasses import dataclass
from typing import Literal

from weakseg.errors import ConfigError


@dataclass(frozen=True)
class InstanceConfig:
    """How objects are told apart.

    Attributes:
        iterations: Steps along the displacement field at most; fewer where all cells have come to rest.
        weak_below: Longest displacement of an object's centre, in cells.
        radius_cells: Cells nearer than this are neighbours in the walk.
        beta: Exponent that sharpens affinities.
        steps: Length of the walk.
        error: Of the walk; 0: none.
        background: Score that a class has to exceed.
        min_fraction: Smaller parts are fragments, which score 0; a fraction of the image's area.
    """

    iterations: int = 100
    weak_below: float = 2.5
    radius_cells: float = 5.0
    beta: float = 10.0
    steps: int = 256
    error: float = 1e-3
    background: float = 0.25
    min_fraction: float = 0.01

    def __post_init__(self) -> None:
        """Refuse counts and widths that mean nothing."""
        positive = min(self.weak_below, self.radius_cells - 1, self.beta) > 0
        within = 0 <= self.background <= 1 and 0 <= self.min_fraction <= 1 and 0 <= self.error < 1
        if not positive or not within or min(self.iterations, self.steps) < 0:
            raise ConfigError(
                "instances: need iterations and steps >= 0, weak_below > 0, radius_cells > 1, beta > 0, error in "
                f"[0, 1), background and min_fraction in [0, 1]; got {self}"
            )


Overlap = Literal["shared", "exclusive", "component"]
