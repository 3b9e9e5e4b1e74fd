"""Recipe of the ``drawn`` method."""

from dataclasses import dataclass, field

from weakseg.pipeline.recipe import Recipe
from weakseg.settings.refine import RefineConfig
from weakseg.settings.segment import PredictConfig, SegmentConfig
from weakseg.settings.weak_seeds import WeakSeedConfig


@dataclass(frozen=True)
class DrawnRecipe(Recipe):
    """Boxes, points, scribbles or regions to seeds, masks and a segmenter, with no classifier and no graph.

    Attributes:
        method: ``drawn``.
        seed: Of everything random.
        data: The data set; every training image has a drawn label.
        seeds: How each kind of label becomes seeds.
        masks: The CRF that decides what seeds leave open; 0 iterations: the seeds are the masks.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
    """

    method: str = "drawn"
    seeds: WeakSeedConfig = field(default_factory=lambda: WeakSeedConfig(boxes_as="grabcut"))
    masks: RefineConfig = field(default_factory=RefineConfig)
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
