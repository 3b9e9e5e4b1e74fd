"""What every recipe holds, whatever its method."""

from dataclasses import dataclass, field

from weakseg.data.config import DataConfig


@dataclass(frozen=True)
class Recipe:
    """Settings of a whole run; each method adds its own sections.

    Attributes:
        method: Name of the method that the recipe is for.
        seed: Of everything random.
        data: The data set.
    """

    method: str = ""
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
