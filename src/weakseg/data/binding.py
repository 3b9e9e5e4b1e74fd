"""Shapes with class names become boxes, points, scribbles and regions with class ids, inside their photograph."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from weakseg.artifacts import UNDECIDED
from weakseg.data.annotations import (
    AnnotatedImage,
    AnnotationTable,
    Box,
    Drawing,
    Drawn,
    Point,
    Position,
    Region,
    Scribble,
    Shape,
)
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes, unknown_class
from weakseg.data.paths import image_id_of
from weakseg.data.regions import count_pixels, is_whole, whole_runs
from weakseg.data.sample import Tags
from weakseg.data.stray import STRAY_SHARE, share_outside
from weakseg.errors import DataError

logger = logging.getLogger(__name__)

Size = tuple[int, int]
_OUTSIDE = "lies outside the photograph"
_EMPTY = "has no pixel inside the photograph"


@dataclass(frozen=True)
class BoundImage:
    """Labels of one photograph.

    Attributes:
        tags: The classes drawn and those given by name; all others are absent.
        drawn: What was drawn, inside the photograph where its size is known.
        dropped: Reason by file and entry of what was left out; its class is present or unknown.
        strayed: File and entry of boxes and scribbles of which more than a fifth was outside, and cut or moved inside.
        partial: Whether there are regions, but what they do not cover is undecided, as something else is there too.
    """

    tags: Tags
    drawn: Drawn
    dropped: Mapping[str, str] = field(default_factory=dict)
    strayed: tuple[str, ...] = ()
    partial: bool = False


@dataclass(frozen=True)
class Binding:
    """Labels of many photographs.

    Attributes:
        labels: Tags and drawings by image id, in the order of the table.
        dropped: Reason by file and entry of what was left out, by the reader or here.
    """

    labels: Mapping[str, tuple[Tags, Drawn]]
    dropped: Mapping[str, str]


def bind(table: AnnotationTable, classes: Classes, class_map: ClassMap | None = None) -> Binding:
    """Return the labels of every photograph of a table.

    Raises:
        DataError: If a class is none of ``classes``.
    """
    bound = {image_id_of(image.name): bind_image(image, classes, class_map) for image in table.images}
    dropped = dict(table.skipped)
    for one in bound.values():
        dropped |= one.dropped
    if strayed := [where for one in bound.values() for where in one.strayed]:
        logger.warning(
            "%s: %d boxes or scribbles lie outside of their photograph with more than %d %%, the first at %s; they "
            "were cut at its border. Do labels and photographs belong together?",
            table.path,
            len(strayed),
            100 * STRAY_SHARE,
            strayed[0],
        )
    if whole := sum(is_whole(one.drawn) for one in bound.values()):
        logger.info("%s: %d photographs have whole masks, as a person has accepted them; these stay", table.path, whole)
    if partial := [image_id for image_id, one in bound.items() if one.partial]:
        logger.warning(
            "%s: on %d photographs classes are outlined, and others are there that are not, or were left out; what no "
            "region covers counts as undecided there, not as background. The first is %r",
            table.path,
            len(partial),
            partial[0],
        )
    return Binding({image_id: (one.tags, one.drawn) for image_id, one in bound.items()}, dropped)


def bind_image(image: AnnotatedImage, classes: Classes, class_map: ClassMap | None = None) -> BoundImage:
    """Return the labels of one photograph.

    Boxes are cut at its border and scribbles moved inside; what has no pixel left is dropped, and so is a point
    outside. All that only where the file states the size. No class that something is labelled as is absent, used or
    not: it is present, or unknown where the label does not say that it is there, or the class map ignores it. Where
    the class of an entry cannot be told, all classes that are not present are unknown. Nor is it background: where
    there are regions, and something that has none, or a region was lost, one to be ignored lies below them all.

    Raises:
        DataError: As ``bind``.
    """
    names = _Names(classes, class_map or ClassMap())
    states = _states(image, names)
    kept: list[Drawing] = []
    dropped = {where: entry.reason for where, entry in image.dropped.items()}
    strayed: list[str] = []
    lost = any(entry.ignored for entry in image.dropped.values())
    for shape in image.shapes:
        placed = _place(shape, UNDECIDED if shape.ignored else names.id_of(shape.label, shape.where), image.size)
        if isinstance(placed, str):
            dropped[shape.where] = f"{shape.kind} of {shape.label!r} {placed}"
            lost |= shape.kind == "region" and placed != _EMPTY
        else:
            kept.append(placed)
            if image.size is not None and _share_outside(shape, image.size) > STRAY_SHARE:
                strayed.append(shape.where)
    regions = tuple(one for one in kept if isinstance(one, Region))
    whole = is_whole(Drawn(regions=regions))
    partial = bool(regions) and not whole and (lost or _is_partial(image, states, regions, names))
    drawn = Drawn(
        boxes=tuple(one for one in kept if isinstance(one, Box)),
        points=tuple(one for one in kept if isinstance(one, Point)),
        scribbles=tuple(one for one in kept if isinstance(one, Scribble)),
        regions=(_below_all(regions[0].size), *regions) if partial else regions,
    )
    return BoundImage(states, drawn, dropped, tuple(strayed), partial)


@dataclass(frozen=True)
class _Names:
    """What becomes of the class names in a label file."""

    classes: Classes
    class_map: ClassMap

    def id_of(self, name: str, where: str) -> int:
        """Return the id of a class name; 0 background, 255 ignored by the class map."""
        target = self.class_map.target(name)
        if target is None:
            return UNDECIDED
        if target in BACKGROUND_NAMES:
            return 0
        if target not in self.classes.ids:
            hint = unknown_class(target, self.classes.names, where)
            raise DataError(f"{hint}; or rename, merge or ignore it by data.class_map")
        return self.classes.ids[target]

    def like(self, name: str) -> set[int]:
        """Return the class that a name means if it means any, be it ignored by the class map."""
        target = self.class_map.target(name)
        meant = {name, self.class_map.renamed(name)} if target is None else {target}
        return {self.classes.ids[own] for own in meant if own in self.classes.ids}


def _states(image: AnnotatedImage, names: _Names) -> Tags:
    """Return which classes are present and unknown; present wins."""
    sure = [(name, image.where) for name in sorted(image.tags)]
    sure += [(shape.label, shape.where) for shape in image.shapes if not shape.ignored]
    left_out = [(name, where, one.certain) for where, one in image.dropped.items() for name in sorted(one.labels or ())]
    sure += [(name, where) for name, where, certain in left_out if certain]
    ids = {name: names.id_of(name, where) for name, where in sure}
    present = set(ids.values()) - {0, UNDECIDED}
    unknown = {names.id_of(name, image.where) for name in image.unknown} - {0, UNDECIDED}
    doubtful = {name for name, class_id in ids.items() if class_id == UNDECIDED}
    doubtful |= image.unknown | {shape.label for shape in image.shapes if shape.ignored}
    doubtful |= {name for name, _, certain in left_out if not certain}
    unknown = unknown.union(*(names.like(name) for name in doubtful))
    if any(one.labels is None for one in image.dropped.values()):
        unknown = set(range(1, len(names.classes) + 1))
    return Tags(frozenset(present), frozenset(unknown - present))


def _is_partial(image: AnnotatedImage, tags: Tags, regions: tuple[Region, ...], names: _Names) -> bool:
    """Return whether something is on a photograph that no region shows, nor one to be ignored in its place."""
    ignored = [shape for shape in image.shapes if shape.ignored]
    places = {shape.where for shape in ignored}
    left_out = (  # an entry, or a part of it
        one for where, one in image.dropped.items() if one.certain and not places & {where, where.rpartition(": ")[0]}
    )
    shown = {region.class_id for region in regions}.union(*(names.like(shape.label) for shape in ignored))
    return any(one.labels is None or one.labels for one in left_out) or bool(tags.present - shown)


def _below_all(size: Size) -> Region:
    """Return the region of the whole photograph that says nothing."""
    return Region(UNDECIDED, size, whole_runs(size))


def _place(shape: Shape, class_id: int, size: Size | None) -> Drawing | str:
    """Return the shape inside the photograph, or why it is left out."""
    if shape.kind == "region":
        return _region(shape, class_id, size)
    if class_id == UNDECIDED:
        return "is to be ignored"
    if shape.kind == "box":
        return _box(shape.positions, class_id, size) if class_id else "says nothing: background has no boxes"
    if shape.kind == "point":
        return _point(shape.positions[0], class_id, size)
    return _scribble(shape.positions, class_id, size)


def _box(corners: tuple[Position, ...], class_id: int, size: Size | None) -> Box | str:
    (top, left), (bottom, right) = corners
    if not (top < bottom and left < right):
        return "has no area"
    if size is not None:
        top, bottom = (min(max(value, 0.0), float(size[0])) for value in (top, bottom))
        left, right = (min(max(value, 0.0), float(size[1])) for value in (left, right))
    return Box(class_id, top, left, bottom, right) if top < bottom and left < right else _OUTSIDE


def _point(position: Position, class_id: int, size: Size | None) -> Point | str:
    row, column = position
    if row < 0 or column < 0 or (size is not None and (row > size[0] or column > size[1])):
        return _OUTSIDE
    if size is not None:  # the outer edge belongs to the last pixel
        row, column = (min(value, math.nextafter(end, 0)) for value, end in zip(position, size, strict=True))
    return Point(class_id, row, column)


def _scribble(path: tuple[Position, ...], class_id: int, size: Size | None) -> Scribble | str:
    if not path:
        return "has no points"
    if size is None:
        return Scribble(class_id, path)
    if share_outside(Scribble(class_id, path), size) == 1:
        return _OUTSIDE
    return Scribble(class_id, tuple((_clamp(row, size[0]), _clamp(column, size[1])) for row, column in path))


def _region(shape: Shape, class_id: int, size: Size | None) -> Region | str:
    if shape.size is None:
        return "needs the size of its photograph; add it to the label file"
    if size is not None and shape.size != size:
        return (
            f"has {shape.size[0]} x {shape.size[1]} pixels, but its photograph {size[0]} x {size[1]} (rows x columns); "
            "give them one size"
        )
    if count_pixels(shape.runs, shape.size) == 0:
        return _EMPTY
    return Region(class_id, shape.size, shape.runs)


def _clamp(value: float, length: int) -> float:
    """Return a coordinate as it is, or the centre of the outermost pixel where it lies outside."""
    return 0.5 if value < 0 else length - 0.5 if value >= length else value


def _share_outside(shape: Shape, size: Size) -> float:
    """Return which share of a box or scribble lies outside; none of any other shape."""
    if shape.kind == "box":
        (top, left), (bottom, right) = shape.positions
        return share_outside(Box(1, top, left, bottom, right), size)
    return share_outside(Scribble(1, shape.positions), size) if shape.kind == "scribble" else 0.0
