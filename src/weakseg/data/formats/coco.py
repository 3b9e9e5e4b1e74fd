"""COCO: a JSON file of images, categories and their annotations."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from weakseg.data.annotations import AnnotatedImage, AnnotationTable
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.formats.coco_objects import CocoImage, CocoObject
from weakseg.data.formats.coco_shapes import shapes_of
from weakseg.data.paths import image_id_of, parse_json, read_text
from weakseg.errors import DataError

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class CocoFile:
    """A JSON file of instances.

    Attributes:
        path: The file.
        categories: Names by category id, in increasing order of the id, as the class map makes them.
        images: Images by image id (path without suffix), in the order of the file.
        ignored: Categories that the class map ignores; they are not among ``categories``.
    """

    path: Path
    categories: dict[int, str]
    images: dict[str, CocoImage]
    ignored: frozenset[int] = frozenset()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the categories in increasing order of their ids, without the background."""
        return tuple(dict.fromkeys(name for name in self.categories.values() if name not in BACKGROUND_NAMES))

    def class_ids(self, classes: Classes) -> dict[int, int]:
        """Return the class id of each category that is one of ``classes``."""
        ids = {name: class_id for class_id, name in enumerate(classes.names, start=1)}
        return {category: ids[name] for category, name in self.categories.items() if name in ids}


def read_table(path: Path) -> AnnotationTable:
    """Return boxes, visible keypoints and class names of all images; segmentations are left alone.

    Raises:
        DataError: As ``read_instances``, or if a box or keypoint is malformed.
    """
    file = read_instances(path)
    images = []
    for image in file.images.values():
        named = [(item, file.categories[item.category_id]) for item in image.objects]
        shapes = (shape for item, name in named for shape in shapes_of(item, name, image.size, "auto"))
        shown = frozenset(name for item, name in named if not item.crowd)
        images.append(AnnotatedImage(image.file_name, tuple(shapes), image.where, shown, image.size))
    return AnnotationTable(path, tuple(images), file.class_names)


def read_instances(path: Path, class_map: ClassMap | None = None) -> CocoFile:
    """Return the content of a JSON file of instances, with names of categories as ``class_map`` makes them.

    Raises:
        DataError: If it is malformed, lacks a key, repeats an id or image, or an annotation names none that exists.
    """
    document = parse_json(path, read_text(path, "COCO file"))
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected an object with images, annotations and categories; give an instances file")
    categories: dict[int, str] = {}
    for where, record in _records(document, "categories", path):
        name = _text(record, "name", where)
        if name in categories.values():
            raise DataError(f"{where}: a second category is named {name!r}; rename or merge them")
        _add_once(categories, _integer(record, "id", where), name, where)
    objects: dict[int, list[CocoObject]] = {}
    entries: dict[int, tuple[str, dict[str, object]]] = {}
    for where, record in _records(document, "images", path):
        _add_once(entries, _integer(record, "id", where), (where, record), where)
    for where, record in _records(document, "annotations", path):
        image = _known(record, "image_id", entries, where)
        objects.setdefault(image, []).append(_object(record, categories, where))
    images: dict[str, CocoImage] = {}
    for number, (where, record) in entries.items():
        name = _text(record, "file_name", where)
        if (other := images.get(image_id_of(name))) is not None:
            raise DataError(
                f"{where}: {name!r} and {other.file_name!r} have one image id; rename one, or keep one entry"
            )
        there = tuple(objects.get(number, ()))
        images[image_id_of(name)] = CocoImage(name, _size(record, where), there, where, number)
    targets = {i: (class_map or ClassMap()).target(name) for i, name in sorted(categories.items())}
    named = {i: name for i, name in targets.items() if name is not None}
    return CocoFile(path, named, images, frozenset(targets) - frozenset(named))


def _records(document: dict[str, object], key: str, path: Path) -> list[tuple[str, dict[str, object]]]:
    """Return (file and entry, record) of each record in the list ``key``."""
    records = document.get(key)
    if not isinstance(records, list):
        raise DataError(f"{path}: the list {key!r} is missing; give an instances file in COCO format")
    checked = []
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{path}: {key}[{number}]: expected an object, got {record!r}; correct the entry")
        checked.append((f"{path}: {key}[{number}]", record))
    return checked


def _object(record: dict[str, object], categories: dict[int, str], where: str) -> CocoObject:
    crowd = record.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DataError(f"{where}: iscrowd must be 0 or 1, got {crowd!r}; correct it")
    category = _known(record, "category_id", categories, where)
    segmentation, box, keypoints = (record.get(key) or None for key in ("segmentation", "bbox", "keypoints"))
    return CocoObject(category, bool(crowd), segmentation, where, box, keypoints)


def _size(record: dict[str, object], where: str) -> tuple[int, int] | None:
    """Return (rows, columns) of an image record, which may lack both."""
    if "height" not in record and "width" not in record:
        return None
    rows, columns = _integer(record, "height", where), _integer(record, "width", where)
    if min(rows, columns) < 1:
        raise DataError(f"{where}: height {rows} and width {columns} must be at least 1; correct them")
    return rows, columns


def _integer(record: dict[str, object], key: str, where: str) -> int:
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{where}: {key!r} must be an integer, got {value!r}; add or correct it")
    return value


def _text(record: dict[str, object], key: str, where: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: {key!r} must be text, got {value!r}; add or correct it")
    return value


def _known(record: dict[str, object], key: str, known: Container[int], where: str) -> int:
    value = _integer(record, key, where)
    if value not in known:
        raise DataError(f"{where}: {key} {value} does not exist in the file; correct it, or add the entry")
    return value


def _add_once(found: dict[int, _Value], key: int, value: _Value, where: str) -> None:
    if key in found:
        raise DataError(f"{where}: id {key} is used twice; give each entry its own")
    found[key] = value
