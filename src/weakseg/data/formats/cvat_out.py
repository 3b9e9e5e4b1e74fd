"""Objects and masks as a file of CVAT: XML 1.1 "for images", with painted masks or polygons."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.data.classes import Classes
from weakseg.data.formats.coco_polygons import polygons_of
from weakseg.data.formats.cvat_shapes import UNDECIDED_NAME
from weakseg.data.formats.instances_out import drawing_order
from weakseg.data.formats.palettes import Palette, label_colours
from weakseg.errors import DataError
from weakseg.files import atomic_path
from weakseg.instances import Instances
from weakseg.ops.runs import decode_runs

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Crop(NamedTuple):
    """A mask in the tight rectangle around it, as CVAT keeps masks.

    Attributes:
        counts: Run lengths along the rows of the rectangle, the first of zeros.
        top, left: Its first pixel.
        rows, columns: Its size.
    """

    counts: list[int]
    top: int
    left: int
    rows: int
    columns: int


def crop_of(mask: NDArray[np.bool_]) -> Crop:
    """Return an ``(H, W)`` mask that is not empty as runs in its rectangle."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    inside = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    flat = inside.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(ends, prepend=0, append=flat.size).tolist()
    return Crop([0, *counts] if flat[0] else counts, top, left, *inside.shape)


def write_cvat(
    path: Path,
    instances: Mapping[str, Instances],
    file_names: Mapping[str, str],
    classes: Classes,
    *,
    polygons: bool = False,
    palette: Palette | None = None,
) -> None:
    """Write objects as an ``annotations.xml`` that CVAT imports as "CVAT 1.1".

    Objects stand in the order in which they are drawn, those above later; where some of a photograph overlap, each has
    its own ``z_order``. Class 255 is the label ``undecided``, which our reader takes for pixels of no class. Scores
    have no place in the file.

    Args:
        path: XML file.
        instances: Objects by image id.
        file_names: Name of each image file, by image id; CVAT finds its frames by it.
        classes: Names of the classes.
        polygons: Whether pixels are written as polygons, which mean the same; the parts of an object share a group.
        palette: The colours of labels; ``None``: VOC's.

    Raises:
        DataError: If an image has no file name, or one that XML cannot hold, an object is of a class without name, or
            the palette lacks a class.
    """
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    undecided = any(UNDECIDED in found.class_ids for found in instances.values())
    names = {**dict(enumerate(classes.names, start=1)), **({UNDECIDED: UNDECIDED_NAME} if undecided else {})}
    _add_task(root, names, label_colours(classes, palette, undecided=undecided), len(instances))
    for number, (image_id, found) in enumerate(instances.items()):
        name = file_names.get(image_id, "")
        if not name or _NO_XML.search(name):
            what = f"its file name {name!r} has characters that XML cannot hold" if name else "has no file name"
            raise DataError(f"image {image_id!r}: {what}; give it one that it can")
        if unknown := set(found.class_ids) - set(names):
            raise DataError(f"image {image_id!r}: class {min(unknown)} has no label; give names for all")
        rows, columns = found.image_size
        sizes = {"width": str(columns), "height": str(rows)}
        image = SubElement(root, "image", {"id": str(number), "name": name, **sizes})
        for shape in _shapes(found, names, polygons=polygons):
            image.append(shape)
    indent(root)
    with atomic_path(path) as temporary:
        ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def _add_task(root: Element, names: Mapping[int, str], colours: NDArray[np.uint8], size: int) -> None:
    """Add what says which labels there are, and in which colours."""
    task = SubElement(SubElement(root, "meta"), "task")
    SubElement(task, "size").text = str(size)
    labels = SubElement(task, "labels")
    for class_id, name in names.items():
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        SubElement(label, "color").text = "#{:02x}{:02x}{:02x}".format(*colours[class_id].tolist())
        SubElement(label, "type").text = "any"
        SubElement(label, "attributes")


def _shapes(found: Instances, names: Mapping[int, str], *, polygons: bool) -> Iterator[Element]:
    """Yield the elements of an image's objects, the lowest first; one mask is opened at a time."""
    order = drawing_order(found)
    layers = range(len(found)) if _overlap(found) else [0] * len(found)
    for layer, number in zip(layers, order, strict=True):
        (mask,) = decode_runs([found.runs[number]], found.image_size)
        common = {"label": names[found.class_ids[number]], "source": "auto", "occluded": "0", "z_order": str(layer)}
        if not polygons:
            counts, top, left, rows, columns = crop_of(mask)
            place = {"left": left, "top": top, "width": columns, "height": rows}
            runs = {"rle": ", ".join(map(str, counts)), **{key: str(value) for key, value in place.items()}}
            yield Element("mask", {**common, **runs})
            continue
        outlines = polygons_of(mask)
        group = {"group_id": str(number + 1)} if len(outlines) > 1 else {}
        for outline in outlines:
            yield Element("polygon", {**common, "points": _points(outline), **group})


def _points(outline: Sequence[float]) -> str:
    """Return ``x,y;x,y``; the quarters of pixels of ``polygons_of`` have two decimals."""
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(outline[::2], outline[1::2], strict=True))


def _overlap(found: Instances) -> bool:
    """Return whether any two objects share a pixel."""
    covered = np.zeros(found.image_size, np.bool_)
    for runs in found.runs:
        (mask,) = decode_runs([runs], found.image_size)
        if (covered & mask).any():
            return True
        covered |= mask
    return False
