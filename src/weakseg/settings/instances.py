"""Objects."""

from dataclasses import dataclass
from typing import Literal

from weakseg.settings.rules import check_settings


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
        check_settings("instance", self, iterations=">= 0", weak_below="> 0", radius_cells="> 1", beta="> 0")
        check_settings("instance", self, steps=">= 0", error="in [0, 1)")
        check_settings("instance", self, background="in [0, 1]", min_fraction="in [0, 1]")


Overlap = Literal["shared", "exclusive", "component"]
