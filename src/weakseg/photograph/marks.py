"""What a person says of one photograph: tags, and what is drawn on it."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

from weakseg.artifacts import UNDECIDED
from weakseg.data.annotations import STRENGTH, Box, Drawn, LabelKind, Point, Position, Region, Scribble
from weakseg.data.binding import bind_image
from weakseg.data.classes import BACKGROUND_NAMES, Classes, odd_names
from weakseg.data.image import check_frame, image_size
from weakseg.data.readers.label_file import labels_of
from weakseg.data.stray import stray_marks
from weakseg.data.upright import turn_upright
from weakseg.errors import DataError, cut
from weakseg.photograph.given import Named, named_places, read_tags

logger = logging.getLogger(__name__)

OF_BOX, OF_POINT, OF_LINE = "(left, top, right, bottom)", "(x, y)", "[(x, y), ...]"


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
    def regions(self) -> tuple[Region, ...]:
        """What is outlined or painted; regions that say nothing count where nothing else is drawn."""
        found = self.drawn.regions
        return found if self.drawn.open == Drawn() else tuple(one for one in found if one.class_id != UNDECIDED)

    @property
    def decided(self) -> frozenset[int]:
        """Labels that something is drawn of."""
        return self.drawn.class_ids | {region.class_id for region in self.regions} - {0, UNDECIDED}

    @property
    def marked(self) -> Drawn:
        """What the mask is made from: boxes alone; else strokes, and clicks as short ones."""
        drawn = self.drawn.open
        if drawn.strongest != "scribbles":
            return drawn.only(drawn.strongest)
        return with_short_strokes(replace(drawn, boxes=()))

    def seeding(self, *, proposes: bool) -> Drawn:
        """Return what seeds are made from: ``marked``, and beside boxes all marks where a proposer looks at them."""
        return self.drawn.open if proposes and self.drawn.boxes else self.marked

    @property
    def corrections(self) -> Drawn:
        """Strokes and clicks beside boxes, which correct the mask that these make."""
        drawn = self.drawn.open
        return Drawn(points=drawn.points, scribbles=drawn.scribbles) if drawn.boxes else Drawn()

    def kind_of(self, label: int) -> LabelKind:
        """Return the strongest kind of mark that a label has, outlines apart; ``tags`` where it has none."""
        kinds = (kind for kind in STRENGTH if any(m.class_id == label for m in self.drawn.open.of_kind(kind)))
        return next(kinds, "tags")

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
    given = [mark.label for mark in image.shapes] or sorted(image.tags)
    names = tuple(dict.fromkeys(name for name in given if name not in BACKGROUND_NAMES))
    marked = replace(image, tags=frozenset(), unknown=frozenset(), size=size, dropped={})
    bound = bind_image(marked, Classes(names or ("none",)))  # one at least
    dropped = {**{where: entry.reason for where, entry in found.dropped.items()}, **bound.dropped}
    for where, reason in dropped.items():
        logger.warning("left out: %s: %s", where, reason)
    for where in bound.strayed:
        logger.warning("%s: is by more than a fifth outside of the photograph, and cut at its border", where)
    if bound.drawn == Drawn() if image.shapes else not names:
        raise DataError(
            f"{image.where}: no box, point, scribble, outline or tag of {photograph.name!r}; label it, or say by tags, "
            "boxes, points or scribbles what it shows"
        )
    return Marks(names, bound.drawn)


def read_marks(
    tags: str | Sequence[str] = (), *, boxes: Named = (), points: Named = (), scribbles: Named = ()
) -> Marks:
    """Return names in the order of their first mention, and what is drawn, as (row, column).

    Args:
        tags: What the photograph shows; a text may separate several by commas.
        boxes: ``(name, (left, top, right, bottom))`` in pixels, x to the right and y down.
        points: ``(name, (x, y))``; ``"background"`` is a name.
        scribbles: ``(name, [(x, y), ...])``. Of each kind the inner brackets may be left out, and one may stand alone.

    Raises:
        DataError: If a tag is given twice, a coordinate is missing or no finite number, or a box lies on the background
            or has no area.
    """
    said = read_tags(tags)
    if repeated := [tag for tag in said if said.count(tag) > 1]:
        raise DataError(f"tags: {repeated[0]!r} is given more than once; give it once")
    kinds = (("boxes", boxes, OF_BOX), ("points", points, OF_POINT), ("scribbles", scribbles, OF_LINE))
    framed, clicked, drawn = ([*named_places(*kind)] for kind in kinds)
    given = [*said, *(name for name, _ in (*framed, *clicked, *drawn))]
    names = tuple(dict.fromkeys(name for name in given if name not in BACKGROUND_NAMES))
    ids = {**dict.fromkeys(BACKGROUND_NAMES, 0), **{name: i for i, name in enumerate(names, start=1)}}
    found = Drawn(
        tuple(_box(name, ids[name], place) for name, place in framed),
        tuple(Point(ids[name], *_position(f"point on {name!r}", place)) for name, place in clicked),
        tuple(Scribble(ids[name], _path(f"scribble on {name!r}", line)) for name, line in drawn),
    )
    if any(not scribble.path for scribble in found.scribbles):
        raise DataError("scribbles: one has no position; give at least one (x, y)")
    return Marks(names, found)


def merged_marks(said: Iterable[Mapping[str, Any]]) -> Marks:
    """Return what several calls said, each by the arguments of ``read_marks``, of which one kind may stand alone."""
    tags: list[str] = []
    drawn: dict[str, list[Any]] = {"boxes": [], "points": [], "scribbles": []}
    for one in said:
        tags += read_tags(one["tags"])
        for kind, marks in drawn.items():
            given = one[kind]
            marks += [given] if given and isinstance(given[0], str) else given
    return read_marks(tags, **drawn)


def with_short_strokes(drawn: Drawn) -> Drawn:
    """Return labels in which points beside scribbles or painted strokes are scribbles too, which would decide alone."""
    if not (drawn.scribbles or drawn.strokes):
        return drawn
    short = (Scribble(point.class_id, ((point.row, point.column),)) for point in drawn.points)
    return replace(drawn, scribbles=(*drawn.scribbles, *short), points=())


def check_marks(marks: Marks, size: tuple[int, int]) -> list[str]:
    """Return what is probably not meant: labels outside in part, names that nothing is drawn of, and odd names.

    Raises:
        DataError: If nothing is said of the photograph, or nothing of a label lies inside one of ``size``.
    """
    if not marks.names:
        raise DataError("say what the photograph shows: give tags, boxes, points or scribbles of an object")
    doubts = []
    for share, what in stray_marks(marks.drawn, size, marks.names):
        if share == 1:
            raise DataError(f"{what} (width x height); coordinates are x, y from its upper left corner")
        doubts.append(f"{what} (width x height); what is outside is left out")
    doubts += odd_names(marks.names)
    if marks.drawn == Drawn():
        return doubts
    return doubts + [
        f"nothing is drawn of {name!r}, but of others: it will not be in the mask"
        for label, name in zip(marks.label_ids, marks.names, strict=True)
        if label not in marks.decided
    ]


def _box(name: str, class_id: int, place: object) -> Box:
    left, top, right, bottom = _numbers(f"box of {name!r}", place, OF_BOX)
    if not class_id:
        raise DataError("boxes: a box is drawn around an object; the background has none")
    if not (left < right and top < bottom):
        raise DataError(f"box of {name!r}: {cut(place)} has no area; give {OF_BOX} with left < right and top < bottom")
    return Box(class_id, top, left, bottom, right)


def _position(what: str, place: object) -> Position:
    x, y = _numbers(what, place, OF_POINT)
    return y, x


def _path(what: str, line: object) -> tuple[Position, ...]:
    """Return the positions of a line, or of a single one."""
    places = list(line) if isinstance(line, Iterable) else [line]
    return tuple(_position(what, place) for place in ([places] if places and isinstance(places[0], Real) else places))


def _numbers(what: str, place: object, wanted: str) -> list[float]:
    try:
        values = [float(value) for value in place]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        values = []
    if len(values) != wanted.count(",") + 1 or not all(map(math.isfinite, values)):
        raise DataError(f"{what}: got {cut(place)}; give {wanted} in pixels")
    return values
