"""What people draw on photographs: boxes, points, scribbles, regions; and how files of them become labels.

Coordinates are continuous and upright: (row, column) pairs whose origin is the outer top left corner of the
photograph, so that pixel (r, c) covers [r, r + 1) x [c, c + 1).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from weakseg.data.paths import image_id_of
from weakseg.errors import DataError

Position = tuple[float, float]
Kind = Literal["box", "point", "scribble", "region"]
LabelKind = Literal["regions", "boxes", "scribbles", "points", "tags"]
IGNORED = 255
STRENGTH: tuple[LabelKind, ...] = get_args(LabelKind)  # the strongest first


@dataclass(frozen=True)
class Box:
    """A tight rectangle around one object of class ``class_id`` >= 1.

    Attributes:
        class_id: Its class.
        top, left, bottom, right: Edges; the box is ``[top, bottom) x [left, right)``.
    """

    class_id: int
    top: float
    left: float
    bottom: float
    right: float

    def pixels(self, size: tuple[int, int]) -> tuple[slice, slice] | None:
        """Return rows and columns of the pixels that it touches inside an image of ``size``; ``None`` if none."""
        top, left = max(math.floor(self.top), 0), max(math.floor(self.left), 0)
        bottom, right = min(math.ceil(self.bottom), size[0]), min(math.ceil(self.right), size[1])
        return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None

    def scaled(self, down: float, right: float) -> "Box":
        """Return the box on a photograph whose rows and columns are as many times as long."""
        return Box(self.class_id, self.top * down, self.left * right, self.bottom * down, self.right * right)


@dataclass(frozen=True)
class Point:
    """A click on class ``class_id``; 0 is a click on the background."""

    class_id: int
    row: float
    column: float

    def pixel(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """Return (row, column) of its pixel, or ``None`` where it lies outside an image of ``size``."""
        row, column = math.floor(self.row), math.floor(self.column)
        return (row, column) if 0 <= row < size[0] and 0 <= column < size[1] else None


@dataclass(frozen=True)
class Scribble:
    """An open line on class ``class_id``, 0 for the background; its positions in drawing order, at least one."""

    class_id: int
    path: tuple[Position, ...]


@dataclass(frozen=True)
class Region:
    """Pixels that somebody outlined or painted as class ``class_id``; 0 background, 255 to be ignored.

    Attributes:
        class_id: Its class.
        size: (rows, columns) of the photograph.
        runs: COCO's compressed runs of the pixels, column by column.
    """

    class_id: int
    size: tuple[int, int]
    runs: bytes


Drawing = Box | Point | Scribble | Region
_FIELDS: dict[LabelKind, tuple[str, ...]] = {
    "regions": ("regions",),
    "boxes": ("boxes",),
    "scribbles": ("scribbles", "strokes"),
    "points": ("points",),
    "tags": (),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """All that was drawn on one photograph.

    Attributes:
        boxes: In the order of the file.
        points: Likewise.
        scribbles: Likewise; later ones lie on top.
        regions: Likewise; where nothing else is drawn what none covers is background.
        strokes: Pixels that were painted, not drawn as lines; they count as scribbles, and the rest is unlabelled.
    """

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    scribbles: tuple[Scribble, ...] = ()
    regions: tuple[Region, ...] = ()
    strokes: tuple[Region, ...] = ()

    @property
    def strongest(self) -> LabelKind:
        """The strongest kind of label; ``tags`` where nothing is drawn."""
        return next((kind for kind in STRENGTH if any(getattr(self, name) for name in _FIELDS[kind])), "tags")

    def of_kind(self, kind: LabelKind) -> tuple[Drawing, ...]:
        """Return what was drawn of one kind; nothing for ``tags``. Strokes are scribbles."""
        return tuple(shape for name in _FIELDS[kind] for shape in getattr(self, name))

    def only(self, kind: LabelKind) -> "Drawn":
        """Return what was drawn of one kind, without all else."""
        return Drawn(**{name: getattr(self, name) for name in _FIELDS[kind]})

    def replaced_by(self, other: "Drawn") -> "Drawn":
        """Return both together; of each kind that ``other`` has, its own alone."""
        given = (name for kind in STRENGTH if other.of_kind(kind) for name in _FIELDS[kind])
        return replace(self, **{name: getattr(other, name) for name in given})

    @property
    def open(self) -> "Drawn":
        """What was drawn, without regions, which are masks already."""
        return replace(self, regions=())

    @property
    def class_ids(self) -> frozenset[int]:
        """The classes that were drawn, without background and regions to be ignored."""
        return frozenset(shape.class_id for kind in STRENGTH for shape in self.of_kind(kind)) - {0, IGNORED}


NOTHING_DRAWN = Drawn()


@dataclass(frozen=True)
class Shape:
    """One thing that somebody drew, with its class as written in the file.

    Attributes:
        kind: What it is.
        label: Name of its class, as written.
        positions: box: top left and bottom right corner; point: one; scribble: its line. Empty for regions.
        where: File and entry, for errors.
        size: region: (rows, columns) of the photograph.
        runs: region: as in ``Region``.
        ignored: A region that says nothing (a crowd): it becomes 255.
    """

    kind: Kind
    label: str
    positions: tuple[Position, ...]
    where: str
    size: tuple[int, int] | None = None
    runs: bytes = b""
    ignored: bool = False


@dataclass(frozen=True)
class Dropped:
    """An entry of a label file that is left out; nothing that it may show is ever said to be absent.

    Attributes:
        reason: Why it is left out.
        labels: Names of its classes, as written, empty where it names none; ``None`` where they cannot be told, so that
            any class may be there.
        certain: Whether the entry says that its classes are there; otherwise that is unknown.
        ignored: Whether it is a region that was to be ignored: nothing is said of its pixels, whichever they are.
    """

    reason: str
    labels: frozenset[str] | None = None
    certain: bool = True
    ignored: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """What a label file says of one photograph.

    Attributes:
        name: Path of the photograph as the file gives it.
        shapes: What was drawn on it.
        where: File and entry, for errors.
        tags: Classes that are in it by name, besides those of the shapes.
        size: (rows, columns) that the file states; ``None`` where it states none.
        unknown: Classes of which the file leaves open whether they are in it; those that are neither are absent.
        dropped: By file and entry what was left out.
    """

    name: str
    shapes: tuple[Shape, ...]
    where: str
    tags: frozenset[str] = frozenset()
    size: tuple[int, int] | None = None
    unknown: frozenset[str] = frozenset()
    dropped: Mapping[str, Dropped] = field(default_factory=dict, hash=False)

    @property
    def labels(self) -> frozenset[str]:
        """All class names that are used; what is to be ignored needs no class."""
        drawn = {shape.label for shape in self.shapes if not shape.ignored}
        left_out = (one.labels or frozenset() for one in self.dropped.values() if one.certain)
        return (self.tags | self.unknown | drawn).union(*left_out)


@dataclass(frozen=True)
class AnnotationTable:
    """A label file, or folder of them, before class names are bound to ids.

    Attributes:
        path: The file or folder.
        images: In the order of the file.
        declared: Class names that the file lists in its own order; empty where it lists none.
        skipped: Reason by file and entry of what was left out and is of none of the images.
    """

    path: Path
    images: tuple[AnnotatedImage, ...]
    declared: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a table without images, and images that would share one id."""
        if not self.images:
            why = next((f" that can be used: {where}: {self.skipped[where]}" for where in self.skipped), "")
            raise DataError(f"{self.path}: lists no images{why}; export the labels again, or give another file")
        first: dict[str, AnnotatedImage] = {}
        for image in self.images:
            other = first.setdefault(image_id_of(image.name), image)
            if other is not image:
                raise DataError(f"{image.where}: image {image.name!r} is already at {other.where}; keep one entry")

    @property
    def dropped(self) -> dict[str, str]:
        """Reason by file and entry of all that was left out."""
        of_images = {where: entry.reason for image in self.images for where, entry in image.dropped.items()}
        return {**self.skipped, **of_images}
