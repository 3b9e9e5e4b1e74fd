"""Recipe of the supervised reference."""

from dataclasses import dataclass, field

from weakseg.pipeline.recipe import Recipe
from weakseg.stages.segment import PredictConfig, SegmentConfig


@dataclass(frozen=True)
class SupervisedRecipe(Recipe):
    """True masks to a segmenter.

    Attributes:
        method: ``supervised``.
        seed: Of everything random.
        data: The data set; its true masks are the training masks.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
    """

    method: str = "supervised"
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
