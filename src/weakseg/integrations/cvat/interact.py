"""CVAT's interaction function: the mask of one object from clicks and a box.

``cvat-cli function create-native NAME --function-module weakseg.integrations.cvat.interact``
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from weakseg.errors import DataError
from weakseg.integrations.cvat.sdk import load_sdk
from weakseg.integrations.cvat.shapes import mask_points
from weakseg.photograph.config import SegmentOptions
from weakseg.photograph.given import Given
from weakseg.photograph.marks import read_marks
from weakseg.photograph.photograph import Photograph

NAME, BACKGROUND = "object", "background"
Point = tuple[float, float]
Corners = tuple[float, float, float, float]


class Interaction:
    """An interaction function of ``cvat_sdk.auto_annotation``.

    Attributes:
        spec: Any number of points on the object and beside it, and a box, or either alone.
    """

    def __init__(self, options: SegmentOptions | None = None) -> None:
        self._sdk = load_sdk("cvat_sdk.auto_annotation")
        self._value = load_sdk("cvat_sdk.models").AttributeValRequest
        self._options = options or SegmentOptions()
        self.spec = self._sdk.InteractionFunctionSpec(min_pos_points=0, min_neg_points=0, min_bounding_boxes=0)

    def preprocess_image(self, context: Any, image: Given) -> Photograph:
        """Return the photograph with what does not depend on prompts: the graph of its colours and features."""
        photograph = Photograph(image)
        photograph.graph(self._options.drawn.graph)
        return photograph

    def detect(self, context: Any, pp_image: Photograph, prompts: Any) -> list[Any]:
        """Return the mask of the object, with its reliability as confidence; nothing where no pixel is left.

        Raises:
            DataError: If there is neither a point on the object nor a box.
        """
        positive, negative = ([(float(x), float(y)) for x, y in found] for found in _points(prompts))
        box = _inside(prompts.bounding_box, pp_image.size) if prompts.bounding_box is not None else None
        if box is None and not positive:
            raise DataError("prompts: click on the object, or draw a box around it")
        mask, reliability = self._mask(pp_image, box, positive, negative)
        if not mask.any():
            return []
        confidence = self._value(
            spec_id=int(self._sdk.InteractionResultAttributes.CONFIDENCE), value=f"{reliability:.3f}"
        )
        return [self._sdk.InteractionResultShape(type="mask", points=mask_points(mask), attributes=[confidence])]

    def _mask(
        self, photograph: Photograph, box: Corners | None, positive: Sequence[Point], negative: Sequence[Point]
    ) -> tuple[NDArray[np.bool_], float]:
        """Return the mask and its reliability; clicks that the mask of the box agrees with change nothing."""
        clicks = [*((NAME, at) for at in positive), *((BACKGROUND, at) for at in negative)]
        if box is None:
            found = photograph.segment(read_marks(points=clicks), self._options)
            return found.mask == 1, found.reliability
        found = photograph.segment(read_marks(boxes=[(NAME, *box)]), self._options)
        mask = found.mask == 1
        if all(_shown(mask, at) for at in positive) and not any(_shown(mask, at) for at in negative):
            return mask, found.reliability
        lines = [(name, [at]) for name, at in clicks]
        if not positive:
            lines.append((NAME, [_innermost(mask, negative)]))
        lines += [(BACKGROUND, side) for side in _sides(box, photograph.size)]
        found = photograph.segment(read_marks(scribbles=lines), self._options)
        left, top, right, bottom = (round(value) for value in box)
        inside = np.zeros_like(mask)
        inside[top:bottom, left:right] = True
        return (found.mask == 1) & inside, found.reliability


def interaction(options: SegmentOptions | None = None) -> Interaction:
    """Return an interaction function: the mask of what is clicked on, or in a box, with no training.

    Args:
        options: How the mask is made.

    Raises:
        ConfigError: If cvat-sdk is not installed.
    """
    return Interaction(options)


def _points(prompts: Any) -> tuple[Sequence[Point], Sequence[Point]]:
    return prompts.pos_points, prompts.neg_points


def _inside(box: tuple[Point, Point], size: tuple[int, int]) -> Corners:
    """Return (left, top, right, bottom) of a box, cut at the borders of a photograph of ``size``."""
    (left, top), (right, bottom) = box
    left, right = (min(max(value, 0.0), float(size[1])) for value in sorted((left, right)))
    top, bottom = (min(max(value, 0.0), float(size[0])) for value in sorted((top, bottom)))
    return left, top, right, bottom


def _shown(mask: NDArray[np.bool_], at: Point) -> bool:
    """Return whether a click lies on a mask; clicks on the border count for the pixel beside it."""
    row, column = (min(int(value), side - 1) for value, side in zip((at[1], at[0]), mask.shape, strict=True))
    return bool(mask[row, column])


def _innermost(mask: NDArray[np.bool_], away: Sequence[Point]) -> Point:
    """Return the place in a mask that is farthest from its border and from clicks beside the object."""
    if not mask.any():
        raise DataError("prompts: nothing is found in the box; click on the object")
    ring = np.pad(mask, 1)
    for x, y in away:
        ring[min(int(y), mask.shape[0] - 1) + 1, min(int(x), mask.shape[1] - 1) + 1] = False
    row, column = np.unravel_index(np.argmax(distance_transform_edt(ring)[1:-1, 1:-1]), mask.shape)
    return float(column) + 0.5, float(row) + 0.5


def _sides(box: Corners, size: tuple[int, int]) -> list[list[Point]]:
    """Return lines along the outside of a box, where the photograph goes on beyond it."""
    left, top, right, bottom = box[0] - 1.5, box[1] - 1.5, box[2] + 1.5, box[3] + 1.5
    rows, columns = size

    def within(x: float, y: float) -> Point:
        return min(max(x, 0.5), columns - 0.5), min(max(y, 0.5), rows - 0.5)

    sides = [
        (top >= 0, [within(left, top), within(right, top)]),
        (bottom <= rows, [within(left, bottom), within(right, bottom)]),
        (left >= 0, [within(left, top), within(left, bottom)]),
        (right <= columns, [within(right, top), within(right, bottom)]),
    ]
    return [line for there, line in sides if there]


create = interaction
