"""What is known of photographs that are to be labelled: how far each has come, how good the mask of each class is."""

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.errors import DataError

State = Literal["nothing", "tags", "drawn", "accepted", "rejected"]
MarkKind = Literal["tag", "click", "stroke", "box"]
MARK_KINDS: tuple[MarkKind, ...] = get_args(MarkKind)  # the weakest first
Frame = tuple[int, int, int, int]
PART = 0.1  # of a mask: a smaller part of it counts as no object of its own


@dataclass(frozen=True)
class KnownClass:
    """What is known of one class that a photograph shows.

    Attributes:
        name: Of the class.
        reliability: Of its mask, in [0, 1]; ``None``: it has no mask, or nobody knows.
        share: Of the photograph's pixels that its mask covers; ``None``: it has no mask.
        objects: How many there may be, at least 1: each takes a box, click or stroke of its own.
        made_from: The strongest label that its mask was made from.
        drawn: The strongest label that a person has drawn since the mask was made; ``None``: none.
        disagreement: 1 - IoU of its mask with another one, of a segmenter or another method; ``None``: there is none.
        region: (left, top, right, bottom) in pixels: where the mask is uncertain.
        reasons: What speaks against its mask, in words.
    """

    name: str
    reliability: float | None = None
    share: float | None = None
    objects: int = 1
    made_from: MarkKind = "tag"
    drawn: MarkKind | None = None
    disagreement: float | None = None
    region: Frame | None = None
    reasons: tuple[str, ...] = ()

    @property
    def strongest(self) -> MarkKind:
        """The strongest label that is there."""
        return max((self.made_from, self.drawn or self.made_from), key=MARK_KINDS.index)

    def __post_init__(self) -> None:
        """Refuse values that no mask has."""
        for what in ("reliability", "share", "disagreement"):
            value = getattr(self, what)
            if value is not None and not 0 <= value <= 1:
                raise DataError(f"class {self.name!r}: {what} must be in [0, 1], got {value}")
        if self.objects < 1:
            raise DataError(f"class {self.name!r}: objects must be at least 1, got {self.objects}")


@dataclass(frozen=True)
class KnownPhotograph:
    """What is known of a photograph.

    Attributes:
        id: Its id.
        state: ``nothing``: not even tags; ``tags``: what it shows; ``drawn``: a person has drawn on it; ``accepted`` or
            ``rejected``: a person has looked at its mask.
        classes: That it shows.
    """

    id: str
    state: State = "tags"
    classes: tuple[KnownClass, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a class that is there twice."""
        names = [one.name for one in self.classes]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"image {self.id!r}: class {repeated[0]!r} is given twice; give it once")


def uncertain_region(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> Frame | None:
    """Return the frame (left, top, right, bottom) of the largest connected part where two masks of a class differ.

    Args:
        mask: ``(H, W)`` bool.
        other: ``(H, W)`` bool: of a segmenter, of another method, or where its seeds are sure of the class.

    Returns:
        ``None`` where they are the same.
    """
    differ = mask != other
    if not differ.any():
        return None
    _, _, stats, _ = cv2.connectedComponentsWithStats(differ.astype(np.uint8))
    left, top, wide, high = (int(value) for value in stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()), :4])
    return left, top, left + wide, top + high


def count_parts(mask: NDArray[np.bool_]) -> int:
    """Return how many connected parts of an ``(H, W)`` mask hold a tenth of it at least; 1 where it is empty."""
    if not mask.any():
        return 1
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return max(1, int((areas >= PART * areas.sum()).sum()))
