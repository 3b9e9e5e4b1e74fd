"""COCO annotations become boxes, points and regions."""

from weakseg.data.annotations import Shape
from weakseg.data.formats.coco_objects import CocoObject
from weakseg.data.regions import encode_runs
from weakseg.data.values import as_list, as_number
from weakseg.errors import DataError


def shapes_of(item: CocoObject, label: str | None, size: tuple[int, int] | None, labels: str) -> list[Shape]:
    """Return the shapes of one annotation.

    Args:
        item: The annotation.
        label: Name of its class; ``None`` where the class is to be ignored.
        size: (rows, columns) of the photograph.
        labels: The kind that is wanted; ``auto``: boxes and points.

    Returns:
        Its box (crowds have none), a point at the centre of the pixel of each visible keypoint, or its region, which
        is one to be ignored if it is a crowd's or of a class to be ignored.

    Raises:
        DataError: If it is malformed, or the size that a region needs is missing.
    """
    ignored = item.crowd or label is None
    if labels == "regions" and item.segmentation:
        return [_region(item, label or "", size, ignored)]
    if ignored or label is None:
        return []
    boxes = _box(item, label) if labels in ("auto", "boxes") else []
    return boxes + (_points(item, label) if labels in ("auto", "points") else [])


def _region(item: CocoObject, label: str, size: tuple[int, int] | None, ignored: bool) -> Shape:
    if size is None:
        raise DataError(f"{item.where}: its image has no 'height' and 'width'; add them, masks need them")
    counts = encode_runs(item.segmentation, size, item.where)["counts"]
    assert isinstance(counts, bytes)
    return Shape("region", label, (), item.where, size, counts, ignored)


def _box(item: CocoObject, label: str) -> list[Shape]:
    if item.box is None:
        return []
    values = [as_number(value, "bbox", item.where) for value in as_list(item.box, "bbox", item.where)]
    if len(values) != 4:
        raise DataError(f"{item.where}: bbox must be x, y, width, height, got {len(values)} values; correct it")
    left, top, width, height = values
    return [Shape("box", label, ((top, left), (top + height, left + width)), item.where)]


def _points(item: CocoObject, label: str) -> list[Shape]:
    """Return a point for each keypoint whose visibility is 1 (covered) or 2."""
    if item.keypoints is None:
        return []
    values = [as_number(value, "keypoints", item.where) for value in as_list(item.keypoints, "keypoints", item.where)]
    if len(values) % 3:
        raise DataError(f"{item.where}: keypoints are x, y, visibility each, got {len(values)} values; correct them")
    triples = zip(values[::3], values[1::3], values[2::3], strict=True)
    visible = [(row, column) for column, row, visibility in triples if visibility > 0]
    return [
        Shape("point", label, ((row + 0.5, column + 0.5),), f"{item.where}: keypoint {number}")
        for number, (row, column) in enumerate(visible)
    ]
