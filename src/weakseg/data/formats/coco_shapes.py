"""COCO annotations become boxes, points and regions."""

from collections.abc import Callable, Mapping, Sequence

from weakseg.data.annotations import AnnotatedImage, Dropped, Position, Shape
from weakseg.data.formats.coco_objects import CocoImage, CocoObject, Key
from weakseg.data.formats.shapes import Unusable, box_around, points_at, region_inside, usable_shapes
from weakseg.data.regions import encode_runs
from weakseg.data.values import as_list, as_number
from weakseg.errors import DataError
from weakseg.ops.runs import Size

Names = Mapping[Key, str | None]


def annotated(image: CocoImage, names: Names, labels: str) -> AnnotatedImage:
    """Return what a file says of one image, in the names of its classes.

    Args:
        image: The image.
        names: Names of the categories that count; ``None`` where one is to be ignored.
        labels: The kind that is wanted; ``auto``: boxes and points.

    Returns:
        The box of each object, a point at the centre of the pixel of each visible keypoint, or its region. Crowds have
        regions alone, to be ignored, and their class is unknown. Where there are regions, an object that has none makes
        its box one to be ignored, so that it does not become background.
    """
    objects = [item for item in image.objects if item.category_id in names]
    plain = [item for item in objects if not item.crowd and names[item.category_id] is not None]
    dropped = dict(image.dropped)
    shapes: list[Shape] = []
    if labels in ("auto", "boxes"):
        shapes += _read(plain, names, box_of, "", dropped)
    if labels in ("auto", "points"):
        shapes += _read(plain, names, points_of, ": keypoints", dropped)
    if labels == "regions":
        shapes += _regions(objects, names, image, dropped)
    return AnnotatedImage(
        image.file_name,
        tuple(shapes),
        image.where,
        frozenset(name for item in plain if (name := names[item.category_id])),
        image.size,
        frozenset(name for item in objects if item.crowd and (name := names[item.category_id])),
        dropped,
    )


def box_of(item: CocoObject, label: str) -> list[Shape]:
    """Return the box of an annotation, if it has one.

    Raises:
        DataError: If it is malformed.
        Unusable: If it has no area.
    """
    return [box_around(label, _corners(item), item.where)] if item.box is not None else []


def points_of(item: CocoObject, label: str) -> list[Shape]:
    """Return a point for each keypoint whose visibility is 1 (covered) or 2.

    Raises:
        DataError: If they are malformed.
    """
    if item.keypoints is None:
        return []
    values = [as_number(value, "keypoints", item.where) for value in as_list(item.keypoints, "keypoints", item.where)]
    if len(values) % 3:
        raise DataError(f"{item.where}: keypoints are x, y, visibility each, got {len(values)} values; correct them")
    triples = zip(values[::3], values[1::3], values[2::3], strict=True)
    visible = [(row + 0.5, column + 0.5) for column, row, visibility in triples if visibility > 0]
    return [
        point
        for number, position in enumerate(visible)
        for point in points_at(label, [position], f"{item.where}: keypoint {number}")
    ]


def region_of_object(item: CocoObject, label: str | None, size: Size | None) -> Shape:
    """Return the region of an annotation, one to be ignored if it is a crowd's or of a class to be ignored.

    Raises:
        Unusable: If the size of its image is missing, or the segmentation is malformed.
    """
    ignored = item.crowd or label is None
    try:
        if size is None:
            raise DataError("its image has no 'height' and 'width'; add them, masks need them")
        counts = encode_runs(item.segmentation, size, item.where)["counts"]
    except DataError as error:
        raise Unusable(str(error).removeprefix(f"{item.where}: "), certain=not ignored) from error
    assert isinstance(counts, bytes)
    return Shape("region", label or "", (), item.where, size, counts, ignored)


def _read(
    items: Sequence[CocoObject],
    names: Names,
    read: Callable[[CocoObject, str], list[Shape]],
    part: str,
    dropped: dict[str, Dropped],
) -> list[Shape]:
    entries = [(f"{item.where}{part}", item) for item in items]
    return usable_shapes(
        entries, lambda item, _: read(item, names[item.category_id] or ""), lambda item: _labels(item, names), dropped
    )


def _labels(item: CocoObject, names: Names) -> frozenset[str]:
    return frozenset({name} if (name := names[item.category_id]) else ())


def _regions(objects: Sequence[CocoObject], names: Names, image: CocoImage, dropped: dict[str, Dropped]) -> list[Shape]:
    """Return all regions, below them those to be ignored of objects that have none."""
    outlined = [(item.where, item) for item in objects if item.segmentation]
    regions = usable_shapes(
        outlined,
        lambda item, _: [region_of_object(item, names[item.category_id], image.size)],
        lambda item: _labels(item, names),
        dropped,
    )
    if image.size is None or not any(not region.ignored for region in regions):
        return regions
    there = {region.where for region in regions}
    open_ = [item for item in objects if item.where not in there]
    unknown = [_left_open(item, names[item.category_id] or "", image.size) for item in open_]
    if any(entry.labels is None for entry in dropped.values()):
        unknown.append(_whole(image.where, image.size))
    return [*unknown, *regions]


def _left_open(item: CocoObject, label: str, size: Size) -> Shape:
    """Return the box of an annotation as a region to be ignored; without one, the whole image."""
    try:
        top_left, bottom_right = box_around("", _corners(item), item.where).positions
        corners = [top_left, (top_left[0], bottom_right[1]), bottom_right, (bottom_right[0], top_left[1])]
        return region_inside(label, corners, size, item.where, ignored=True)
    except (DataError, Unusable):
        return _whole(item.where, size, label)


def _whole(where: str, size: Size, label: str = "") -> Shape:
    corners = [(0.0, 0.0), (0.0, float(size[1])), (float(size[0]), float(size[1])), (float(size[0]), 0.0)]
    return region_inside(label, corners, size, where, ignored=True)


def _corners(item: CocoObject) -> tuple[Position, Position]:
    """Return two opposite corners of ``bbox``."""
    values = [as_number(value, "bbox", item.where) for value in as_list(item.box, "bbox", item.where)]
    if len(values) != 4:
        raise DataError(f"{item.where}: bbox must be x, y, width, height, got {len(values)} values; correct it")
    left, top, width, height = values
    return (top, left), (top + height, left + width)
