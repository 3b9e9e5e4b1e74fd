"""ScribbleSup: a folder with one XML file of scribbles for each photograph."""

from pathlib import Path
from xml.etree.ElementTree import Element

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Position, Shape
from weakseg.data.formats.voc_xml import VOC_CLASSES
from weakseg.data.formats.xml_files import parse_xml, xml_size
from weakseg.data.paths import files_inside
from weakseg.data.values import number_of_text
from weakseg.errors import DataError

ALIASES = {
    "plane": "aeroplane",
    "bike": "bicycle",
    "motor": "motorbike",
    "table": "diningtable",
    "plant": "pottedplant",
    "monitor": "tvmonitor",
}
_REMEDY = "repair it, or leave it out"


def read_table(path: Path) -> AnnotationTable:
    """Return the scribbles of a folder of ``ID.xml``, or of one such file.

    Each ``polygon`` is an open line on the class ``tag``, ``background`` included; the data set's own short names
    become those of VOC. ``X`` and ``Y`` count pixels from 0 and mean their centres.

    Raises:
        DataError: If there is no such folder or file, or a file is malformed.
    """
    if not path.exists():
        raise DataError(f"{path}: no such folder of scribbles; give the folder of the XML files")
    files = files_inside(path, {".xml"}, "scribbles") if path.is_dir() else [path]
    dropped: dict[str, str] = {}
    images = [_image(file, dropped) for file in files]
    return AnnotationTable(path, tuple(images), VOC_CLASSES, dropped)


def _image(path: Path, dropped: dict[str, str]) -> AnnotatedImage:
    root = parse_xml(path, f"scribbles of image {path.stem!r}", _REMEDY)
    shapes: list[Shape] = []
    tags: set[str] = set()
    for number, node in enumerate(root.findall("polygon")):
        where = f"{path}: polygon {number}"
        tag = (node.findtext("tag") or "").strip()
        if not tag:
            raise DataError(f"{where}: 'tag' is missing; write the class that the scribble is on, or 'background'")
        label = ALIASES.get(tag, tag)
        tags.add(label)
        positions = tuple(_position(point, where) for point in node.findall("point"))
        if positions:
            shapes.append(Shape("scribble", label, positions, where))
        else:
            dropped[where] = f"scribble of {tag!r} has no points"
    return AnnotatedImage(path.stem, tuple(shapes), str(path), frozenset(tags), xml_size(root, str(path)))


def _position(point: Element, where: str) -> Position:
    column, row = (number_of_text(point.findtext(name), f"point/{name}", where) for name in "XY")
    return row + 0.5, column + 0.5
