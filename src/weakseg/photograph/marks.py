"""What a person says of one photograph: tags, and what is drawn on it."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weakseg.data.annotations import STRENGTH, Box, Drawn, Point, Position, Scribble
from weakseg.data.binding import bind_image
from weakseg.data.classes import BACKGROUND_NAMES, Classes, odd_names
from weakseg.data.image import check_frame, image_size
from weakseg.data.readers.label_file import labels_of
from weakseg.data.stray import stray_marks
from weakseg.data.upright import turn_upright
from weakseg.errors import DataError

logger = logging.getLogger(__name__)

OF_BOX, OF_POINT = "(left, top, right, bottom)", "(x, y)"
Place = Sequence[float]
Named = Sequence[tuple[str, Place]]
Lines = Sequence[tuple[str, Sequence[Place]]]


@dataclass(frozen=True)
class Marks:
    """What is said of a photograph.

    Attributes:
        names: Names of the labels: ``names[i]`` is label ``i + 1``.
        drawn: What is drawn, by label; 0 is the background. Nothing where the names are tags.
    """

    names: tuple[str, ...]
    drawn: Drawn

    @property
    def label_ids(self) -> tuple[int, ...]:
        """Labels of the names."""
        return tuple(range(1, len(self.names) + 1))


def marks_of_file(photograph: Path, path: Path) -> Marks:
    """Return what a label file of any format says of a photograph, as ``read_marks``; what is left out is in the log.

    Raises:
        DataError: If the file cannot be used, has no such photograph, was made for another size, or leaves nothing.
    """
    found = labels_of(photograph, path)
    (image,), size = turn_upright([found], [photograph], path), image_size(photograph)
    if image.size is not None:
        check_frame(image.size, size, image.where)
    marks = tuple(shape for shape in image.shapes if shape.kind != "region")
    given = [mark.label for mark in marks] or sorted(image.tags)
    names = tuple(dict.fromkeys(name for name in given if name not in BACKGROUND_NAMES))
    marked = replace(image, shapes=marks, tags=frozenset(), unknown=frozenset(), size=size, dropped={})
    bound = bind_image(marked, Classes(names or ("none",)))  # one at least
    dropped = {**{where: entry.reason for where, entry in found.dropped.items()}, **bound.dropped}
    if regions := len(image.shapes) - len(marks):
        dropped[image.where] = f"{regions} outlined or painted regions, which are masks already"
    for where, reason in dropped.items():
        logger.warning("left out: %s: %s", where, reason)
    for where in bound.strayed:
        logger.warning("%s: is by more than a fifth outside of the photograph, and cut at its border", where)
    if bound.drawn == Drawn() if marks else not names:
        raise DataError(
            f"{image.where}: no box, point, scribble or tag of {photograph.name!r}; label it, or say by tags, boxes, "
            "points or scribbles what it shows"
        )
    return Marks(names, bound.drawn)


def read_marks(tags: Sequence[str] = (), *, boxes: Named = (), points: Named = (), scribbles: Lines = ()) -> Marks:
    """Return names in the order of their first mention, and what is drawn, as (row, column).

    Args:
        tags: What the photograph shows.
        boxes: ``(name, (left, top, right, bottom))`` in pixels, x to the right and y down.
        points: ``(name, (x, y))``; ``"background"`` is a name.
        scribbles: ``(name, [(x, y), ...])``.

    Raises:
        DataError: If a tag is given twice, a coordinate is missing or no finite number, or a box lies on the background
            or has no area.
    """
    if repeated := [tag for tag in tags if list(tags).count(tag) > 1]:
        raise DataError(f"tags: {repeated[0]!r} is given more than once; give it once")
    given = [*tags, *(name for name, _ in (*boxes, *points, *scribbles))]
    names = tuple(dict.fromkeys(name for name in given if name not in BACKGROUND_NAMES))
    ids = {**dict.fromkeys(BACKGROUND_NAMES, 0), **{name: i for i, name in enumerate(names, start=1)}}
    found = Drawn(
        tuple(_box(name, ids[name], place) for name, place in boxes),
        tuple(Point(ids[name], *_position(f"point on {name!r}", place)) for name, place in points),
        tuple(
            Scribble(ids[name], tuple(_position(f"scribble on {name!r}", place) for place in line))
            for name, line in scribbles
        ),
    )
    if any(not scribble.path for scribble in found.scribbles):
        raise DataError("scribbles: one has no position; give at least one (x, y)")
    return Marks(names, found)


def check_marks(marks: Marks, size: tuple[int, int]) -> None:
    """Refuse labels outside a photograph of ``size``; warn of what is probably not meant.

    That are labels that are outside in part, or will not be looked at, and names that are odd.

    Raises:
        DataError: If nothing of a label lies inside.
    """
    for share, what in stray_marks(marks.drawn, size, marks.names):
        if share == 1:
            raise DataError(f"{what} (width x height); coordinates are x, y from its upper left corner")
        logger.warning("%s (width x height); what is outside is left out", what)
    for what in odd_names(marks.names):
        logger.warning("%s", what)
    strongest = marks.drawn.strongest
    if strongest == "tags":
        return
    for kind in STRENGTH[STRENGTH.index(strongest) + 1 :]:
        if marks.drawn.of_kind(kind):
            logger.warning("%s are not looked at, for %s are drawn, which decide", kind, strongest)
    decided = {mark.class_id for mark in marks.drawn.of_kind(strongest)}
    for label, name in zip(marks.label_ids, marks.names, strict=True):
        if label not in decided:
            logger.warning("%r has none of the %s, which decide: it will not be in the mask", name, strongest)


def _box(name: str, class_id: int, place: Sequence[float]) -> Box:
    left, top, right, bottom = _numbers(f"box of {name!r}", place, OF_BOX)
    if not class_id:
        raise DataError("boxes: a box is drawn around an object; the background has none")
    if not (left < right and top < bottom):
        raise DataError(
            f"box of {name!r}: {tuple(place)} has no area; give {OF_BOX} with left < right and top < bottom"
        )
    return Box(class_id, top, left, bottom, right)


def _position(what: str, place: Sequence[float]) -> Position:
    x, y = _numbers(what, place, OF_POINT)
    return y, x


def _numbers(what: str, place: Sequence[float], wanted: str) -> list[float]:
    values = [float(value) for value in place]
    if len(values) != wanted.count(",") + 1 or not all(map(math.isfinite, values)):
        raise DataError(f"{what}: got {tuple(place)}; give {wanted} in pixels")
    return values
