"""Recipe of the supervised reference."""

from dataclasses import dataclass, field

from weakseg.pipeline.recipe import Recipe
from weakseg.settings.segment import PredictConfig, SegmentConfig


@dataclass(frozen=True)
class SupervisedRecipe(Recipe):
    """True masks to a segmenter.

    Attributes:
        method: ``supervised``.
        seed: Of everything random.
        data: The data set; its true masks are the training masks.
        void_is_background: Whether the training masks say background where the truth is void, as masks that are made of
            weak labels do, which cannot know of void; else such pixels give no loss. Scores leave void out either way.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
    """

    method: str = "supervised"
    void_is_background: bool = False
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
