"""What CAM and OAA have in common: masks from seeds that are read off activations."""

from dataclasses import dataclass, field
from typing import Literal

from weakseg.methods.recipe import TagRecipe
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig, auto_seeds


@dataclass(frozen=True)
class SeedingRecipe(TagRecipe):
    """Tags to activations, seeds, masks and a segmenter.

    Attributes:
        seeds: How seeds are read off the activations.
        masks: How masks are made of seeds.
        targets: What the segmenter is trained on: ``seeds`` (undecided pixels give no loss) or ``masks``.
    """

    seeds: SeedConfig = field(default_factory=auto_seeds)
    masks: RefineConfig = field(default_factory=lambda: RefineConfig(check_crf=True))
    targets: Literal["seeds", "masks"] = "seeds"
