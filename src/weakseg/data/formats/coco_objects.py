"""Entries of a COCO file, before their shapes are read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CocoObject:
    """One annotation.

    Attributes:
        category_id: Category in the file's own numbers.
        crowd: Whether it is a region of many objects that nobody told apart (``iscrowd``).
        segmentation: Polygons or runs as they stand in the file, unchecked; ``None`` where it has none.
        where: File and entry, for errors.
        box: ``bbox`` as it stands in the file, unchecked; ``None`` where it has none.
        keypoints: Likewise.
    """

    category_id: int
    crowd: bool
    segmentation: object
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
    """

    file_name: str
    size: tuple[int, int] | None
    objects: tuple[CocoObject, ...]
    where: str
    number: int = 0
