"""Mask R-CNN as exporters take it: one image, and no question in Python of how many boxes are left."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image, nms, roi_align

from weakseg.nn.segmenters.instance import InstanceSegmenter

LEAST_SIDE = 1e-2  # of what is found
EPS = 1e-6  # as torchvision adds to levels


class Found(nn.Module):
    """Pixels of one image to what ``InstanceSegmenter.find`` returns; what may be wanted otherwise is an input.

    Attributes:
        coarsest: Stride of the level that the pyramid adds.

    Args:
        model: Whose layers are used.
        nms_iou: Of two boxes of a class with a larger IoU the surer one is kept.

    Reference:
        [he2017maskrcnn], as torchvision applies it; sizes of proposals are compared, and levels chosen, as there.
    """

    def __init__(self, model: InstanceSegmenter, nms_iou: float) -> None:
        super().__init__()
        self.model, self.nms_iou = model, nms_iou
        strides = [stride for _, stride in model.backbone.level_shapes()]
        self.strides = strides[-model.head.num_levels :]
        self.coarsest = 2 * strides[-1]

    def forward(self, pixels: Tensor, score: Tensor, most: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return boxes ``(N, 4)`` in pixels, class ids ``(N,)``, scores ``(N,)`` and masks ``(N, 28, 28)``.

        Args:
            pixels: ``(1, 3, H, W)`` on the scale 0..255.
            score: Smallest score, a single float.
            most: Largest number of objects, a single int64.
        """
        head = self.model.head
        levels = self.model.backbone.levels(pixels)[-head.num_levels :]
        maps = list(head.pyramid(OrderedDict((str(level), found) for level, found in enumerate(levels))).values())
        size = (pixels.shape[2], pixels.shape[3])
        proposed = self._proposed(maps, size)
        boxes, class_ids, scores = self._classified(maps[: len(self.strides)], proposed, size, score)
        kept = (torch.arange(scores.shape[0], device=scores.device) < most).nonzero()[:, 0]
        boxes, class_ids, scores = (found.index_select(0, kept) for found in (boxes, class_ids, scores))
        return boxes, class_ids, scores, self._masks(maps[: len(self.strides)], boxes, class_ids)

    def _proposed(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Return ``(N, 4)`` proposals, the surest first."""
        network: Any = self.model.head.proposals
        boxes, scores, levels = [], [], []
        for level, (sure, codes) in enumerate(zip(*network.head(maps), strict=True)):
            anchors = _anchors(network.anchor_generator.cell_anchors[level], sure, size)
            flat, moves = sure[0].permute(1, 2, 0).flatten(), codes[0].permute(1, 2, 0).reshape(-1, 4)
            sure, first = flat.topk(torch.sym_min(network.pre_nms_top_n(), flat.shape[0]))
            moved = network.box_coder.decode_single(moves.index_select(0, first), anchors.index_select(0, first))
            boxes.append(clip_boxes_to_image(moved, size))
            scores.append(sure.sigmoid())
            levels.append(torch.full_like(first, level))
        found = _large((torch.cat(boxes), torch.cat(scores), torch.cat(levels)), network.min_size)
        kept = _apart(*found, network.nms_thresh, size, len(maps))[: network.post_nms_top_n()]
        return found[0].index_select(0, kept)

    def _classified(
        self, maps: list[Tensor], proposed: Tensor, size: tuple[int, int], score: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, class ids and scores, the surest first."""
        regions: Any = self.model.head.regions
        logits, codes = regions.box_predictor(regions.box_head(self._pooled(maps, proposed, regions.box_roi_pool)))
        labels = logits.shape[1]
        moved = regions.box_coder.decode_single(codes, proposed).reshape(-1, labels, 4)
        boxes = clip_boxes_to_image(moved, size)[:, 1:].reshape(-1, 4)
        scores = logits.softmax(-1)[:, 1:].flatten()
        ids = torch.arange(1, labels, device=boxes.device).expand(logits.shape[0], -1).flatten()
        sure = (scores > score).nonzero()[:, 0]
        found = _large(tuple(x.index_select(0, sure) for x in (boxes, scores, ids)), LEAST_SIDE)
        kept = _apart(*found, self.nms_iou, size, labels)
        boxes, scores, ids = (x.index_select(0, kept) for x in found)
        return boxes, ids, scores

    def _masks(self, maps: list[Tensor], boxes: Tensor, class_ids: Tensor) -> Tensor:
        """Return ``(N, 28, 28)`` probabilities of the class of each box."""
        regions: Any = self.model.head.regions
        logits = regions.mask_predictor(regions.mask_head(self._pooled(maps, boxes, regions.mask_roi_pool)))
        side = logits.shape[2:]
        own = class_ids[:, None, None, None].expand(-1, 1, *side)
        found: Tensor = logits.gather(1, own)[:, 0].sigmoid()
        return found

    def _pooled(self, maps: list[Tensor], boxes: Tensor, pool: Any) -> Tensor:
        """Return ``(N, C, side, side)``: each box from the level that its size belongs to."""
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        lowest, highest = (stride.bit_length() - 1 for stride in (self.strides[0], self.strides[-1]))
        wanted = torch.floor(pool.canonical_level + torch.log2(area.sqrt() / pool.canonical_scale) + EPS)
        levels = wanted.clamp(lowest, highest).long() - lowest
        side = pool.output_size
        total = maps[0].new_zeros(boxes.shape[0], maps[0].shape[1], *side)
        rows = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], 1)
        for level, (found, stride) in enumerate(zip(maps, self.strides, strict=True)):
            here = (levels == level).nonzero()[:, 0]
            part = roi_align(found, rows.index_select(0, here), side, 1 / stride, pool.sampling_ratio)
            total = total.index_add(0, here, part)
        return total


def _anchors(shapes: Tensor, grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``(h w A, 4)`` boxes of shapes around cells; steps are whole pixels, as torchvision divides."""
    below, right = (
        torch.arange(cells, device=shapes.device) * (side // cells)
        for cells, side in zip(grid.shape[2:], size, strict=True)
    )
    rows, columns = below[:, None].expand(-1, right.shape[0]), right[None].expand(below.shape[0], -1)
    places = torch.stack([columns, rows, columns, rows], -1).reshape(-1, 1, 4)
    return (places + shapes).reshape(-1, 4)


def _large(found: Sequence[Tensor], least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return what is of boxes with sides that are long enough."""
    boxes = found[0]
    kept = ((boxes[:, 2:] - boxes[:, :2]) >= least).all(1).nonzero()[:, 0]
    boxes, scores, groups = (x.index_select(0, kept) for x in found)
    return boxes, scores, groups


def _apart(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, size: tuple[int, int], num_groups: int) -> Tensor:
    """Return which boxes stay where others of their group overlap, the surest first: groups are moved apart.

    They are moved to the cells of a square, as large coordinates are rounded. ``torch.export`` takes it that two boxes
    or more stay: two without area are added, which overlap nothing and come last, and left out again.
    """
    across = math.isqrt(num_groups - 1) + 1
    further: Any = torch.sym_max(*size) + 1
    right, below = (groups % across * further).to(boxes.dtype), (groups // across * further).to(boxes.dtype)
    moved = boxes + torch.stack([right, below, right, below], 1)
    kept: Tensor = nms(torch.cat([moved, boxes.new_zeros(2, 4)]), torch.cat([scores, scores.new_full((2,), -1.0)]), iou)
    return kept[:-2]
