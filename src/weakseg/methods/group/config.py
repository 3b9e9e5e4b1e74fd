"""Recipe of the ``group`` method."""

from dataclasses import dataclass, field
from typing import Literal

from weakseg.methods.recipe import SaliencyRecipe
from weakseg.settings.group_classify import GroupActivateConfig, GroupClassifierConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig


@dataclass(frozen=True)
class GroupRecipe(SaliencyRecipe):
    """As ``cam``, with a classifier that looks at images that share classes together.

    Attributes:
        classifier: The classifier of groups and its training.
        activations: How activations are computed.
        seeds: How seeds are read off the activations.
        masks: How masks are made of seeds.
        targets: What the segmenter is trained on: ``seeds`` (undecided pixels give no loss) or ``masks``.
    """

    method: str = "group"
    classifier: GroupClassifierConfig = field(default_factory=GroupClassifierConfig)
    activations: GroupActivateConfig = field(default_factory=GroupActivateConfig)
    seeds: SeedConfig = field(default_factory=SeedConfig)
    masks: RefineConfig = field(default_factory=RefineConfig)
    targets: Literal["seeds", "masks"] = "seeds"
