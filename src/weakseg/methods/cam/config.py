"""Recipe of the ``cam`` method."""

from dataclasses import dataclass, field
from typing import Literal

from weakseg.pipeline.recipe import Recipe
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.settings.segment import PredictConfig, SegmentConfig


@dataclass(frozen=True)
class CamRecipe(Recipe):
    """Tags to activations, seeds, masks and a segmenter.

    Attributes:
        method: ``cam``.
        seed: Of everything random.
        data: The data set.
        classifier: The tag classifier and its training.
        activations: How activations are computed.
        seeds: How seeds are read off them.
        masks: How masks are made of seeds.
        targets: What the segmenter is trained on: ``seeds`` (undecided pixels give no loss) or ``masks``.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
    """

    method: str = "cam"
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    activations: ActivateConfig = field(default_factory=ActivateConfig)
    seeds: SeedConfig = field(default_factory=SeedConfig)
    masks: RefineConfig = field(default_factory=RefineConfig)
    targets: Literal["seeds", "masks"] = "seeds"
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
