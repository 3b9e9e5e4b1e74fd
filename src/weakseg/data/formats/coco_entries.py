"""The lists of a COCO file become entries; one that cannot be used is left out and named, and the others go on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from weakseg.data.annotations import Dropped
from weakseg.data.formats.coco_objects import CocoImage, CocoObject, Key
from weakseg.data.formats.coco_segments import checked_segmentation
from weakseg.data.paths import image_id_of
from weakseg.data.regions import check_size
from weakseg.data.values import as_text, shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size

Record = dict[str, object]
_LONGEST_KEY = 18  # digits of a text that counts as an integer


@dataclass(frozen=True)
class Category:
    """One category: its name as written, and that of the category above it (``supercategory``)."""

    name: str
    above: str


@dataclass
class Found:
    """What is read of the lists.

    Attributes:
        path: The file.
        document: Its content.
        categories: By their key.
        images: By image id, still without annotations.
        image_ids: Image id by the key of the entry.
        skipped: Reason by file and entry of what is left out.
    """

    path: Path
    document: Record
    categories: dict[Key, Category] = field(default_factory=dict)
    images: dict[str, CocoImage] = field(default_factory=dict)
    image_ids: dict[Key, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def records(self, key: str) -> Iterator[tuple[str, Record]]:
        """Yield (file and entry, record) of each record in the list ``key``.

        Raises:
            DataError: If there is no such list.
        """
        records = self.document.get(key)
        if not isinstance(records, list):
            raise DataError(f"{self.path}: the list {key!r} is missing; give an instances file in COCO format")
        for number, record in enumerate(records):
            where = f"{self.path}: {key}[{number}]"
            if isinstance(record, dict):
                yield where, record
            else:
                self.skipped[where] = f"expected an object, got {shown(record)}; correct the entry"


def read_entries(path: Path, document: Record) -> Found:
    """Return categories and images of a file.

    Of two categories or images with one key none can be told from the other: both are left out, unless they are equal.

    Raises:
        DataError: If a list is missing, or a path leads outside.
    """
    found = Found(path, document)
    taken: dict[Key, str] = {}
    for where, record in found.records("categories"):
        try:
            category = Category(as_text(record.get("name"), "'name'", where), str(record.get("supercategory") or ""))
            key = _new_key(record, where, taken, found.categories, category)
        except DataError as error:
            found.skipped[where] = str(error).removeprefix(f"{where}: ")
        else:
            found.categories[key] = category
    taken = {}
    for where, record in found.records("images"):
        try:
            _add_image(record, where, taken, found)
        except DataError as error:
            found.skipped[where] = str(error).removeprefix(f"{where}: ")
    return found


def read_objects(found: Found, names: Mapping[Key, str | None]) -> dict[str, CocoImage]:
    """Return the images with their annotations.

    Args:
        found: The other lists; receives the reasons of annotations of no image.
        names: Name of each category that is known; ``None`` where it is ignored.
    """
    objects: dict[str, list[CocoObject]] = {}
    dropped: dict[str, dict[str, Dropped]] = {}
    for where, record in found.records("annotations"):
        try:
            image_id = found.image_ids.get(image := key_of(record, "image_id", where))
            if image_id is None:
                raise DataError(f"image_id {shown(image)} is that of no usable image; correct it, or add the entry")
        except DataError as error:
            found.skipped[where] = str(error).removeprefix(f"{where}: ")
            continue
        left_out = dropped.setdefault(image_id, {})
        item = _object(record, names, found.images[image_id].size, where, left_out)
        objects.setdefault(image_id, []).extend([item] if item else [])
    return {
        i: CocoImage(one.file_name, one.size, tuple(objects.get(i, ())), one.where, one.number, dropped.get(i, {}))
        for i, one in found.images.items()
    }


def key_of(record: Record, name: str, where: str) -> Key:
    """Return the key at ``name``: an integer, also where it is written with a decimal point or as text, or a text.

    Raises:
        DataError: If it is missing or something else.
    """
    value = record.get(name)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip():
        digits = value.isascii() and value.isdigit() and len(value) <= _LONGEST_KEY
        return int(value) if digits and str(int(value)) == value else value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise DataError(f"{where}: {name!r} must be an integer or text, got {shown(value)}; add or correct it")


def _new_key(record: Record, where: str, taken: dict[Key, str], known: dict[Key, Category], own: Category) -> Key:
    """Return the key of a category; one that another has makes both unusable."""
    key = key_of(record, "id", where)
    if (other := taken.setdefault(key, where)) != where and known.get(key) != own:
        known.pop(key, None)
        raise DataError(
            f"{where}: id {shown(key)} is that of {other} too, which is left out as well; give each its own"
        )
    return key


def _add_image(record: Record, where: str, taken: dict[Key, str], found: Found) -> None:
    key = key_of(record, "id", where)
    if (other := taken.setdefault(key, where)) != where:
        if (image_id := found.image_ids.pop(key, None)) is not None:
            found.images.pop(image_id, None)
        raise DataError(
            f"{where}: id {shown(key)} is that of {other} too, which is left out as well; give each its own"
        )
    name = _file_name(as_text(record.get("file_name"), "'file_name'", where))
    image_id = image_id_of(name)
    if (same := found.images.get(image_id)) is not None and same.file_name != name:
        raise DataError(f"{where}: {name!r} and {same.file_name!r} have one image id; rename one, or keep one entry")
    found.image_ids[key] = image_id
    number = record["id"]
    written = number if isinstance(number, str) else key
    found.images.setdefault(image_id, CocoImage(name, _size(record, where, found.skipped), (), where, written))


def _file_name(name: str) -> str:
    """Return the path of a photograph; of one on another machine its name."""
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()
    return PurePosixPath(name.replace("\\", "/")).name if absolute else name


def _size(record: Record, where: str, skipped: dict[str, str]) -> Size | None:
    """Return (rows, columns) of an image record; ``None`` where it has none, or none that can be."""
    values = [record.get(key) for key in ("height", "width")]
    if values == [None, None]:
        return None
    try:
        for key, value in zip(("height", "width"), values, strict=True):
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            if not whole or isinstance(value, bool):
                raise DataError(f"{key!r} must be an integer, got {shown(value)}; add or correct it")
        return check_size((int(values[0]), int(values[1])), where)  # type: ignore[call-overload]
    except DataError as error:
        skipped[f"{where}: size"] = str(error).removeprefix(f"{where}: ")
        return None


def _object(
    record: Record, names: Mapping[Key, str | None], size: Size | None, where: str, dropped: dict[str, Dropped]
) -> CocoObject | None:
    """Return one annotation; what of it cannot be used is left out."""
    try:
        category = key_of(record, "category_id", where)
        if category not in names:
            raise DataError(
                f"category_id {shown(category)} is that of no usable category; correct it, or add the entry"
            )
    except DataError as error:
        dropped[where] = Dropped(str(error).removeprefix(f"{where}: "))
        return None
    labels, crowd = frozenset({name} if (name := names[category]) else ()), record.get("iscrowd") or 0
    if crowd not in (0, 1):
        reason = f"iscrowd must be 0 or 1, got {shown(crowd)}; correct it"
        dropped[where] = Dropped(reason, labels, certain=False)
        crowd = 1  # so that it says nothing
    segmentation, reason = checked_segmentation(record.get("segmentation"), size, where)
    if reason:
        dropped[f"{where}: segmentation"] = Dropped(reason, labels, certain=not crowd)
    box, keypoints = (record.get(key) or None for key in ("bbox", "keypoints"))
    return CocoObject(category, bool(crowd), segmentation, where, box, keypoints)
