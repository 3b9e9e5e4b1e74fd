"""What IRNet and ReCAM have in common: activations walk within learned class boundaries."""

from dataclasses import dataclass, field

from weakseg.methods.recipe import TagRecipe
from weakseg.settings.boundary import BoundaryConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.instances import InstanceConfig
from weakseg.settings.seed import SeedConfig, auto_seeds
from weakseg.settings.walk import BoundaryWalkConfig


@dataclass(frozen=True)
class BoundaryWalkRecipe(TagRecipe):
    """Tags to activations, seeds, a boundary network, walked scores, masks and a segmenter.

    Attributes:
        seeds: How seeds are read off the activations; the boundary network learns from their pairs.
        boundary: The boundary network and its training.
        walk: How activations walk.
        masks: How masks are made of walked scores.
        instances: Whether class-agnostic groups of the displacement field are made into instance masks.
        instance: How instances are found.
    """

    seeds: SeedConfig = field(default_factory=auto_seeds)
    boundary: BoundaryConfig = field(default_factory=BoundaryConfig)
    walk: BoundaryWalkConfig = field(default_factory=BoundaryWalkConfig)
    masks: DecodeConfig = field(default_factory=lambda: DecodeConfig(unary="labels"))
    instances: bool = False
    instance: InstanceConfig = field(default_factory=InstanceConfig)
