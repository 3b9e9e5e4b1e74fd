"""COCO layout: a folder of images and a JSON file of instances for each split."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from weakseg.data.classes import BACKGROUND_NAMES, Classes, unknown_class
from weakseg.data.config import DataConfig
from weakseg.data.paths import find_image, image_id_of, inside, parse_json, read_classes, read_text
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class CocoObject:
    """One annotation.

    Attributes:
        category_id: Category in the file's own numbers.
        crowd: Whether it is a region of many objects that nobody told apart (``iscrowd``).
        segmentation: Polygons or runs as they stand in the file, unchecked; ``None`` where it has none.
        where: File and entry, for errors.
    """

    category_id: int
    crowd: bool
    segmentation: object
    where: str


@dataclass(frozen=True)
class CocoImage:
    """One image entry.

    Attributes:
        file_name: Path below the folder of images.
        size: (rows, columns) that the file states; ``None`` where it states none.
        objects: Its annotations in the order of the file.
        where: File and entry, for errors.
    """

    file_name: str
    size: tuple[int, int] | None
    objects: tuple[CocoObject, ...]
    where: str


@dataclass(frozen=True)
class CocoFile:
    """A JSON file of instances.

    Attributes:
        path: The file.
        categories: Names by category id, in increasing order of the id.
        images: Images by image id (path without suffix), in the order of the file.
    """

    path: Path
    categories: dict[int, str]
    images: dict[str, CocoImage]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the categories in increasing order of their ids, without the background."""
        return tuple(name for name in self.categories.values() if name not in BACKGROUND_NAMES)

    def class_ids(self, classes: Classes) -> dict[int, int]:
        """Return the class id of each category that is one of ``classes``."""
        ids = {name: class_id for class_id, name in enumerate(classes.names, start=1)}
        return {category: ids[name] for category, name in self.categories.items() if name in ids}


def read(config: DataConfig, root: Path) -> tuple[Classes, dict[str, tuple[WeakSample, ...]]]:
    """Return classes and samples of COCO files; given class names choose among the categories.

    Raises:
        DataError: If a file is malformed, a class or category does not exist, or a path leads outside the root.
    """
    names = {"train": config.train, "val": config.val}
    files = {s: read_instances(inside(root, name, f"data.{s}")) for s, name in names.items() if name}
    given = read_classes(root, config.classes)
    classes = Classes(given or files["train"].class_names)
    for file in files.values():
        _check_classes(file, classes, chosen=given is not None)
    return classes, {s: _samples(f, classes, root, _image_folder(config, root, s, f.path)) for s, f in files.items()}


def read_instances(path: Path) -> CocoFile:
    """Return the content of a JSON file of instances.

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
        images[image_id_of(name)] = CocoImage(name, _size(record, where), tuple(objects.get(number, ())), where)
    return CocoFile(path, dict(sorted(categories.items())), images)


def _check_classes(file: CocoFile, classes: Classes, *, chosen: bool) -> None:
    """Refuse a class without category and, unless the classes were chosen among them, a category without class."""
    wanted, known = (classes.names, file.class_names) if chosen else (file.class_names, classes.names)
    for name in wanted:
        if name not in known:
            raise unknown_class(name, known, f"{file.path}: {'data.classes' if chosen else 'categories'}")


def _samples(file: CocoFile, classes: Classes, root: Path, folder: Path) -> tuple[WeakSample, ...]:
    class_ids = file.class_ids(classes)
    return tuple(
        WeakSample(image_id, find_image(root, folder, image.file_name, image.where), _tags(image.objects, class_ids))
        for image_id, image in file.images.items()
    )


def _tags(objects: Sequence[CocoObject], class_ids: dict[int, int]) -> Tags:
    """Return the classes of the objects; one that only crowd regions show is unknown."""
    present = frozenset(class_ids[o.category_id] for o in objects if o.category_id in class_ids and not o.crowd)
    crowds = frozenset(class_ids[o.category_id] for o in objects if o.category_id in class_ids and o.crowd)
    return Tags(present, crowds - present)


def _image_folder(config: DataConfig, root: Path, split: str, file: Path) -> Path:
    """Return the folder of images: as configured, else ``images``, ``train``, ``train2017`` (instances_train2017)."""
    if config.images:
        return inside(root, config.images, "data.images")
    names = ("images", split, file.stem.removeprefix("instances_"))
    if (found := next((name for name in names if (root / name).is_dir()), None)) is None:
        raise DataError(
            f"{root}: none of the folders {', '.join(names)} exists; set data.images to the folder of images"
        )
    return inside(root, found, "data.images")


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
    return CocoObject(category, bool(crowd), record.get("segmentation") or None, where)


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
