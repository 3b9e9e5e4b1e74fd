"""What recipes hold: settings of a whole run, from the data set to the segmenter."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.data.config import DataConfig
from weakseg.errors import ConfigError
from weakseg.settings.activate import ActivationsConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.rules import check_settings
from weakseg.settings.saliency import SaliencyConfig
from weakseg.settings.segment import SegmentConfig

RoundsFrom = Literal["weights", "before"]


@dataclass(frozen=True)
class Recipe:
    """Settings of a whole run; each method adds its own sections.

    Attributes:
        method: Name of the method that the recipe is for.
        seed: Of everything random.
        data: The data set.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
        rounds: How often a segmenter is trained: from the second time on, the one before labels the training images,
            with background and classes that are not absent, and the next learns from these masks.
        rounds_from: What the segmenter of a further round starts from: its own ``weights``, as the first, or the
            segmenter of the round ``before``, which has to be the same network.
    """

    method: str = ""
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
    rounds: int = 1
    rounds_from: RoundsFrom = "weights"

    def __post_init__(self) -> None:
        """Refuse no round at all, and a start of rounds that there are not."""
        check_settings("", self, rounds=">= 1", rounds_from=get_args(RoundsFrom))
        if self.rounds_from != "weights" and self.rounds == 1:
            raise ConfigError(
                f"rounds_from: {self.rounds_from!r} has no effect on one round; leave it out, or set rounds"
            )

    @property
    def unused(self) -> str:
        """What a run should say of settings that no step reads though they are given; empty: there are none."""
        return ""

    @property
    def reads_saliency(self) -> bool:
        """Whether a step of the plan reads its background off saliency maps."""
        return any(getattr(section, "background", "") == "saliency" for section in vars(self).values())

    @property
    def saliency_maps(self) -> SaliencyConfig:
        """Where the maps come from that steps of the plan read."""
        return SaliencyConfig()


@dataclass(frozen=True)
class SaliencyRecipe(Recipe):
    """Settings of a method that can read its background off saliency maps.

    Attributes:
        saliency: Where saliency maps come from, where a step reads the background off them.
    """

    saliency: SaliencyConfig = field(default_factory=SaliencyConfig)

    def __post_init__(self) -> None:
        """Refuse a detector whose maps nothing reads."""
        super().__post_init__()
        if self.saliency != SaliencyConfig() and not self.reads_saliency:
            raise ConfigError(
                f"saliency: no step of method {self.method!r} reads saliency maps; leave it out, or set a background "
                "to saliency (seeds.background, where the method has it)"
            )

    @property
    def saliency_maps(self) -> SaliencyConfig:
        """The section ``saliency``."""
        return self.saliency


@dataclass(frozen=True)
class TagRecipe(SaliencyRecipe):
    """Settings of a method that starts from tags: a classifier's activations.

    Attributes:
        classifier: The tag classifier and its training.
        activations: How activations are computed, or where they are read.
    """

    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    activations: ActivationsConfig = field(default_factory=ActivationsConfig)
