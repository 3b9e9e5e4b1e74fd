"""Objects of PASCAL VOC's XML files: class names, and boxes in the base that their writer counted in."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Position, Shape
from weakseg.data.formats.xml_files import parse_xml, xml_size
from weakseg.data.values import number_of_text
from weakseg.errors import DataError

logger = logging.getLogger(__name__)

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocRules:
    """How objects are read.

    Attributes:
        base: 1: pixels counted from 1, the last one included; decimals are rounded. 0: edges as they stand, counted
            from 0, the last one excluded, as many tools write them.
        difficult: Whether objects that are marked difficult count; otherwise a class that only they show is unknown.
        boxes: Whether boxes are read; otherwise class names alone.
    """

    base: Literal[0, 1] = 1
    difficult: bool = True
    boxes: bool = True


def read_table(path: Path) -> AnnotationTable:
    """Return the objects in the file of one photograph, as the development kit writes it.

    Raises:
        DataError: If it is malformed, or no file of VOC.
    """
    root = parse_xml(path, "label file", "repair it, or export it again")
    if root.tag != "annotation":
        raise DataError(f"{path}: <{root.tag}> is of no label file; VOC's begins with <annotation>; give another")
    dropped: dict[str, str] = {}
    image = read_objects(path, path.stem, VocRules(), dropped)
    return AnnotationTable(path, (image,), dropped=dropped)


def read_objects(path: Path, image_id: str, rules: VocRules, dropped: dict[str, str]) -> AnnotatedImage:
    """Return the objects of one photograph; parts of objects are none.

    Args:
        path: Its XML file.
        image_id: Its id.
        rules: How to read them.
        dropped: Receives the reason of each object that is left out.

    Raises:
        DataError: If the file is missing or malformed.
    """
    what = f"annotation of image {image_id!r}"
    root = parse_xml(path, what, "repair it, or set data.tags to another source")
    names: set[str] = set()
    left_open: set[str] = set()
    shapes: list[Shape] = []
    for number, node in enumerate(root.findall("object")):
        where = f"{path}: object {number}"
        label = node.findtext("name", "").strip()
        if not rules.difficult and node.findtext("difficult", "0").strip() == "1":
            left_open.add(label)
            dropped[where] = f"box of {label!r} is marked difficult"
            continue
        names.add(label)
        corners = _corners(node, rules.base, where) if rules.boxes else ()
        if corners:
            shapes.append(Shape("box", label, corners, where))
        elif rules.boxes:
            dropped[where] = f"object {label!r} has no bndbox"
    size = xml_size(root, str(path)) if rules.boxes else None
    return AnnotatedImage(image_id, tuple(shapes), str(path), frozenset(names), size, frozenset(left_open))


def warn_of_zeros(images: list[AnnotatedImage], base: int) -> None:
    """Warn where boxes begin at 0 though pixels are said to be counted from 1."""
    early = [s.where for image in images for s in image.shapes if min(s.positions[0]) < 0]
    if base == 1 and early:
        logger.warning(
            "%d boxes begin at 0, but VOC counts pixels from 1; the first is %s. Written by a tool that counts from 0? "
            "Then set data.voc_base to 0",
            len(early),
            early[0],
        )


def _corners(node: Element, base: int, where: str) -> tuple[Position, Position] | tuple[()]:
    """Return top left and bottom right corner of the object's own box; nothing if it has none."""
    box = node.find("bndbox")
    if box is None:
        return ()
    left, top, right, bottom = (number_of_text(box.findtext(name), f"bndbox/{name}", where) for name in _EDGES)
    if left > right or top > bottom:
        raise DataError(f"{where}: bndbox {left:g}, {top:g} .. {right:g}, {bottom:g} ends before it begins; correct it")
    if base == 0:
        return (top, left), (bottom, right)
    left, top, right, bottom = (math.floor(value + 0.5) for value in (left, top, right, bottom))
    return (top - 1.0, left - 1.0), (float(bottom), float(right))
