"""A photograph as a proposer sees it: encoded once, and asked for one object after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.checks import check_rgb_uint8
from weakseg.data.annotations import Box
from weakseg.ops.resample import resize_image, resize_labels, scaled_size
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.proposers.choose import NoEvidence, chosen, failure_of
from weakseg.stages.proposers.prompt import MarkPlaces, Prompt, Size, in_box
from weakseg.stages.proposers.proposer import Proposals, Proposer

MIN_BOX_PIXELS = 5  # as many as GrabCut has colours of a kind


class Segment(NamedTuple):
    """What an object claims.

    Attributes:
        pixels: ``(H, W)`` bool.
        failure: Why they are the whole box, or nothing where there is no box; "" where they were proposed.
        trouble: What exactly was wrong with the answer of a proposer; mostly "".
    """

    pixels: NDArray[np.bool_]
    failure: NoEvidence
    trouble: str = ""


@dataclass
class Look:
    """A photograph that a proposer is asked about.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        config: Who is asked, when it is not to be believed, and what it is told.
        build: Makes the proposer, when it is first asked.
        given: Answers that are known already.
    """

    image: NDArray[np.uint8]
    config: BoxSeedConfig
    build: Callable[[], Proposer]
    given: Mapping[Prompt, Segment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no image."""
        check_rgb_uint8("image", self.image)

    @cached_property
    def proposer(self) -> Proposer:
        """Who is asked."""
        return self.build()

    @property
    def size(self) -> Size:
        """(rows, columns) of the photograph."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def working(self) -> Size:
        """(rows, columns) of the image that is encoded."""
        return scaled_size(self.size, 1.0, max_side=self.proposer.side)

    @cached_property
    def encoded(self) -> Any:
        """What the proposer has computed of the photograph, at the first prompt."""
        return self.proposer.encode(resize_image(self.image, self.working))

    def segment(self, prompt: Prompt, places: MarkPlaces) -> Segment:
        """Return the pixels of an object: of the proposed masks the one that agrees best with marks, in its box.

        Args:
            prompt: The object.
            places: Pixels of its marks.
        """
        if prompt in self.given:
            return self.given[prompt]
        whole = inside(prompt.box, self.size)
        if early := self._hopeless(prompt.box, whole):
            return Segment(whole, early)
        try:
            found = self._asked(prompt, places)
        except cv2.error:
            return self._failed(prompt, whole, "error")
        if wrong := self._wrong(found):
            return self._failed(prompt, whole, "error", wrong)
        masks, scores = found.masks[0], found.scores[0]
        if not len(masks):
            return self._failed(prompt, whole, "empty", "no mask was proposed")
        raised = ((mask > 0).astype(np.uint8) for mask in masks)
        segments = np.array([resize_labels(mask, self.size).astype(np.bool_) & whole for mask in raised])
        least = self.config.min_iou if prompt.box else 0.0
        failures = [failure_of(segment, whole, least=least) for segment in segments]
        own = [in_box(places[mark], prompt.box, self.size) for mark in prompt.own]
        others = [in_box(places[mark], prompt.box, self.size) for mark in prompt.others]
        best = chosen(segments, scores, own=own, others=others, failures=failures)
        return self._failed(prompt, whole, failures[best]) if failures[best] else Segment(segments[best], "")

    def _hopeless(self, box: Box | None, whole: NDArray[np.bool_]) -> NoEvidence:
        """Return why nobody needs to be asked; "" where somebody does."""
        if box is None:
            return ""
        if box.pixels(self.size) is None:
            return "outside"
        if whole.sum() < MIN_BOX_PIXELS:
            return "tiny"
        return "whole image" if self.proposer.needs_rest and whole.all() else ""

    def _asked(self, prompt: Prompt, places: MarkPlaces) -> Proposals:
        """Return what is proposed for a prompt: it is asked for alone, so that none spoils another."""
        down, right = self.working[0] / self.size[0], self.working[1] / self.size[1]
        box = prompt.box.scaled(down, right) if prompt.box else None
        boxes = None if box is None else np.array([[box.top, box.left, box.bottom, box.right]])
        told = self.proposer.takes_points and (box is None or self.config.prompts == "marks")
        points = prompt.points(places, self.size) if told else None
        if points is None:
            return self.proposer.propose(self.encoded, boxes, None, None)
        return self.proposer.propose(self.encoded, boxes, (points[0] * (down, right))[None], points[1][None])

    def _wrong(self, found: Proposals) -> str:
        """Return what is wrong with an answer; "" where nothing is."""
        masks, scores = found.masks, found.scores
        if masks.ndim != 4 or len(masks) != 1 or scores.shape != masks.shape[:2]:
            return f"masks and scores of shape {masks.shape} and {scores.shape} for one prompt"
        if masks.shape[1] and masks.shape[2:] != self.working:
            return f"masks of size {masks.shape[2:]}, the image is {self.working}"
        if not np.isfinite(scores).all() or (masks.dtype != np.bool_ and not np.isfinite(masks).all()):
            return "masks or scores that are not finite"
        return ""

    @staticmethod
    def _failed(prompt: Prompt, whole: NDArray[np.bool_], failure: NoEvidence, trouble: str = "") -> Segment:
        return Segment(whole if prompt.box else np.zeros_like(whole), failure, trouble)


def inside(box: Box | None, size: Size) -> NDArray[np.bool_]:
    """Return ``(H, W)`` pixels that a box touches; all without a box."""
    found = np.full(size, box is None, np.bool_)
    if box is not None and (place := box.pixels(size)) is not None:
        found[place] = True
    return found


def painted(
    segments: Sequence[NDArray[np.bool_]], class_ids: Sequence[int], on: NDArray[np.uint8], *, contested: str
) -> NDArray[np.uint8]:
    """Return labels with segments on top, later ones above; ``on`` is changed.

    Args:
        segments: ``(H, W)`` each.
        class_ids: Of the segments.
        on: ``(H, W)`` uint8 labels below.
        contested: What a pixel in segments of several classes is: the last one's, or ``undecided``.
    """
    clash = np.zeros(on.shape, np.bool_)
    for segment, class_id in zip(segments, class_ids, strict=True):
        clash |= segment & (on != UNDECIDED) & (on != class_id)
        on[segment] = class_id
    if contested == "undecided":
        on[clash] = UNDECIDED
    return on
