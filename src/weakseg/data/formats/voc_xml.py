"""Objects of PASCAL VOC's XML files: class names, and boxes in the base that their writer counted in."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Literal
from xml.etree.ElementTree import Element

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Shape
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.formats.shapes import Unusable, box_around, left_out, text_label, usable_shapes
from weakseg.data.formats.xml_files import parse_xml, xml_size
from weakseg.data.paths import check_inside, files_inside
from weakseg.data.values import number_of_text, shown
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
_REMEDY = "repair it, or set data.tags to another source"
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


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return the objects in the file of one photograph, or in a folder of such files at any depth.

    A file of a folder is about the photograph of its own name, or else that of its ``filename``, beside it.

    Raises:
        DataError: If the file is malformed or none of VOC, or the folder has no file that can be used.
    """
    rules = VocRules(around.voc_base, around.difficult) if around else VocRules()
    if not path.is_dir():
        return AnnotationTable(path, (_parsed(path, _root(path, "label file"), path.stem, rules),))
    images: list[AnnotatedImage] = []
    skipped: dict[str, str] = {}
    for file in files_inside(path, {".xml"}, "XML files of VOC", deep=True):
        try:
            check_inside(path, file)
            root = _root(file, "label file")
            images.append(_parsed(file, root, _name(file, path, root, around), rules))
        except DataError as error:
            skipped[str(file)] = str(error).removeprefix(f"{file}: ")
    warn_of_zeros(images, rules.base)
    return AnnotationTable(path, without_repeats(images), skipped=skipped)


def read_objects(path: Path, image_id: str, rules: VocRules) -> AnnotatedImage:
    """Return the objects of one photograph; parts of objects are none.

    Of a file that is missing or malformed, that is the one entry that is left out.

    Args:
        path: Its XML file.
        image_id: Its id.
        rules: How to read them.
    """
    try:
        root = parse_xml(path, f"annotation of image {image_id!r}", _REMEDY)
        return _parsed(path, root, image_id, rules)
    except DataError as error:
        return AnnotatedImage(image_id, (), str(path), dropped={str(path): left_out(error, str(path), None)})


def _root(path: Path, what: str) -> Element:
    root = parse_xml(path, what, "repair it, or export it again")
    if root.tag != "annotation":
        raise DataError(f"{path}: <{root.tag:.60}> is of no label file; VOC's begins with <annotation>; give another")
    return root


def _name(path: Path, folder: Path, root: Element, around: Surroundings | None) -> str:
    """Return the photograph of a file as a path relative to the folder."""
    own = path.relative_to(folder).with_suffix("")
    stated = PureWindowsPath(root.findtext("filename", "").strip()).name
    if not stated or around is None or around.find(own.as_posix(), str(path)).is_file():
        return own.as_posix()
    return (own.parent / stated).as_posix()


def _parsed(path: Path, root: Element, name: str, rules: VocRules) -> AnnotatedImage:
    """Return the objects below a root element."""
    entries = [(f"{path}: object {number}", node) for number, node in enumerate(root.findall("object"))]
    hard = {place for place, node in entries if not rules.difficult and node.findtext("difficult", "0").strip() == "1"}
    counted = [(place, node) for place, node in entries if place not in hard]
    dropped = {
        place: Dropped(f"box of {shown(_label(node))} is marked difficult", frozenset())
        for place, node in entries
        if place in hard
    }
    shapes = usable_shapes(counted, lambda node, at: _shapes(node, rules, at), _labels_of, dropped)
    names = {_label(node) for _, node in counted} - {""}
    left_open = {_label(node) for place, node in entries if place in hard} - {""}
    size = xml_size(root, str(path)) if rules.boxes else None
    return AnnotatedImage(name, tuple(shapes), str(path), frozenset(names), size, frozenset(left_open), dropped)


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


def _label(node: Element) -> str:
    return node.findtext("name", "").strip()


def _labels_of(node: Element) -> frozenset[str] | None:
    return text_label(_label(node))


def _shapes(node: Element, rules: VocRules, where: str) -> list[Shape]:
    """Return the object's own box, whichever of its corners comes first; nothing where boxes are not read."""
    label = _label(node)
    if not label:
        raise Unusable("object has no name")
    if not rules.boxes:
        return []
    box = node.find("bndbox")
    if box is None:
        raise Unusable(f"object {shown(label)} has no bndbox")
    numbers = [number_of_text(box.findtext(name), f"bndbox/{name}", where) for name in _EDGES]
    (left, right), (top, bottom) = sorted(numbers[::2]), sorted(numbers[1::2])
    if rules.base:
        left, top, right, bottom = (math.floor(value + 0.5) for value in (left, top, right, bottom))
    return [box_around(label, ((top - rules.base, left - rules.base), (bottom, right)), where)]
