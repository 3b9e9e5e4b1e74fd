"""What every proposer of masks can do."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

OBJECT, NOT_OBJECT = 1, 0  # signs of points


@dataclass(frozen=True)
class Proposals:
    """Masks that were proposed for P prompts, M for each.

    Attributes:
        masks: ``(P, M, h, w)`` of the size of the image that was encoded: bool, or float, the object being where it is
            above 0.
        scores: ``(P, M)`` float, how good the proposer thinks them, higher is better.
    """

    masks: NDArray[Any]
    scores: NDArray[Any]


class Proposer(Protocol):
    """Proposes masks of the objects that prompts mean.

    Attributes:
        side: Photographs are reduced to this longer side before they are encoded; masks are enlarged afterwards.
        takes_points: Whether points can be prompts, alone or in a box.
        needs_rest: Whether there must be something around a box.
    """

    takes_points: ClassVar[bool]
    needs_rest: ClassVar[bool]

    @property
    def side(self) -> int:
        """See above."""
        ...

    def encode(self, image: NDArray[np.uint8]) -> Any:
        """Return what is computed once of an image.

        Args:
            image: ``(h, w, 3)`` uint8 RGB.
        """
        ...

    def propose(
        self,
        encoded: Any,
        boxes: NDArray[np.float64] | None,
        points: NDArray[np.float64] | None,
        signs: NDArray[np.int64] | None,
    ) -> Proposals:
        """Return masks for P prompts: boxes, points, or boxes with points.

        Args:
            encoded: From ``encode``.
            boxes: ``(P, 4)``: top, left, bottom, right, in pixels of the image that was encoded.
            points: ``(P, K, 2)``: row, column.
            signs: ``(P, K)``: ``OBJECT`` or ``NOT_OBJECT``.
        """
        ...
