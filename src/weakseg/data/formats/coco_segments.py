"""Segmentations of COCO files as the tools write them: what cannot be used is said, before anything is rasterised."""

import math
from collections.abc import Sequence

from weakseg.data.regions import near_image
from weakseg.data.values import shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size, check_counts, counts_of_text

Segmentation = list[list[float]] | dict[str, object]
LEAST_NUMBERS = 6


def checked_segmentation(value: object, size: Size | None, where: str) -> tuple[Segmentation | None, str]:
    """Return the polygons or runs of an annotation, and why some or all of them are left out.

    One polygon that is in no list counts as a list of one, and pairs ``[x, y]`` as their numbers. A polygon of one or
    two points has no area: others beside it count without it.

    Args:
        value: ``segmentation`` as it stands in the file.
        size: (rows, columns) of the image; ``None`` where the file does not state them.
        where: File and entry, for errors.

    Returns:
        What can be rasterised, ``None`` where nothing can; and the reason, empty where all of it can.
    """
    if not value:
        return None, ""
    try:
        if isinstance(value, dict):
            return _checked_runs(value, size, where), ""
        if not isinstance(value, list):
            raise DataError(f"segmentation must be polygons, or size and counts, got {shown(value)}; correct it")
        polygons = [_numbers(polygon) for polygon in ([value] if _is_number(value[0]) else value)]
        usable = [p for p in polygons if len(p) >= LEAST_NUMBERS and _checked_polygon(p, size)]
    except DataError as error:
        return None, str(error).removeprefix(f"{where}: ")
    short = next((len(p) for p in polygons if len(p) < LEAST_NUMBERS), None)
    reason = "" if short is None else f"a polygon of {short} numbers has no area: it needs x, y of three points"
    return usable or None, reason


def _checked_runs(value: dict[str, object], size: Size | None, where: str) -> dict[str, object]:
    stated, counts = value.get("size"), value.get("counts")
    if size is not None and stated != list(size):
        raise DataError(f"segmentation of size {shown(stated)}, but the image is {list(size)}; correct it")
    if isinstance(counts, str) and size is not None and len(counts) > 7 * (math.prod(size) + 1):
        raise DataError(f"counts of {len(counts)} characters are more than the image has pixels; correct them")
    if size is not None:
        check_counts(counts_of_text(counts, where) if isinstance(counts, str) else counts, size, where)
    return value


def _numbers(polygon: object) -> list[float]:
    """Return the numbers of a polygon, which may stand in pairs."""
    if not isinstance(polygon, list):
        raise DataError(f"a polygon must be a list of x, y, got {shown(polygon)}; correct it")
    if polygon and all(isinstance(pair, list) and len(pair) == 2 for pair in polygon):
        polygon = [value for pair in polygon for value in pair]
    return polygon


def _checked_polygon(numbers: Sequence[float], size: Size | None) -> bool:
    if len(numbers) % 2:
        raise DataError(f"a polygon is x, y of each point, got {len(numbers)} numbers; correct it")
    if not all(map(_is_number, numbers)):
        wrong = next(value for value in numbers if not _is_number(value))
        raise DataError(f"a polygon has {shown(wrong)} where a number should be; correct it")
    if not near_image(numbers, size):
        raise DataError(f"a polygon reaches farther outside the image of {size} than that is long; correct it")
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
