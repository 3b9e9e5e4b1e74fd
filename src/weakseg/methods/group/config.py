"""Recipe of the ``group`` method."""

from dataclasses import dataclass, field

from weakseg.methods.seeding import SeedingRecipe
from weakseg.settings.group_classify import GroupActivateConfig, GroupClassifierConfig


@dataclass(frozen=True)
class GroupRecipe(SeedingRecipe):
    """As ``cam``, with a classifier that looks at images that share classes together.

    Attributes:
        classifier: The classifier of groups and its training.
        activations: How activations are computed.
    """

    method: str = "group"
    classifier: GroupClassifierConfig = field(default_factory=GroupClassifierConfig)
    activations: GroupActivateConfig = field(default_factory=GroupActivateConfig)
