"""Masks from scores."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.settings.crf import CrfParams
from weakseg.settings.rules import check_settings
from weakseg.settings.tiles import TileConfig

Unary = Literal["scores", "softmax", "labels"]
Enlarged = Literal["scores", "logarithms", "logits"]
Fused = Literal["cells", "pixels"]


@dataclass(frozen=True)
class DecodeConfig:
    """How masks are made of scores.

    Attributes:
        crf: The CRF; 0 iterations: the best score wins.
        unary: What the CRF starts from: ``scores`` (-log of them), ``softmax`` (-log of the softmax of the scores,
            WSGCN's low contrast, for which its CRF was tuned), or ``labels`` (the best label is right with
            ``label_confidence``).
        label_confidence: For ``labels``, in (0, 1).
        enlarged: What is interpolated: ``scores``; their ``logarithms`` with aligned corners, as in WSGCN's code; or
            the ``logits`` whose softmax they are, as in A2GNN.
        max_side: Larger images are reduced to this for the CRF; bounds memory.
        tiles: How the CRF finds outlines in much larger ones again, on their own pixels.
    """

    crf: CrfParams = field(default_factory=CrfParams)
    unary: Unary = "scores"
    label_confidence: float = 0.7
    enlarged: Enlarged = "scores"
    max_side: int = 1024
    tiles: TileConfig = field(default_factory=TileConfig)

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        check_settings("masks", self, unary=get_args(Unary), enlarged=get_args(Enlarged))
        check_settings("masks", self, label_confidence="in (0, 1)", max_side=">= 32")


@dataclass(frozen=True)
class Fusion:
    """How the scores of a walk join those that are decoded.

    Attributes:
        weight: Of the walk, > 0.
        fused: Both are added on the ``cells`` of their grid, or when enlarged, on ``pixels``.
    """

    weight: float
    fused: Fused
