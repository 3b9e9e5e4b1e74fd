"""CVAT's interaction function: the mask of one object from clicks and a box.

``cvat-cli function create-native NAME --function-module weakseg.integrations.cvat.interact``
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Drawn, Point
from weakseg.errors import DataError
from weakseg.integrations.cvat.sdk import load_sdk
from weakseg.integrations.cvat.shapes import mask_points
from weakseg.photograph.config import SegmentOptions
from weakseg.photograph.given import Given
from weakseg.photograph.marks import read_marks
from weakseg.photograph.photograph import Photograph
from weakseg.stages.corrections import corrected

NAME, BACKGROUND = "object", "background"
Position = tuple[float, float]
Corners = tuple[float, float, float, float]


@dataclass
class Prepared:
    """A photograph, and the mask of the last box, which further clicks correct.

    Attributes:
        photograph: Keeps what does not depend on prompts.
        last: Box, mask and reliability.
    """

    photograph: Photograph
    last: tuple[Corners, NDArray[np.bool_], float] | None = None

    def of_box(self, box: Corners, options: SegmentOptions) -> tuple[NDArray[np.bool_], float]:
        """Return the mask of a box and its reliability, made now or before."""
        if self.last is None or self.last[0] != box:
            found = self.photograph.segment(read_marks(boxes=[(NAME, *box)]), options)
            self.last = box, found.mask == 1, found.reliability
        return self.last[1:]


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

    def preprocess_image(self, context: Any, image: Given) -> Prepared:
        """Return the photograph with what does not depend on prompts: the graph of its colours and features."""
        photograph = Photograph(image)
        return Prepared(photograph.prepare(self._options))

    def detect(self, context: Any, pp_image: Prepared, prompts: Any) -> list[Any]:
        """Return the mask of the object, with its reliability as confidence; nothing where no pixel is left.

        Raises:
            DataError: If there is neither a point on the object nor a box.
        """
        given = (prompts.pos_points, prompts.neg_points)
        positive, negative = ([(float(x), float(y)) for x, y in found] for found in given)
        box = _inside(prompts.bounding_box, pp_image.photograph.size) if prompts.bounding_box is not None else None
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
        self, prepared: Prepared, box: Corners | None, positive: Sequence[Position], negative: Sequence[Position]
    ) -> tuple[NDArray[np.bool_], float]:
        """Return the mask and its reliability, with a box that of the mask which clicks then correct."""
        if box is None:
            clicks = [*((NAME, at) for at in positive), *((BACKGROUND, at) for at in negative)]
            found = prepared.photograph.segment(read_marks(points=clicks), self._options)
            return found.mask == 1, found.reliability
        mask, reliability = prepared.of_box(box, self._options)
        clicked = Drawn(points=tuple(Point(on, y, x) for on, at in ((1, positive), (0, negative)) for x, y in at))
        image, config = prepared.photograph.image, self._options.drawn.corrections
        return corrected(LabelMap(mask.astype(np.uint8)), image, clicked, config).labels == 1, reliability


def interaction(options: SegmentOptions | None = None) -> Interaction:
    """Return an interaction function: the mask of what is clicked on, or in a box, with no training.

    Args:
        options: How the mask is made.

    Raises:
        ConfigError: If cvat-sdk is not installed.
    """
    return Interaction(options)


def _inside(box: tuple[Position, Position], size: tuple[int, int]) -> Corners:
    """Return (left, top, right, bottom) of a box, cut at the borders of a photograph of ``size``."""
    (left, top), (right, bottom) = box
    left, right = (min(max(value, 0.0), float(size[1])) for value in sorted((left, right)))
    top, bottom = (min(max(value, 0.0), float(size[0])) for value in sorted((top, bottom)))
    return left, top, right, bottom


create = interaction
