"""Recipe of the ``drawn`` method."""

from dataclasses import dataclass, field

from weakseg.methods.recipe import Recipe
from weakseg.settings.refine import RefineConfig
from weakseg.settings.weak_seeds import WeakSeedConfig


@dataclass(frozen=True)
class DrawnRecipe(Recipe):
    """Boxes, points, scribbles or regions to seeds, masks and a segmenter, with no classifier and no graph.

    Attributes:
        data: The data set; every training image has a drawn label.
        seeds: How each kind of label becomes seeds.
        masks: The CRF that decides what seeds leave open; 0 iterations: the seeds are the masks.
    """

    method: str = "drawn"
    seeds: WeakSeedConfig = field(default_factory=lambda: WeakSeedConfig(boxes_as="grabcut"))
    masks: RefineConfig = field(default_factory=RefineConfig)
