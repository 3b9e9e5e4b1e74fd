"""Segmenters: a backbone and a head; to add a head, write its module here and its entry in ``heads.HEADS``.

The instance segmenter, in ``instance``, is imported by its own name: it needs torchvision, which takes seconds.
"""

from weakseg.nn.segmenters.heads import HEADS, SEGMENTERS, Head, build_segmenter, check_training, completed, trained_on
from weakseg.nn.segmenters.segmenter import Segmenter

__all__ = [
    "HEADS",
    "SEGMENTERS",
    "Head",
    "Segmenter",
    "build_segmenter",
    "check_training",
    "completed",
    "trained_on",
]
