"""From boxes to seeds: GrabCut in each box, and where it agrees with seeds from tags."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.checks import check_rgb_uint8, check_same_size
from weakseg.data.annotations import Box
from weakseg.ops.resample import resize_image, resize_labels, scaled_size
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.grab_cut import grab_cut

MIN_BOX_PIXELS = 5  # as many as GrabCut has colours of a kind
NoEvidence = Literal["", "outside", "tiny", "whole image", "error", "empty", "small", "full"]


@dataclass(frozen=True)
class BoxSeeds:
    """What boxes say of one image.

    Attributes:
        labels: ``M_B``: 0 outside all boxes, the class of the segment on top, 255 elsewhere; no background in a box.
        boxes: M boxes.
        segments: ``(M, H, W)`` bool, the pixels that each box claims for its class.
        failures: Why a segment is its whole box instead of GrabCut's result, which makes it no evidence: the box has
            fewer than 5 pixels (``tiny``), GrabCut had no background (``whole image``) or raised (``error``), or its
            segment was ``empty``, too ``small``, or the ``full`` box; ``outside``: no pixel of it is in the image. ""
            where GrabCut worked.
    """

    labels: LabelMap
    boxes: tuple[Box, ...]
    segments: NDArray[np.bool_]
    failures: tuple[NoEvidence, ...]

    @property
    def failed(self) -> tuple[bool, ...]:
        """Whether each segment is no evidence."""
        return tuple(bool(failure) for failure in self.failures)

    def complete(self) -> LabelMap:
        """Return the mask of GrabCut alone: what is in a box and in no segment is background."""
        labels = self.labels.labels
        claimed = self.segments.any(0)  # contested pixels stay undecided
        return LabelMap(np.where(claimed, labels, 0).astype(np.uint8))


def box_seeds(
    boxes: Sequence[Box], image: NDArray[np.uint8], config: BoxSeedConfig, *, known: BoxSeeds | None = None
) -> BoxSeeds:
    """Return seeds from boxes: each claims the foreground that GrabCut finds in it, smaller segments on top.

    Args:
        boxes: In any order; without any all is background.
        image: ``(H, W, 3)`` uint8.
        config: GrabCut, and when not to believe it.
        known: Of the same image and settings: what was found in its boxes is not looked for again.

    Reference:
        [zhang2021a2gnn], equations 2 and 3; [rother2004grabcut]. Differs from the paper: exact rectangles, segments
        that are no evidence are named, smaller segments on top (the paper does not say).
    """
    check_rgb_uint8("image", image)
    size = (image.shape[0], image.shape[1])
    working = scaled_size(size, 1.0, max_side=config.max_side)
    pixels = np.ascontiguousarray(resize_image(image, working)[..., ::-1])  # B, G, R
    before = dict(zip(known.boxes, zip(known.segments, known.failures, strict=True), strict=True)) if known else {}
    found = [before.get(box) or _segment(box, size, pixels, config) for box in boxes]
    segments = np.array([segment for segment, _ in found], np.bool_).reshape(-1, *size)
    labels = _stacked(boxes, segments, size, contested=config.contested)
    return BoxSeeds(LabelMap(labels), tuple(boxes), segments, tuple(failure for _, failure in found))


def fill_boxes(boxes: Sequence[Box], size: tuple[int, int]) -> LabelMap:
    """Return the mask in which every box is wholly of its class, smaller boxes on top, and the rest background."""
    filled = np.array([_inside(box, size) for box in boxes], np.bool_).reshape(-1, *size)
    return LabelMap(_stacked(boxes, filled, size))


def fuse_seeds(seeds: BoxSeeds, trimap: LabelMap, *, confident: LabelMap | None = None) -> LabelMap:
    """Return the seeds on which boxes and tags agree: ``M_F``, or ``M_g`` where confident seeds are given.

    With A the ``trimap``, or ``confident``, the label of pixel i is 0 in no box; ``M_B(i)`` where ``A(i)`` is the same;
    ``M_B(i)`` where it comes from a box of a class that the trimap does not show in that box (activations missed the
    object); else 255.

    Args:
        seeds: Of the boxes.
        trimap: ``M_I``, labels in {0..K, 255}.
        confident: ``M'_I``, some of the labels of ``trimap``; with it, the result is some of the labels without it.

    Reference:
        [zhang2021a2gnn], equations 4 and 5. Differs from the paper: equation 5 as printed filters nothing, since every
        label of ``M_F`` equals ``M_B``; here boxes have to agree with the confident seeds, which is what its text says.
    """
    from_boxes = seeds.labels.labels
    agreed = trimap if confident is None else confident
    for name, labels in (("trimap", trimap.labels), ("confident", agreed.labels)):
        check_same_size(name, labels.shape, "seeds", from_boxes.shape)
    believed = agreed.labels == from_boxes
    for box, segment in zip(seeds.boxes, seeds.segments, strict=True):
        place = box.pixels((from_boxes.shape[0], from_boxes.shape[1]))
        if place is not None and not (trimap.labels[place] == box.class_id).any():
            believed |= segment & (from_boxes == box.class_id)
    return LabelMap(np.where(believed | (from_boxes == 0), from_boxes, UNDECIDED).astype(np.uint8))


def check_seeds(seeds: BoxSeeds, trimap: LabelMap | None) -> LabelMap:
    """Return GrabCut's whole mask less what is no evidence and what activations contradict.

    Undecided become the pixels of segments where GrabCut failed, and in boxes those that the trimap decides otherwise:
    where two kinds of evidence disagree, boxes' points and the graph decide. Not from a paper.

    Args:
        seeds: Of the boxes.
        trimap: ``M_I``, labels in {0..K, 255}; ``None`` contradicts nothing.
    """
    labels = seeds.complete().labels.copy()
    for segment, box, failed in zip(seeds.segments, seeds.boxes, seeds.failed, strict=True):
        if failed:
            labels[segment & (labels == box.class_id)] = UNDECIDED
    if trimap is not None:
        check_same_size("trimap", trimap.labels.shape, "seeds", labels.shape)
        decided = (seeds.labels.labels != 0) & (trimap.labels != UNDECIDED)
        labels[decided & (trimap.labels != labels)] = UNDECIDED
    return LabelMap(labels)


def _segment(
    box: Box, size: tuple[int, int], pixels: NDArray[np.uint8], config: BoxSeedConfig
) -> tuple[NDArray[np.bool_], NoEvidence]:
    """Return ``(H, W)`` pixels that a box claims, and why they are the whole box."""
    whole = _inside(box, size)
    if box.pixels(size) is None:
        return whole, "outside"
    if whole.sum() < MIN_BOX_PIXELS:
        return whole, "tiny"
    if whole.all():
        return whole, "whole image"
    try:
        cut = _grab_cut(box.scaled(pixels.shape[0] / size[0], pixels.shape[1] / size[1]), pixels, config)
    except cv2.error:
        return whole, "error"
    segment = resize_labels(cut, size).astype(np.bool_) & whole
    share = segment.sum() / whole.sum()  # the IoU, since a segment does not leave its box
    failure: NoEvidence = "empty" if not share else "small" if share < config.min_iou else "full" if share == 1 else ""
    return (whole, failure) if failure else (segment, "")


def _grab_cut(box: Box, pixels: NDArray[np.uint8], config: BoxSeedConfig) -> NDArray[np.uint8]:
    """Return ``(h, w)`` uint8, 1 where GrabCut sees foreground; the same in every call."""
    size = (pixels.shape[0], pixels.shape[1])
    rows, columns = box.pixels(size) or (slice(0, 0), slice(0, 0))
    seen = (slice(0, size[0]), slice(0, size[1]))
    if config.margin:
        down, right = (config.margin * (side.stop - side.start) for side in (rows, columns))
        wider = Box(1, rows.start - down, columns.start - right, rows.stop + down, columns.stop + right)
        seen = wider.pixels(size) or seen
    marks = np.zeros((seen[0].stop - seen[0].start, seen[1].stop - seen[1].start), np.uint8)
    place = (columns.start - seen[1].start, rows.start - seen[0].start)
    rectangle = (*place, columns.stop - columns.start, rows.stop - rows.start)
    cut = np.zeros(size, np.uint8)
    cut[seen] = grab_cut(pixels[seen], marks, config.iterations, rectangle=rectangle)
    return cut


def _inside(box: Box, size: tuple[int, int]) -> NDArray[np.bool_]:
    inside = np.zeros(size, np.bool_)
    place = box.pixels(size)
    if place is not None:
        inside[place] = True
    return inside


def _stacked(
    boxes: Sequence[Box], segments: NDArray[np.bool_], size: tuple[int, int], *, contested: str = "smaller"
) -> NDArray[np.uint8]:
    """Return ``(H, W)``: 0 outside of the boxes, 255 in them, and the segments from large to small on top."""
    labels = np.zeros(size, np.uint8)
    for box in boxes:
        labels[_inside(box, size)] = UNDECIDED
    clash = np.zeros(size, np.bool_)
    areas = segments.sum((1, 2))

    def order(index: int) -> tuple[float, ...]:
        """Sort by area, and by nothing that depends on the order of the boxes."""
        box = boxes[index]
        return (-int(areas[index]), box.class_id, box.top, box.left, box.bottom, box.right)

    for index in sorted(range(len(boxes)), key=order):
        segment, class_id = segments[index], boxes[index].class_id
        clash |= segment & (labels != UNDECIDED) & (labels != class_id)
        labels[segment] = class_id
    if contested == "undecided":
        labels[clash] = UNDECIDED
    return labels
