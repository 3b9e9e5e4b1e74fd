"""Masks from scores."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams

Unary = Literal["scores", "softmax", "labels"]
Enlarged = Literal["scores", "logarithms", "logits"]


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
    """

    crf: CrfParams = field(default_factory=CrfParams)
    unary: Unary = "scores"
    label_confidence: float = 0.7
    enlarged: Enlarged = "scores"
    max_side: int = 1024

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        if self.unary not in get_args(Unary) or self.enlarged not in get_args(Enlarged):
            raise ConfigError(f"decode: unary of {get_args(Unary)}, enlarged of {get_args(Enlarged)}; got {self}")
        if not 0 < self.label_confidence < 1 or self.max_side < 32:
            raise ConfigError(f"decode: need label_confidence in (0, 1) and max_side >= 32, got {self}")
