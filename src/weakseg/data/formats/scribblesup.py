"""ScribbleSup: a folder with one XML file of scribbles for each photograph."""

from pathlib import Path
from xml.etree.ElementTree import Element

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Position, Shape
from weakseg.data.formats.shapes import Unusable, left_out, text_label, usable_shapes
from weakseg.data.formats.voc_xml import VOC_CLASSES
from weakseg.data.formats.xml_files import parse_xml, xml_size
from weakseg.data.paths import check_inside, files_inside
from weakseg.data.values import number_of_text, shown
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
        DataError: If there is no such folder or file, or no file can be used.
    """
    if not path.exists():
        raise DataError(f"{path}: no such folder of scribbles; give the folder of the XML files")
    if not path.is_dir():
        return AnnotationTable(path, (_image(path),), VOC_CLASSES)
    files = files_inside(path, {".xml"}, "scribbles")
    images = [_image_or_none(file, path) for file in files]
    if all(str(file) in image.dropped for file, image in zip(files, images, strict=True)):
        raise DataError(f"{files[0]}: {images[0].dropped[str(files[0])].reason}")
    return AnnotationTable(path, tuple(images), VOC_CLASSES)


def _image_or_none(path: Path, folder: Path) -> AnnotatedImage:
    """Return the scribbles of one photograph; of a file that cannot be used, that is what is left out."""
    try:
        check_inside(folder, path)
        return _image(path)
    except DataError as error:
        return AnnotatedImage(path.stem, (), str(path), dropped={str(path): left_out(error, str(path), None)})


def _image(path: Path) -> AnnotatedImage:
    root = parse_xml(path, f"scribbles of image {path.stem!r}", _REMEDY)
    entries = [(f"{path}: polygon {number}", node) for number, node in enumerate(root.findall("polygon"))]
    dropped: dict[str, Dropped] = {}
    shapes = usable_shapes(entries, _shapes, lambda node: text_label(_label(node)), dropped)
    return AnnotatedImage(path.stem, tuple(shapes), str(path), size=xml_size(root, str(path)), dropped=dropped)


def _label(node: Element) -> str:
    tag = (node.findtext("tag") or "").strip()
    return ALIASES.get(tag, tag)


def _shapes(node: Element, where: str) -> list[Shape]:
    """Return the scribble of one polygon, which may be a dot."""
    label = _label(node)
    if not label:
        raise Unusable("'tag' is missing; write the class that the scribble is on, or 'background'")
    positions = tuple(_position(point, where) for point in node.findall("point"))
    if not positions:
        raise Unusable(f"scribble of {shown(label)} has no points")
    return [Shape("scribble", label, positions, where)]


def _position(point: Element, where: str) -> Position:
    column, row = (number_of_text(point.findtext(name), f"point/{name}", where) for name in "XY")
    return row + 0.5, column + 0.5
