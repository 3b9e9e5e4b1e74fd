"""COCO: a JSON file of images, categories and their annotations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weakseg.data.annotations import AnnotationTable
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.formats.coco_entries import Category, read_entries, read_objects
from weakseg.data.formats.coco_objects import CocoImage, Key
from weakseg.data.formats.coco_shapes import annotated
from weakseg.data.paths import parse_json, read_text
from weakseg.errors import DataError


@dataclass(frozen=True)
class CocoFile:
    """A JSON file of instances.

    Attributes:
        path: The file.
        categories: Names by category key, integers first, in increasing order, as the class map makes them.
        images: Images by image id (path without suffix), in the order of the file.
        ignored: Categories that the class map ignores; they are not among ``categories``.
        groups: Categories that only gather others, and that no object has.
        skipped: Reason by file and entry of what was left out and is of none of the images.
    """

    path: Path
    categories: dict[Key, str]
    images: dict[str, CocoImage]
    ignored: frozenset[Key] = frozenset()
    groups: frozenset[Key] = frozenset()
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the categories in the order of their keys, without the background and groups."""
        names = (name for key, name in self.categories.items() if key not in self.groups)
        return tuple(dict.fromkeys(name for name in names if name not in BACKGROUND_NAMES))

    def class_ids(self, classes: Classes) -> dict[Key, int]:
        """Return the class id of each category that is one of ``classes``; groups first."""
        ids = {name: class_id for class_id, name in enumerate(classes.names, start=1)}
        keys = sorted(self.categories, key=lambda key: key not in self.groups)
        return {key: ids[self.categories[key]] for key in keys if self.categories[key] in ids}


def read_table(path: Path) -> AnnotationTable:
    """Return boxes, visible keypoints and class names of all images; segmentations are left alone.

    Raises:
        DataError: As ``read_instances``.
    """
    file = read_instances(path)
    images = tuple(annotated(image, file.categories, "auto") for image in file.images.values())
    return AnnotationTable(path, images, file.class_names, file.skipped)


def read_instances(path: Path, class_map: ClassMap | None = None) -> CocoFile:
    """Return the content of a JSON file of instances, with names of categories as ``class_map`` makes them.

    Categories of one name are one class; that which is named as the one above others, and that no object has, is a
    group of them and no class, as Roboflow writes it. Entries that cannot be used are left out.

    Raises:
        DataError: If it is no JSON, or a list of a COCO file is missing.
    """
    document = parse_json(path, read_text(path, "COCO file"))
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected an object with images, annotations and categories; give an instances file")
    found = read_entries(path, document)
    order = sorted(found.categories, key=lambda key: (isinstance(key, str), key))
    targets = {key: (class_map or ClassMap()).target(found.categories[key].name) for key in order}
    images = read_objects(found, targets)
    used = {item.category_id for image in images.values() for item in image.objects}
    return CocoFile(
        path,
        {key: name for key, name in targets.items() if name is not None},
        images,
        frozenset(key for key, name in targets.items() if name is None),
        _groups(found.categories, used),
        found.skipped,
    )


def _groups(categories: Mapping[Key, Category], used: set[Key]) -> frozenset[Key]:
    """Return the categories that no object has, that others stand below, and that stand below none themselves."""
    below = {key: one.above for key, one in categories.items()}
    return frozenset(
        key
        for key, one in categories.items()
        if key not in used
        and one.above in ("", "none", one.name)
        and any(above == one.name for other, above in below.items() if other != key)
    )
