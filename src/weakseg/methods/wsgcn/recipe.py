"""Recipes of WSGCN: on IRNet's boundaries (``wsgcn-i``) or on PSA's affinities (``wsgcn-p``)."""

from dataclasses import dataclass, field
from typing import Literal

from weakseg.methods.recipe import TagRecipe
from weakseg.methods.wsgcn.config import WsgcnConfig
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.boundary import BoundaryConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import GraphConfig
from weakseg.settings.seed import SeedConfig, auto_seeds, psa_readings


def wsgcn_masks() -> DecodeConfig:
    """Return how WSGCN decodes: its CRF was tuned to the low contrast of a softmax of probabilities."""
    return DecodeConfig(CrfParams(bilateral_weight=3.0), unary="softmax")


@dataclass(frozen=True)
class WsgcnRecipe(TagRecipe):
    """What both graphs have in common.

    Attributes:
        seeds: How seeds are read off the activations.
        partial_from: Where partial labels come from: ``activations`` (the paper; ``completion.partial``) or ``seeds``.
        completion: Partial labels, and the network that completes them.
        masks: How masks are made of completed scores.
        graph: How an image's graph is built.
    """

    seeds: SeedConfig = field(default_factory=auto_seeds)
    partial_from: Literal["activations", "seeds"] = "activations"
    completion: WsgcnConfig = field(default_factory=WsgcnConfig)
    masks: DecodeConfig = field(default_factory=wsgcn_masks)
    graph: GraphConfig = field(default_factory=GraphConfig)


@dataclass(frozen=True)
class WsgcnIRecipe(WsgcnRecipe):
    """Tags to activations, seeds, a boundary network, completed scores, masks and a segmenter.

    Attributes:
        seeds: How seeds are read off the activations; the boundary network learns from their pairs.
        boundary: The boundary network and its training.
    """

    method: str = "wsgcn-i"
    boundary: BoundaryConfig = field(default_factory=BoundaryConfig)


@dataclass(frozen=True)
class WsgcnPRecipe(WsgcnRecipe):
    """As ``wsgcn-i``, on PSA's affinity network.

    Attributes:
        seeds: How seeds are read off the activations, for ``partial_from`` ``seeds``.
        readings: The two readings of the activations that the affinity network learns from.
        affinity: The affinity network and its training.
    """

    method: str = "wsgcn-p"
    graph: GraphConfig = field(default_factory=lambda: GraphConfig(beta=8.0))
    readings: SeedConfig = field(default_factory=psa_readings)
    affinity: AffinityConfig = field(default_factory=AffinityConfig)
