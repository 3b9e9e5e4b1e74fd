"""Recipes of WSGCN: on IRNet's boundaries (``wsgcn-i``) or on PSA's affinities (``wsgcn-p``)."""

from dataclasses import dataclass, field
from typing import Literal

from weakseg.methods.wsgcn.config import CompleteConfig
from weakseg.pipeline.recipe import Recipe
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.boundary import BoundaryConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import GraphConfig
from weakseg.settings.seed import SeedConfig, psa_readings
from weakseg.settings.segment import PredictConfig, SegmentConfig


def wsgcn_masks() -> DecodeConfig:
    """Return how WSGCN decodes: its CRF was tuned to the low contrast of a softmax of probabilities."""
    return DecodeConfig(CrfParams(bilateral_weight=3.0), unary="softmax")


@dataclass(frozen=True)
class WsgcnIRecipe(Recipe):
    """Tags to activations, seeds, a boundary network, completed scores, masks and a segmenter.

    Attributes:
        method: ``wsgcn-i``.
        seed: Of everything random.
        data: The data set.
        classifier: The tag classifier and its training.
        activations: How activations are computed.
        seeds: How seeds are read off them; the boundary network learns from their pairs.
        boundary: The boundary network and its training.
        graph: How an image's graph is built.
        partial_from: Where partial labels come from: ``activations`` (the paper; ``completion.partial``) or ``seeds``.
        completion: Partial labels, and the network that completes them.
        masks: How masks are made of completed scores.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
    """

    method: str = "wsgcn-i"
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    activations: ActivateConfig = field(default_factory=ActivateConfig)
    seeds: SeedConfig = field(default_factory=SeedConfig)
    boundary: BoundaryConfig = field(default_factory=BoundaryConfig)
    graph: GraphConfig = field(default_factory=GraphConfig)
    partial_from: Literal["activations", "seeds"] = "activations"
    completion: CompleteConfig = field(default_factory=CompleteConfig)
    masks: DecodeConfig = field(default_factory=wsgcn_masks)
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)


@dataclass(frozen=True)
class WsgcnPRecipe(Recipe):
    """As ``WsgcnIRecipe``, on PSA's affinity network.

    Attributes:
        method: ``wsgcn-p``.
        seed: Of everything random.
        data: The data set.
        classifier: The tag classifier and its training.
        activations: How activations are computed.
        readings: The two readings of the activations that the affinity network learns from.
        affinity: The affinity network and its training.
        seeds: How seeds are read off the activations, for ``partial_from`` ``seeds``.
        graph: How an image's graph is built.
        partial_from: Where partial labels come from: ``activations`` (the paper; ``completion.partial``) or ``seeds``.
        completion: Partial labels, and the network that completes them.
        masks: How masks are made of completed scores.
        segmenter: The segmenter and its training.
        predictions: How the segmenter is applied.
    """

    method: str = "wsgcn-p"
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    activations: ActivateConfig = field(default_factory=ActivateConfig)
    readings: SeedConfig = field(default_factory=psa_readings)
    affinity: AffinityConfig = field(default_factory=AffinityConfig)
    seeds: SeedConfig = field(default_factory=SeedConfig)
    graph: GraphConfig = field(default_factory=lambda: GraphConfig(beta=8.0))
    partial_from: Literal["activations", "seeds"] = "activations"
    completion: CompleteConfig = field(default_factory=CompleteConfig)
    masks: DecodeConfig = field(default_factory=wsgcn_masks)
    segmenter: SegmentConfig = field(default_factory=SegmentConfig)
    predictions: PredictConfig = field(default_factory=PredictConfig)
