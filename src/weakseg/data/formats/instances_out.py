"""Instances as other programs read them: COCO annotations and results, and VOC's pairs of masks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakseg.artifacts import UNDECIDED, LabelMap, voc_palette
from weakseg.data.classes import Classes
from weakseg.data.formats.coco_objects import Key
from weakseg.data.formats.coco_polygons import polygons_of
from weakseg.data.formats.palettes import FILE_NAME, Palette, palette_rows
from weakseg.errors import DataError
from weakseg.files import atomic_path, write_bytes
from weakseg.instances import Instances
from weakseg.ops.runs import decode_runs

Record = dict[str, Any]


def regions_of(labels: LabelMap, *, undecided: bool = False) -> Instances:
    """Return all pixels of each class of a mask as one object; the background is in none.

    Args:
        labels: The mask.
        undecided: Whether undecided pixels are one of class 255, and not left out.
    """
    ids = sorted(labels.label_ids - {0}) + [UNDECIDED] * (undecided and labels.coverage < 1)
    return Instances.of(labels.labels == np.reshape(ids, (-1, 1, 1)), ids)


def write_coco_annotations(
    path: Path,
    instances: Mapping[str, Instances],
    file_names: Mapping[str, str],
    classes: Classes,
    *,
    polygons: bool = False,
) -> None:
    """Write the COCO data set of ``coco_annotations``, which annotation tools and trainers read, as a JSON file."""
    _write(path, coco_annotations(instances, file_names, classes, polygons=polygons))


def coco_annotations(
    instances: Mapping[str, Instances],
    file_names: Mapping[str, str],
    classes: Classes,
    *,
    polygons: bool = False,
) -> Record:
    """Return instances as a COCO data set.

    Categories are the class ids; the score of an object stands in its annotation as ``score``.

    Args:
        instances: Objects by image id.
        file_names: Name of each image file, by image id.
        classes: Names of the classes.
        polygons: Whether pixels are written as polygons, not as runs; both mean the same pixels.

    Raises:
        DataError: If an image has no file name, or an object is of a class without name.
    """
    images, annotations = [], []
    for number, (image_id, found) in enumerate(instances.items(), start=1):
        if image_id not in file_names:
            raise DataError(f"image {image_id!r}: has instances but no file name; give one")
        rows, columns = found.image_size
        images.append({"id": number, "file_name": file_names[image_id], "height": rows, "width": columns})
        records = _records(found, number, _same(classes), image_id)
        outlines = _outlines(found) if polygons else [{}] * len(records)
        annotations += [{**r, **outline, "iscrowd": 0} for r, outline in zip(records, outlines, strict=True)]
    numbered = [{"id": number, **record} for number, record in enumerate(annotations, start=1)]
    categories = [{"id": class_id, "name": name} for class_id, name in enumerate(classes.names, start=1)]
    return {"images": images, "annotations": numbered, "categories": categories}


def write_coco_results(
    path: Path, instances: Mapping[str, Instances], image_numbers: Mapping[str, Key], category_ids: Mapping[int, Key]
) -> None:
    """Write instances as a list of COCO results, which evaluation servers read.

    Args:
        path: JSON file.
        instances: Objects by image id.
        image_numbers: The data set's own number of each image, by image id.
        category_ids: The data set's own number of each class id.

    Raises:
        DataError: If an image or class has no number.
    """
    records = []
    for image_id, found in instances.items():
        if image_id not in image_numbers:
            raise DataError(f"image {image_id!r}: has instances but no number in the data set; give one")
        records += _records(found, image_numbers[image_id], category_ids, image_id)
    _write(path, records)


def drawing_order(instances: Instances) -> list[int]:
    """Return the numbers of objects, those above later: the surer lies on top, of equal ones the smaller."""
    areas = instances.areas
    return sorted(range(len(instances)), key=lambda n: (instances.scores[n], -areas[n], -n))


def write_voc(
    root: Path,
    image_id: str,
    instances: Instances,
    *,
    coloured: bool = False,
    colours: NDArray[np.uint8] | None = None,
) -> None:
    """Write ``SegmentationObject/ID.png`` and ``SegmentationClass/ID.png``: objects numbered from 1 in their order.

    Where objects overlap, the surer one is seen, of equal ones the smaller; so what VOC holds of an object may be less
    than its mask, or nothing.

    Args:
        root: Folder of both folders.
        image_id: Id of the image.
        instances: Its objects.
        coloured: Whether the PNGs hold colours of 24 bits, not indices of them.
        colours: ``(256, 3)`` colour of each class; objects have VOC's.

    Raises:
        DataError: If there are more objects than masks of 8 bits hold.
    """
    if len(instances) >= UNDECIDED:
        raise DataError(
            f"image {image_id!r}: {len(instances)} objects, but VOC's masks hold {UNDECIDED - 1}; leave out those of "
            "low score"
        )
    objects, labels = np.zeros(instances.image_size, np.uint8), np.zeros(instances.image_size, np.uint8)
    masks = instances.masks
    for number in drawing_order(instances):
        objects[masks[number]] = number + 1
        labels[masks[number]] = instances.class_ids[number]
    write_mask(root / "SegmentationObject" / f"{image_id}.png", LabelMap(objects), coloured=coloured)
    write_mask(root / "SegmentationClass" / f"{image_id}.png", LabelMap(labels), coloured=coloured, colours=colours)


def write_mask(
    path: Path, labels: LabelMap, *, coloured: bool = False, colours: NDArray[np.uint8] | None = None
) -> None:
    """Write a mask as PNG: indices of colours, or the colours themselves in 24 bits; VOC's where none are given."""
    if not coloured:
        labels.save(path, colours)
        return
    with atomic_path(path) as temporary:
        Image.fromarray((voc_palette() if colours is None else colours)[labels.labels]).save(temporary, format="PNG")


def write_voc_lists(
    root: Path,
    image_ids: Sequence[str],
    classes: Classes,
    *,
    undecided: bool = False,
    palette: Palette | None = None,
) -> None:
    """Write ``ImageSets/Segmentation/default.txt`` and ``labelmap.txt``, which CVAT reads beside folders of masks.

    A line of the label map is name, colour, parts and actions; a colon in a name would end it.

    Args:
        root: Folder of both.
        image_ids: The images.
        classes: Their classes.
        undecided: Whether ``undecided`` has a line of its own, as masks in colours need where they show it.
        palette: Whose lines are kept, in their order; ``None``: VOC's colours.

    Raises:
        DataError: If a name has a colon, or the palette lacks a class.
    """
    rows = palette_rows(classes, palette, undecided=undecided)
    if wrong := [name for name in rows if ":" in name]:
        raise DataError(f"{root / FILE_NAME}: class {wrong[0]!r} has a colon, which the file cannot hold; rename it")
    lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in rows.items()]
    write_bytes(root / FILE_NAME, _text(["# label:color_rgb:parts:actions", *lines]))
    write_bytes(root / "ImageSets" / "Segmentation" / "default.txt", _text(image_ids))


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _outlines(found: Instances) -> list[Record]:
    """Return the polygons of each object; one mask is opened at a time."""
    return [{"segmentation": polygons_of(decode_runs([runs], found.image_size)[0])} for runs in found.runs]


def _records(found: Instances, image: Key, category_ids: Mapping[int, Key], image_id: str) -> list[Record]:
    """Return what annotations and results have in common."""
    rows, columns = found.image_size
    if unknown := set(found.class_ids) - set(category_ids):
        raise DataError(f"image {image_id!r}: class {min(unknown)} has no category; give names or numbers for all")
    objects = zip(found.runs, found.class_ids, found.scores, found.boxes, found.areas, strict=True)
    return [
        {
            "image_id": image,
            "category_id": category_ids[class_id],
            "segmentation": {"size": [rows, columns], "counts": counts.decode("ascii")},
            "bbox": [left, top, right - left, bottom - top],
            "area": area,
            "score": score,
        }
        for counts, class_id, score, (top, left, bottom, right), area in objects
    ]


def _same(classes: Classes) -> dict[int, Key]:
    return {class_id: class_id for class_id in range(1, len(classes) + 1)}


def _write(path: Path, document: object) -> None:
    write_bytes(path, json.dumps(document).encode())
