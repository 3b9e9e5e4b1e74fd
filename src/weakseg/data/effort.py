"""What labels cost a person: clicks, drawn length and seconds, by published timings."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from weakseg.data.annotations import Box, Drawn, Point, Scribble

CLICKS = {"tag": 1, "box": 4, "point": 1, "scribble": 1}

SECONDS = {
    "class": 1.0,
    "first point": 2.4,
    "further point": 0.9,
    "box": 7.0,
    "scribble": 10.9,
    "object mask": 79.0,
}
"""Seconds a unit.

On the 20 classes of VOC, where a photograph shows 1.5 classes and 2.8 objects on average, they add up to the published
seconds a photograph: tags 20 (20 classes looked for), points on one object of each class 22.1 (18.5 classes absent,
1.5 x 2.4), scribbles 34.9 (18.5 + 1.5 x 10.9), masks 239.7 (18.5 + 2.8 x 79).

- ``class``: to see whether a class is there [bearman2016point].
- ``first point``, ``further point``: a click on the first object of a class, finding the class included, and on each
  other one [bearman2016point].
- ``scribble``: a free stroke, "squiggle" [bearman2016point]; ScribbleSup reports 25 seconds a photograph for all of
  its strokes [lin2016scribblesup], so 10.9 for each stroke is on the side of caution.
- ``box``: four clicks on the extreme points of an object [papadopoulos2017extreme]; dragging a box by hand takes from
  26 seconds to 42 with the check of its quality [su2012crowdsourcing].
- ``object mask``: the outline of an object in COCO [lin2014coco], as counted by [bearman2016point].
"""


@dataclass(frozen=True)
class Effort:
    """What the labels of photographs cost; efforts add.

    Attributes:
        clicks: Presses of a button: one a tag, point or stroke, four a box.
        length_px: Length of the strokes in pixels of the photographs.
        seconds: By ``SECONDS``.
    """

    clicks: int = 0
    length_px: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Effort") -> "Effort":
        return Effort(self.clicks + other.clicks, self.length_px + other.length_px, self.seconds + other.seconds)


def total_effort(efforts: Iterable[Effort]) -> Effort:
    """Return the sum."""
    return sum(efforts, Effort())


def labelling_effort(drawn: Drawn, tags: frozenset[int], num_classes: int) -> Effort:
    """Return the effort of the tags, boxes, points and scribbles of one photograph.

    Absent classes take a look each; of a present class nothing but its labels counts, since finding it is part of them.

    Args:
        drawn: Boxes, points and scribbles; regions are not counted.
        tags: Ids of the present classes.
        num_classes: K, all of which were looked for.
    """
    shown = {class_id for shapes in (drawn.boxes, drawn.points, drawn.scribbles) for class_id in _class_ids(shapes)}
    if not shown:
        return Effort(clicks=CLICKS["tag"] * len(tags), seconds=SECONDS["class"] * num_classes)
    first = len(_class_ids(drawn.points))
    seconds = (
        SECONDS["class"] * (num_classes - len(shown - {0}))
        + SECONDS["box"] * len(drawn.boxes)
        + SECONDS["first point"] * first
        + SECONDS["further point"] * (len(drawn.points) - first)
        + SECONDS["scribble"] * len(drawn.scribbles)
    )
    clicks = CLICKS["box"] * len(drawn.boxes) + CLICKS["point"] * len(drawn.points)
    length = sum(stroke_length(stroke) for stroke in drawn.scribbles)
    return Effort(clicks + CLICKS["scribble"] * len(drawn.scribbles), length, seconds)


def mask_seconds(num_objects: int, num_present: int, num_classes: int) -> float:
    """Return what true masks of a photograph would take, for comparison: an outline an object."""
    return SECONDS["class"] * (num_classes - num_present) + SECONDS["object mask"] * num_objects


def stroke_length(stroke: Scribble) -> float:
    """Return the length of a line in pixels; 0 for a dot."""
    return sum(math.dist(start, end) for start, end in pairwise(stroke.path))


def _class_ids(shapes: Iterable[Box | Point | Scribble]) -> set[int]:
    return {shape.class_id for shape in shapes}
