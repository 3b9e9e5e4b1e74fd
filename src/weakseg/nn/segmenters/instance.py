"""Mask R-CNN: a timm backbone with a feature pyramid, and torchvision's proposals, boxes and masks."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, build_backbone, read_backbone
from weakseg.nn.models import Builder, ModelFile, class_count
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.instance_segment import KIND as KIND
from weakseg.settings.instance_segment import MASK_SIDE, NORM_GROUPS, InstanceModelConfig

FINEST_STRIDE = 4
BOX_CELLS, MASK_CELLS = 7, MASK_SIDE // 2  # what boxes are resampled to; masks are predicted on twice the cells


@dataclass(frozen=True)
class Targets:
    """What is to be found in a batch; the objects of all its images in one row.

    Attributes:
        counts: ``(B,)`` int64 objects of each image; they add up to N.
        boxes: ``(N, 4)`` float (left, top, right, bottom) in pixels.
        class_ids: ``(N,)`` int64, 1..K.
        masks: ``(N, H, W)`` uint8, 0 or 1.
    """

    counts: Tensor
    boxes: Tensor
    class_ids: Tensor
    masks: Tensor

    def by_image(self) -> list[dict[str, Tensor]]:
        """Return the objects of each image, as torchvision takes them."""
        counts: list[int] = self.counts.tolist()
        parts = zip(*(torch.split(v, counts) for v in (self.boxes, self.class_ids, self.masks)), strict=True)
        return [{"boxes": boxes, "labels": class_ids, "masks": masks} for boxes, class_ids, masks in parts]


@dataclass(frozen=True)
class Detected:
    """What was found in an image.

    Attributes:
        boxes: ``(N, 4)`` (left, top, right, bottom) in pixels of the image.
        class_ids: ``(N,)`` int64, 1..K.
        scores: ``(N,)`` in [0, 1], in decreasing order.
        masks: ``(N, 1, 28, 28)`` probabilities inside of the boxes.
    """

    boxes: Tensor
    class_ids: Tensor
    scores: Tensor
    masks: Tensor


class RegionHead(nn.Module):
    """Pyramid, proposals and regions.

    Attributes:
        num_levels: How many of the last levels of a backbone the pyramid takes.
    """

    def __init__(self, config: InstanceModelConfig, channels: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.num_levels = len(channels)
        norm = _normalization if config.pyramid_norm == "group" else None
        self.pyramid = FeaturePyramidNetwork(list(channels), config.width, LastLevelMaxPool(), norm)
        names = [str(level) for level in range(len(channels))]
        sizes = tuple((config.anchor_px << level,) for level in range(len(channels) + 1))
        detector = MaskRCNN(
            _Width(config.width),
            rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
            rpn_post_nms_top_n_train=config.proposals,
            rpn_post_nms_top_n_test=config.proposals,
            box_batch_size_per_image=config.samples or config.proposals,
            box_roi_pool=MultiScaleRoIAlign(names, BOX_CELLS, 2),
            box_head=TwoMLPHead(config.width * BOX_CELLS**2, config.hidden),
            box_predictor=FastRCNNPredictor(config.hidden, num_classes + 1),
            mask_roi_pool=MultiScaleRoIAlign(names, MASK_CELLS, 2),
            mask_head=MaskRCNNHeads(config.width, (config.width,) * config.mask_layers, 1),
            mask_predictor=MaskRCNNPredictor(config.width, config.width, num_classes + 1),
        )
        self.proposals, self.regions = detector.rpn, detector.roi_heads

    def forward(
        self, images: Tensor, levels: list[Tensor], targets: list[dict[str, Tensor]] | None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Return what was found in each image, and the losses; the one or the other is empty."""
        sizes = [(images.shape[2], images.shape[3])] * len(images)
        features = self.pyramid(OrderedDict((str(level), maps) for level, maps in enumerate(levels)))
        boxes, losses = self.proposals(ImageList(images, sizes), features, targets)
        found, further = self.regions(features, boxes, sizes, targets)
        return found, {**losses, **further}


class InstanceSegmenter(nn.Module):
    """Backbone and regions: images to objects, each with class, score, box and mask.

    Reference:
        [he2017maskrcnn], with the pyramid of [lin2017fpn]. Differs from the papers: batch norm of the backbone keeps
        its statistics; group norm in the pyramid unless it is left out; images enter as they are.
    """

    def __init__(self, backbone: Backbone, head: RegionHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor, targets: Targets) -> Tensor:
        """Return the sum of the losses of proposals, classes, boxes and masks, on ``(B, 3, H, W)`` images (0..255)."""
        _, losses = self.head(images, self._levels(images), targets.by_image())
        return torch.stack([loss.float() for loss in losses.values()]).sum()

    def find(self, image: Tensor, *, score: float = 0.05, nms: float = 0.5, most: int = 100) -> Detected:
        """Return the objects of a ``(3, H, W)`` image on the scale 0..255; the model must be in evaluation mode.

        Args:
            image: The image.
            score: Smallest score.
            nms: Of two boxes of a class with a larger IoU the surer one is kept.
            most: Largest number of objects.
        """
        regions = self.head.regions
        regions.score_thresh, regions.nms_thresh, regions.detections_per_img = score, nms, most
        (found,), _ = self.head(image[None], self._levels(image[None]), None)
        return Detected(found["boxes"], found["labels"], found["scores"], found["masks"])

    def _levels(self, images: Tensor) -> list[Tensor]:
        return self.backbone.levels(images)[-self.head.num_levels :]


def build_instance_segmenter(
    config: InstanceModelConfig, num_classes: int, *, pretrained: bool = True
) -> InstanceSegmenter:
    """Return an instance segmenter of ``num_classes`` classes; errors as those of ``build_backbone``."""
    backbone = build_backbone(config.backbone, pretrained=pretrained)
    return InstanceSegmenter(backbone, RegionHead(config, pyramid_channels(backbone), num_classes))


def pyramid_channels(backbone: Backbone) -> list[int]:
    """Return the channels of the levels that the pyramid is made of: those of stride 4 and coarser."""
    shapes = [(channels, stride) for channels, stride in backbone.level_shapes() if stride >= FINEST_STRIDE]
    if len({stride for _, stride in shapes}) < 2:
        raise ConfigError(
            f"instance segmenter: a pyramid is made of levels of several strides from {FINEST_STRIDE} on, the backbone "
            f"has {[stride for _, stride in shapes]}; choose a convolutional one"
        )
    return [channels for channels, _ in shapes]


def read_instance_segmenter(file: ModelFile) -> InstanceSegmenter:
    """Return the instance segmenter that a file's header describes, without its weights."""
    settings = dict(file.header["model"])
    config = InstanceModelConfig(backbone=BackboneConfig(**settings.pop("backbone")), **settings)
    backbone, classes = read_backbone(file, file.header["model"]["backbone"]), class_count(file.header)
    channels = pyramid_channels(backbone)
    file.check_part("head", lambda: RegionHead(config, channels, classes))
    return InstanceSegmenter(backbone, RegionHead(config, channels, classes))


INSTANCE_SEGMENTERS: dict[str, Builder[InstanceSegmenter]] = {KIND: read_instance_segmenter}


def _normalization(channels: int) -> nn.Module:
    """Return what keeps the levels on one scale; without, losses start ten times higher and training is erratic."""
    return nn.GroupNorm(NORM_GROUPS, channels)


class _Width(nn.Module):
    """Tells torchvision the width of a pyramid that it does not own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_channels = width
