"""Entries of a COCO file, before their shapes are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from weakseg.data.annotations import Dropped
from weakseg.data.formats.coco_segments import Segmentation

Key = int | str  # of an entry of the file; 1, 1.0 and "1" are one key


@dataclass(frozen=True)
class CocoObject:
    """One annotation.

    Attributes:
        category_id: Category in the file's own keys.
        crowd: Whether it is a region of many objects that nobody told apart (``iscrowd``).
        segmentation: Its polygons or runs, checked; ``None`` where it has none that can be used.
        where: File and entry, for errors.
        box: ``bbox`` as it stands in the file, unchecked; ``None`` where it has none.
        keypoints: Likewise.
    """

    category_id: Key
    crowd: bool
    segmentation: Segmentation | None
    where: str
    box: object = None
    keypoints: object = None


@dataclass(frozen=True)
class CocoImage:
    """One image entry.

    Attributes:
        file_name: Path below the folder of images.
        size: (rows, columns) that the file states; ``None`` where it states none.
        objects: Its annotations in the order of the file.
        where: File and entry, for errors.
        number: Its ``id`` in the file.
        dropped: By file and entry what was left out of its annotations.
    """

    file_name: str
    size: tuple[int, int] | None
    objects: tuple[CocoObject, ...]
    where: str
    number: Key = 0
    dropped: Mapping[str, Dropped] = field(default_factory=dict)
