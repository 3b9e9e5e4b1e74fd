"""COCO panoptic: a JSON file of segments, and a PNG for each photograph whose colours number them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Shape
from weakseg.data.formats.coco_entries import Found, key_of, read_entries
from weakseg.data.formats.coco_objects import CocoImage
from weakseg.data.formats.label_format import Content, Surroundings
from weakseg.data.formats.records import list_in, text_in
from weakseg.data.formats.shapes import Unusable, region_of, usable_shapes
from weakseg.data.paths import inside, parse_json, read_text
from weakseg.data.values import as_record, shown
from weakseg.errors import DataError
from weakseg.image_file import opened_image

Record = dict[str, object]


def is_panoptic(content: Content) -> bool:
    """Return whether a JSON file has annotations with segments."""
    annotations = content.json.get("annotations") if isinstance(content.json, dict) else None
    entries = annotations if isinstance(annotations, list) else []
    return any(isinstance(entry, dict) and "segments_info" in entry for entry in entries)


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return the segments of each image as regions; crowds, and what is in no segment, are to be ignored.

    The PNGs are in the folder that is called as the file, or beside it.

    Args:
        path: The JSON file.
        around: The folder that must not be left; ``None``: that of the file.

    Raises:
        DataError: If it is malformed, or no annotation can be used.
    """
    document = as_record(parse_json(path, read_text(path, "COCO panoptic file")), "the content of the file", str(path))
    found = read_entries(path, document)
    root = around.root if around else path.parent.resolve()
    images: dict[str, AnnotatedImage] = {}
    for where, record in found.records("annotations"):
        try:
            image = _image_of(record, found, where)
            if image.file_name in images:
                raise DataError(f"{where}: image {image.file_name!r} has an annotation before; keep one")
            images[image.file_name] = _annotated(image, record, found, where, root)
        except DataError as error:
            found.skipped[where] = str(error).removeprefix(f"{where}: ")
    declared = tuple(dict.fromkeys(found.categories[key].name for key in sorted(found.categories, key=str)))
    return AnnotationTable(path, tuple(images.values()), declared, found.skipped)


def _image_of(record: Record, found: Found, where: str) -> CocoImage:
    image_id = found.image_ids.get(key := key_of(record, "image_id", where))
    if image_id is None:
        raise DataError(f"{where}: image_id {shown(key)} is that of no usable image; correct it, or add the entry")
    return found.images[image_id]


def _annotated(image: CocoImage, record: Record, found: Found, where: str, root: Path) -> AnnotatedImage:
    dropped: dict[str, Dropped] = {}
    entries = [(f"{where}: segments_info[{n}]", s) for n, s in enumerate(list_in(record, "segments_info", where))]
    numbers = _numbers(text_in(record, "file_name", where), found.path, where, root)
    if image.size not in (None, numbers.shape):
        sizes = [f"{rows} x {columns}" for rows, columns in (numbers.shape, image.size or (0, 0))]
        raise DataError(f"{where}: its PNG is {sizes[0]} (rows x columns), but the image {sizes[1]}; correct one")
    shapes = usable_shapes(
        entries, lambda entry, at: _segment(entry, numbers, found, at), lambda entry: _labels_of(entry, found), dropped
    )
    there = {_key(entry) for _, entry in entries}
    open_pixels = ~np.isin(numbers, [key for key in there if key is not None])
    rest = [region_of("", open_pixels, where, ignored=True)] if open_pixels.any() else []
    size = (int(numbers.shape[0]), int(numbers.shape[1]))
    return AnnotatedImage(
        image.file_name, (*rest, *shapes, *_left_open(entries, shapes, numbers)), where, size=size, dropped=dropped
    )


def _left_open(
    entries: Sequence[tuple[str, object]], shapes: Sequence[Shape], numbers: NDArray[np.int64]
) -> list[Shape]:
    """Return the pixels of segments that are left out as regions to be ignored, so that they are no background."""
    read = {shape.where for shape in shapes}
    lost = [(where, key) for where, entry in entries if where not in read and (key := _key(entry)) is not None]
    return [region_of("", mask, where, ignored=True) for where, key in lost if (mask := numbers == key).any()]


def _numbers(name: str, path: Path, where: str, root: Path) -> NDArray[np.int64]:
    """Return the number of the segment at each pixel: red + 256 green + 65,536 blue."""
    folder = path.parent.resolve().relative_to(root).as_posix()
    places = [inside(root, str(PurePosixPath(folder, *more, name)), where) for more in ((path.stem,), ())]
    file = next((place for place in places if place.is_file()), places[0])
    if not file.is_file():
        raise DataError(f"{where}: no such file {file}; unpack the PNGs into that folder")
    with opened_image(file, str(file), formats=("PNG",), what="a PNG of segments") as image:
        colours = np.asarray(image.convert("RGB"))
    numbers = colours[..., 0].astype(np.int64)
    numbers += colours[..., 1].astype(np.int64) << 8
    return numbers + (colours[..., 2].astype(np.int64) << 16)


def _key(entry: object) -> int | None:
    """Return the number of a segment; ``None`` where it can be none."""
    try:
        key = key_of(entry, "id", "") if isinstance(entry, dict) else None
    except DataError:
        return None
    return key if isinstance(key, int) and 0 < key < 1 << 24 else None


def _labels_of(entry: object, found: Found) -> frozenset[str] | None:
    try:
        category = found.categories.get(key_of(entry, "category_id", "")) if isinstance(entry, dict) else None
    except DataError:
        return None
    return frozenset({category.name}) if category else None


def _segment(value: object, numbers: NDArray[np.int64], found: Found, where: str) -> list[Shape]:
    entry = as_record(value, "a segment", where)
    key, category = key_of(entry, "id", where), found.categories.get(key_of(entry, "category_id", where))
    if category is None:
        raise DataError(f"{where}: category_id {shown(entry['category_id'])} is that of no usable category; correct it")
    if (crowd := entry.get("iscrowd") or 0) not in (0, 1):
        raise Unusable(f"iscrowd must be 0 or 1, got {shown(crowd)}", certain=False)
    if not isinstance(key, int) or not 0 < key < 1 << 24:
        raise Unusable(f"id {shown(key)} is that of no colour")
    return [region_of(category.name, numbers == key, where, ignored=crowd == 1)]
