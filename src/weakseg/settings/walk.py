"""The walk of scores on learned affinities or boundaries."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.settings.decode import Fused
from weakseg.settings.rules import check_settings


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
        check_settings("walk", self, radius_cells="> 1", beta="> 0", steps=">= 0", error="in [0, 1)")


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
        check_settings("walk", self, background_power="> 0", border=("complete", "official"))


@dataclass(frozen=True)
class BoundaryWalkConfig(WalkSteps):
    """How activations walk within boundaries.

    Attributes:
        background: Score of the background.
        scaled_by: Scores are divided by the largest of all classes (``image``, as published: weak classes can be lost
            to the background) or by that of each class (``class``).
        align_mirror: Pad to whole cells before mirroring, see ``weakseg.stages.boundary.find_boundary``.
    """

    beta: float = 10.0
    background: float = 0.25
    scaled_by: Literal["image", "class"] = "image"
    align_mirror: bool = False

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        super().__post_init__()
        check_settings("walk", self, background="in [0, 1]", scaled_by=("image", "class"))


@dataclass(frozen=True)
class GraphWalkConfig:
    """How activations walk on the graph of an image, and where they meet its network's probabilities.

    Attributes:
        beta: Sharpening exponent of the affinity.
        steps: Of the walk; A2GNN squares the transitions six times, which is 64.
        background_power: Exponent of the background's score, ``(1 - max M)^power``.
        fused: Both are added on the ``cells`` of the graph, or when enlarged, on ``pixels``, as published.
    """

    beta: float = 8.0
    steps: int = 64
    background_power: float = 6.0
    fused: Fused = "cells"

    def __post_init__(self) -> None:
        """Refuse what lies outside of its range."""
        check_settings("walk", self, beta="> 0", steps=">= 0", background_power="> 0", fused=get_args(Fused))
