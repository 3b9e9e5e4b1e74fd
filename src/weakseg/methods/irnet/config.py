"""Recipe of the ``irnet`` method."""

from dataclasses import dataclass, field
from typing import Literal

from weakseg.methods.recipe import TagRecipe
from weakseg.settings.boundary import BoundaryConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.instances import InstanceConfig
from weakseg.settings.rules import check_settings
from weakseg.settings.seed import SeedConfig
from weakseg.settings.walk import WalkSteps


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
class IrnetRecipe(TagRecipe):
    """Tags to activations, seeds, a boundary network, walked scores, masks and a segmenter.

    Attributes:
        seeds: How seeds are read off the activations; the boundary network learns from their pairs.
        boundary: The boundary network and its training.
        walk: How activations walk.
        masks: How masks are made of walked scores.
        instances: Whether class-agnostic groups of the displacement field are made into instance masks.
        instance: How instances are found.
    """

    method: str = "irnet"
    seeds: SeedConfig = field(default_factory=SeedConfig)
    boundary: BoundaryConfig = field(default_factory=BoundaryConfig)
    walk: BoundaryWalkConfig = field(default_factory=BoundaryWalkConfig)
    masks: DecodeConfig = field(default_factory=lambda: DecodeConfig(unary="labels"))
    instances: bool = False
    instance: InstanceConfig = field(default_factory=InstanceConfig)
