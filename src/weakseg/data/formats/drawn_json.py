"""weakseg's own file of drawn labels (JSON), as the page and simulation write it: by image id, with their effort."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weakseg.data.annotations import AnnotationTable, Box, Drawn, Position
from weakseg.data.classes import Classes
from weakseg.data.formats.drawn_record import Verdict, effort_of, read_record, verdict_of
from weakseg.data.paths import image_id_of, parse_json, read_text
from weakseg.data.values import as_list, as_record, as_text, shown
from weakseg.errors import DataError
from weakseg.files import write_compact_json

VERSION = 1
DECIMALS = 2


@dataclass(frozen=True)
class DrawnImage:
    """Labels of one photograph.

    Attributes:
        size: (rows, columns) of the upright photograph.
        drawn: Boxes, points and scribbles.
        effort: What they took, by any names: ``{"seconds": 12.5}``.
        tags: Ids of the classes that the photograph shows, those of the labels among them.
    """

    size: tuple[int, int]
    drawn: Drawn
    effort: Mapping[str, float] = field(default_factory=dict)
    tags: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Count what is drawn among the tags."""
        object.__setattr__(self, "tags", self.tags | self.drawn.class_ids)


@dataclass(frozen=True)
class DrawnFile:
    """A file of drawn labels.

    Attributes:
        kind: What they are to their maker.
        classes: Their classes.
        images: By image id.
    """

    kind: str
    classes: Classes
    images: Mapping[str, DrawnImage]


@dataclass(frozen=True)
class DrawnDocument:
    """A file of drawn labels before class names are bound to ids.

    Attributes:
        kind: What they are to their maker.
        table: Its labels.
        efforts: What they took, by image id as written, in the order of the table.
    """

    kind: str
    table: AnnotationTable
    efforts: Mapping[str, Mapping[str, float]]


def write_drawn(path: Path, file: DrawnFile) -> None:
    """Write drawn labels, coordinates to a hundredth of a pixel.

    Raises:
        DataError: If there are regions or strokes, which simulation never makes; save those as label maps.
    """
    if wrong := [i for i, image in file.images.items() if image.drawn.regions or image.drawn.strokes]:
        raise DataError(f"{path}: image {wrong[0]!r} has painted pixels; save them as an indexed PNG instead")
    images = {image_id: _image_record(image, file.classes) for image_id, image in file.images.items()}
    write_compact_json(
        path, {"weakseg": VERSION, "kind": file.kind, "classes": list(file.classes.names), "images": images}
    )


def read_document(path: Path) -> DrawnDocument:
    """Return all that is in a file.

    Raises:
        DataError: If it is malformed.
    """
    document = _document(path)
    table = _table(path, document)
    efforts = {
        image_id: effort_of(record, f"{path}: image {image_id!r}") for image_id, record in _images(path, document)
    }
    return DrawnDocument(as_text(document.get("kind"), "kind", str(path)), table, efforts)


def read_table(path: Path) -> AnnotationTable:
    """Return the drawn labels in a file, with class names as they are written.

    Raises:
        DataError: If it is malformed.
    """
    return _table(path, _document(path))


def read_judged(path: Path) -> dict[str, Verdict]:
    """Return what people have said of masks in a file, by image id; malformed records, which are left out, say nothing.

    Raises:
        DataError: If the file is malformed.
    """
    document, found = _document(path), dict[str, Verdict]()
    for image, (_, record) in zip(_table(path, document).images, _images(path, document), strict=True):
        if image.where not in image.dropped and (verdict := verdict_of(record, image.where)) is not None:
            found[image_id_of(image.name)] = verdict
    return found


def _image_record(image: DrawnImage, classes: Classes) -> dict[str, object]:
    drawn = image.drawn
    return {
        "size": list(image.size),
        "tags": [classes.name_of(class_id) for class_id in sorted(image.tags)],
        "boxes": [{"class": classes.name_of(b.class_id), "rectangle": _rounded_box(b)} for b in drawn.boxes],
        "points": [
            {"class": classes.name_of(p.class_id), "position": _rounded((p.row, p.column))} for p in drawn.points
        ],
        "scribbles": [
            {"class": classes.name_of(s.class_id), "path": [_rounded(position) for position in s.path]}
            for s in drawn.scribbles
        ],
        "effort": {name: _short(round(value, DECIMALS)) for name, value in image.effort.items()},
    }


def _rounded_box(box: Box) -> list[float]:
    """Return the rounded edges of a box, or the exact ones where it would lose its area."""
    exact = [box.top, box.left, box.bottom, box.right]
    top, left, bottom, right = (round(edge, DECIMALS) for edge in exact)
    return [_short(edge) for edge in ([top, left, bottom, right] if top < bottom and left < right else exact)]


def _rounded(position: Position) -> list[float]:
    """Return a rounded position that is still in its pixel."""
    rounded = (round(value, DECIMALS) for value in position)
    return [
        _short(near if math.floor(near) == math.floor(value) else value)
        for near, value in zip(rounded, position, strict=True)
    ]


def _short(value: float) -> float:
    """Return whole numbers as integers, which take less space."""
    return int(value) if float(value).is_integer() else value


def _document(path: Path) -> dict[str, object]:
    document = as_record(parse_json(path, read_text(path, "file of drawn labels")), "the file", str(path))
    if document.get("weakseg") != VERSION:
        raise DataError(
            f"{path}: 'weakseg' must be {VERSION}, got {shown(document.get('weakseg'))}; give a file of weakseg's own "
            "drawn labels"
        )
    return document


def _images(path: Path, document: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
    images = as_record(document.get("images"), "images", str(path))
    return [(i, as_record(record, "an image", f"{path}: image {i!r}")) for i, record in images.items()]


def _table(path: Path, document: dict[str, object]) -> AnnotationTable:
    classes = tuple(as_text(c, "a class", str(path)) for c in as_list(document.get("classes"), "classes", str(path)))
    images = (read_record(i, record, f"{path}: image {i!r}") for i, record in _images(path, document))
    return AnnotationTable(path, tuple(images), classes)
