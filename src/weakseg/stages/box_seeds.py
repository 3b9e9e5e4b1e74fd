"""From boxes to seeds: what is proposed in each box, by GrabCut mostly, and where it agrees with seeds from tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.checks import check_same_size
from weakseg.data.annotations import Box, Drawn
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.proposers import build_proposer
from weakseg.stages.proposers.choose import NoEvidence
from weakseg.stages.proposers.look import Look, Segment, inside, painted
from weakseg.stages.proposers.prompt import Prompt, box_prompts, places_of


@dataclass(frozen=True)
class BoxSeeds:
    """What boxes say of one image.

    Attributes:
        labels: ``M_B``: 0 outside all boxes, the class of the segment on top, 255 elsewhere; no background in a box.
        boxes: M boxes.
        segments: ``(M, H, W)`` bool, the pixels that each box claims for its class.
        failures: Why a segment is its whole box instead of what was proposed, which makes it no evidence: the box has
            fewer than 5 pixels (``tiny``), GrabCut had no background (``whole image``), the proposer raised or what it
            answered is no mask of the image (``error``), or its segment was ``empty``, too ``small``, or the ``full``
            box; ``outside``: no pixel of it is in the image. "" where it worked.
        found: What was found for each prompt; the next call for the same image looks here first.
    """

    labels: LabelMap
    boxes: tuple[Box, ...]
    segments: NDArray[np.bool_]
    failures: tuple[NoEvidence, ...]
    found: Mapping[Prompt, Segment] = field(default_factory=dict, repr=False, compare=False)

    @property
    def failed(self) -> tuple[bool, ...]:
        """Whether each segment is no evidence."""
        return tuple(bool(failure) for failure in self.failures)

    def complete(self) -> LabelMap:
        """Return the mask of the segments alone: what is in a box and in no segment is background."""
        labels = self.labels.labels
        claimed = self.segments.any(0)  # contested pixels stay undecided
        return LabelMap(np.where(claimed, labels, 0).astype(np.uint8))


def box_seeds(
    boxes: Sequence[Box],
    image: NDArray[np.uint8],
    config: BoxSeedConfig,
    *,
    known: BoxSeeds | None = None,
    marks: Drawn | None = None,
    look: Look | None = None,
) -> BoxSeeds:
    """Return seeds from boxes: each claims the foreground that is proposed in it, smaller segments on top.

    Args:
        boxes: In any order; without any all is background.
        image: ``(H, W, 3)`` uint8.
        config: GrabCut, or another proposer, and when not to believe it.
        known: Of the same image and settings: what was found in its boxes is not looked for again.
        marks: Points and scribbles on the image, for proposers that look at them; GrabCut does not.
        look: From ``look_of`` for the same image and settings, where it is used again.

    Reference:
        [zhang2021a2gnn], equations 2 and 3; [rother2004grabcut]. Differs from the paper: exact rectangles, segments
        that are no evidence are named, smaller segments on top (the paper does not say).
    """
    look = look or look_of(image, config)
    places = places_of(marks or Drawn(), look.size) if config.proposes else {}
    before, prompts = known.found if known else {}, list(box_prompts(boxes, places, look.size))
    answers = [before.get(prompt) or look.segment(prompt, places) for prompt in prompts]
    segments = np.array([answer.pixels for answer in answers], np.bool_).reshape(-1, *look.size)
    labels = stacked(boxes, segments, look.size, contested=config.contested)
    kept = (answer._replace(pixels=segment) for answer, segment in zip(answers, segments, strict=True))
    failures = tuple(answer.failure for answer in answers)
    return BoxSeeds(LabelMap(labels), tuple(boxes), segments, failures, dict(zip(prompts, kept, strict=True)))


def look_of(
    image: NDArray[np.uint8],
    config: BoxSeedConfig,
    *,
    device: str = "cpu",
    given: Mapping[Prompt, Segment] | None = None,
) -> Look:
    """Return a photograph as the proposer of the settings sees it; who that is, is built when it is first asked.

    Args:
        image: ``(H, W, 3)`` uint8.
        config: Of the proposer.
        device: Where it runs if the settings say nothing of it.
        given: Answers that are known already.
    """
    return Look(image, config, partial(build_proposer, config, device=device), given or {})


def fill_boxes(boxes: Sequence[Box], size: tuple[int, int]) -> LabelMap:
    """Return the mask in which every box is wholly of its class, smaller boxes on top, and the rest background."""
    filled = np.array([inside(box, size) for box in boxes], np.bool_).reshape(-1, *size)
    return LabelMap(stacked(boxes, filled, size))


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
    """Return the whole mask of the segments less what is no evidence and what activations contradict.

    Undecided become the pixels of segments where the proposer failed, and in boxes those that the trimap decides
    otherwise: where two kinds of evidence disagree, boxes' points and the graph decide. Not from a paper.

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


def stacked(
    boxes: Sequence[Box], segments: NDArray[np.bool_], size: tuple[int, int], *, contested: str = "smaller"
) -> NDArray[np.uint8]:
    """Return ``(H, W)``: 0 outside of the boxes, 255 in them, and the segments from large to small on top."""
    labels = np.zeros(size, np.uint8)
    for box in boxes:
        labels[inside(box, size)] = UNDECIDED
    areas = segments.sum((1, 2))

    def order(index: int) -> tuple[float, ...]:
        """Sort by area, and by nothing that depends on the order of the boxes."""
        box = boxes[index]
        return (-int(areas[index]), box.class_id, box.top, box.left, box.bottom, box.right)

    by_size = sorted(range(len(boxes)), key=order)
    return painted([segments[i] for i in by_size], [boxes[i].class_id for i in by_size], labels, contested=contested)
