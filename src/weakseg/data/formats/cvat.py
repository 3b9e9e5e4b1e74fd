"""CVAT: one XML file of images or of the tracks of a video, with shapes, skeletons, masks and tags."""

import posixpath
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped
from weakseg.data.formats.cvat_shapes import (
    UNDECIDED_NAME,
    attribute,
    integer,
    is_undecided,
    labels_of,
    order_of,
    shapes_of,
)
from weakseg.data.formats.cvat_video import images_of_tracks
from weakseg.data.formats.label_format import Surroundings, claim_check
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.formats.shapes import left_out, usable_shapes
from weakseg.data.formats.xml_files import parse_xml
from weakseg.data.paths import inside
from weakseg.data.regions import check_size
from weakseg.errors import DataError


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return what a CVAT file says.

    Polygons, ellipses and masks become regions, polylines scribbles, each of several points a point of its own, the
    visible points of a skeleton points of its class, tags tags. A box that is rotated about its centre becomes the
    upright box around it. Shapes stand in the order of ``z_order``, those above later, and in the order of the file
    where it is equal. Labels with a parent are points of skeletons, and no classes. Regions of the label ``undecided``,
    as ``weakseg export`` writes them, say nothing of their pixels.

    A photograph of a project is in the folder of its subset, if it is there. The shapes of tracks are those of the
    frames ``frame_000000`` and so on.

    Args:
        path: The ``annotations.xml`` of an export "CVAT for images 1.1", or "CVAT for video 1.1" with its frames.
        around: Where the photographs are; ``None``: they are not opened.

    Raises:
        DataError: If it cannot be read, is of another kind, or holds tracks of which no frame is there.
    """
    root = parse_xml(path, "CVAT file", "repair it, or export it again")
    if root.tag != "annotations":
        raise DataError(f"{path}: holds no <annotations>; export it from CVAT as 'CVAT for images 1.1'")
    labels = [node for node in root.iterfind("meta//labels/label") if node.find("parent") is None]
    names = [name for node in labels if (name := (node.findtext("name") or "").strip()) != UNDECIDED_NAME]
    nodes = [(f"{path}: image[{number}]", node) for number, node in enumerate(root.iterfind("image"))]
    skipped: dict[str, str] = {}
    if root.find("track") is not None:
        nodes += images_of_tracks(root, path, around, skipped)
    images = []
    for where, node in nodes:
        try:
            images.append(_image(node, where, around))
        except DataError as error:
            skipped[where] = str(error).removeprefix(f"{where}: ")
    return AnnotationTable(path, without_repeats(images), tuple(dict.fromkeys(name for name in names if name)), skipped)


def _image(node: Element, where: str, around: Surroundings | None) -> AnnotatedImage:
    """Return one photograph with its shapes, the lowest first."""
    dropped: dict[str, Dropped] = {}
    name = _name(node, where, around)
    size = check_size((integer(node, "height", where), integer(node, "width", where)), where)
    entries = [(f"{where}: {child.tag}[{number}]", child) for number, child in enumerate(node)]
    tags = set()
    for place, child in entries:
        if child.tag == "tag":
            try:
                tags.add(attribute(child, "label", place))
            except DataError as error:
                dropped[place] = left_out(error, place, None)
    drawn = sorted((entry for entry in entries if entry[1].tag != "tag"), key=lambda entry: order_of(entry[1]))
    claim = claim_check(around, name, size, where)
    shapes = usable_shapes(drawn, lambda child, place: shapes_of(child, size, place, claim), labels_of, dropped)
    lost = {place for place, child in drawn if place in dropped and is_undecided(child)}
    dropped |= {place: replace(dropped[place], ignored=True) for place in lost}
    return AnnotatedImage(name, tuple(shapes), where, frozenset(tags), size, dropped=dropped)


def _name(node: Element, where: str, around: Surroundings | None) -> str:
    """Return the path of a photograph, below the folder of its subset where it is there, or is not above it."""
    name, subset = attribute(node, "name", where).strip(), (node.get("subset") or "").strip()
    if not subset:
        return name
    nested = posixpath.join(subset, name)
    if around is None or around.photograph:
        return nested
    plain = inside(around.root, name, where, folder=around.start).is_file()
    return name if plain and not inside(around.root, nested, where, folder=around.start).is_file() else nested
