"""What a proposer is asked for: an object by its box, its points and scribbles, and those of others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.checks import check_same_size
from weakseg.data.annotations import Box, Drawn, Point, Region, Scribble
from weakseg.data.regions import mask_of_runs
from weakseg.ops.raster import raster_lines
from weakseg.stages.proposers.proposer import NOT_OBJECT, OBJECT

Mark = Point | Scribble | Region
Places = NDArray[np.int64]
MarkPlaces = Mapping[Mark, Places]
Size = tuple[int, int]
LINE_WIDTH = 1.0  # of scribbles, in pixels
POINTS_A_MARK = 5  # that a scribble becomes
MOST_MARKS = 32  # of an object, and of what it is not, that a proposer is told of


@dataclass(frozen=True)
class Prompt:
    """One object.

    Attributes:
        class_id: Its class.
        box: Around it; ``None`` where it has marks alone.
        own: Points, scribbles and painted strokes on it.
        others: Those on what it is not.
    """

    class_id: int
    box: Box | None
    own: tuple[Mark, ...] = ()
    others: tuple[Mark, ...] = ()

    def points(self, places: MarkPlaces, size: Size) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
        """Return ``(K, 2)`` pixels (row, column) of the marks, a few of each scribble, and ``(K,)`` signs.

        Of many marks the first ``MOST_MARKS`` of each sign are told.
        """
        signed = [(mark, OBJECT) for mark in self.own[:MOST_MARKS]]
        signed += [(mark, NOT_OBJECT) for mark in self.others[:MOST_MARKS]]
        if not signed:
            return None
        chosen = [(_some(in_box(places[mark], self.box, size)), sign) for mark, sign in signed]
        signs = [np.full(len(pixels), sign, np.int64) for pixels, sign in chosen]
        return np.concatenate([pixels for pixels, _ in chosen]).astype(np.float64), np.concatenate(signs)


def drawn_marks(drawn: Drawn) -> tuple[Mark, ...]:
    """Return points, scribbles and painted strokes."""
    return (*drawn.points, *drawn.scribbles, *drawn.strokes)


def places_of(drawn: Drawn, size: Size) -> dict[Mark, Places]:
    """Return ``(n, 2)`` pixels (row, column) of each point, scribble and stroke; those outside are left out.

    Args:
        drawn: Boxes and regions are not looked at.
        size: (rows, columns) of the photograph.
    """
    return {mark: found for mark in drawn_marks(drawn) if len(found := _pixels(mark, size))}


def box_prompts(boxes: Sequence[Box], places: MarkPlaces, size: Size) -> Iterator[Prompt]:
    """Yield the prompt of each box, with the marks that lie in it, if only in part.

    A mark in several boxes of its class is on the object of the smallest, and says nothing of the others.
    """
    areas = {box: _area(box, size) for box in boxes}
    inside = {box: [mark for mark, pixels in places.items() if len(in_box(pixels, box, size))] for box in areas}
    for box in boxes:
        smaller = [other for other in areas if other.class_id == box.class_id and areas[other] < areas[box]]
        taken = {mark for other in smaller for mark in inside[other]}
        own = tuple(mark for mark in inside[box] if mark.class_id == box.class_id and mark not in taken)
        others = tuple(mark for mark in inside[box] if mark.class_id != box.class_id)
        yield Prompt(box.class_id, box, own, others)


def mark_prompts(places: MarkPlaces) -> Iterator[Prompt]:
    """Yield a prompt of each mark that is on an object, against those of other classes."""
    for mark in places:
        if mark.class_id:
            others = tuple(other for other in places if other.class_id != mark.class_id)
            yield Prompt(mark.class_id, None, (mark,), others)


def in_box(pixels: Places, box: Box | None, size: Size) -> Places:
    """Return those of ``(n, 2)`` pixels that a box touches; without a box all."""
    if box is None:
        return pixels
    place = box.pixels(size)
    if place is None:
        return pixels[:0]
    low, high = [side.start for side in place], [side.stop for side in place]
    return pixels[((pixels >= low) & (pixels < high)).all(1)]


def _area(box: Box, size: Size) -> int:
    place = box.pixels(size)
    return 0 if place is None else (place[0].stop - place[0].start) * (place[1].stop - place[1].start)


def _pixels(mark: Mark, size: Size) -> Places:
    if isinstance(mark, Point):
        place = mark.pixel(size)
        return np.array([place] if place else [], np.int64).reshape(-1, 2)
    if isinstance(mark, Region):
        check_same_size("stroke", mark.size, "image", size)
        return np.argwhere(mask_of_runs(mark.runs, size))
    return np.argwhere(raster_lines([mark.path], [mark.class_id], size, width=LINE_WIDTH) != UNDECIDED)


def _some(pixels: Places) -> Places:
    """Return a few pixels, evenly among all in their order."""
    count = min(len(pixels), POINTS_A_MARK)
    return pixels[(np.arange(count) * 2 + 1) * len(pixels) // (2 * max(count, 1))]
