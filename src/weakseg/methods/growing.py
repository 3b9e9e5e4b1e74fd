"""What DGCN and DSRG have in common: a segmenter learns from sparse seeds, and from labels that grow from them."""

from dataclasses import dataclass, field

from weakseg.methods.recipe import TagRecipe
from weakseg.settings.area_seeds import AreaSeedConfig
from weakseg.settings.grow import GrowthConfig, SeededConfig, check_boundary
from weakseg.settings.segment import SegmentConfig


@dataclass(frozen=True)
class GrowingRecipe(TagRecipe):
    """Tags to activations, sparse seeds, a segmenter whose labels grow, its masks, and a segmenter that they train.

    Attributes:
        seeds: How seeds are read off the activations.
        growth: How labels grow from the seeds while the first segmenter learns.
        growing: The first segmenter and its training; ``segmenter`` is that of the rounds that follow.
        rounds: 1: the first segmenter alone; 2: another one learns from its masks, as published.
    """

    seeds: AreaSeedConfig = field(default_factory=AreaSeedConfig)
    growth: GrowthConfig = field(default_factory=GrowthConfig)
    growing: SeededConfig = field(default_factory=SeededConfig)
    rounds: int = 2

    def __post_init__(self) -> None:
        """Refuse a CRF that nothing uses."""
        super().__post_init__()
        check_boundary(self.growing.boundary, self.growth)

    @property
    def unused(self) -> str:
        """Say that the segmenter of further rounds is not trained."""
        if self.rounds > 1 or self.segmenter == SegmentConfig():
            return ""
        return "rounds is 1: settings of `segmenter` do nothing; the only segmenter is that of `growing`"
