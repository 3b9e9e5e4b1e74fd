"""Segmenters: a backbone and a head; to add a head, write its module here and its entry in ``heads.HEADS``.

The instance segmenter, in ``instance``, is imported by its own name: it needs torchvision, which takes seconds.
"""

from weakseg.nn.segmenters.deeplab import Aspp, LargeFov
from weakseg.nn.segmenters.heads import HEADS, SEGMENTERS, build_segmenter, check_head
from weakseg.nn.segmenters.segmenter import Segmenter

__all__ = ["HEADS", "SEGMENTERS", "Aspp", "LargeFov", "Segmenter", "build_segmenter", "check_head"]
