"""Outlines and painted pixels become COCO's compressed runs, and runs become pixels, by pycocotools."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from weakseg.data.annotations import IGNORED, Drawn, LabelKind, Position, Region
from weakseg.data.image import MAX_PIXELS
from weakseg.data.values import shown
from weakseg.errors import DataError
from weakseg.ops.raster import brush_mask
from weakseg.ops.runs import Size, as_coco, check_counts, counts_of_text, encode_masks, run_areas

Runs = dict[str, Any]
MAX_OUTLINE = 2_000_000  # pixels that the outlines of one object run along: ten times a coast on the largest photograph


def check_size(size: Size, where: str) -> Size:
    """Return (rows, columns) of a photograph as a label file states them.

    Raises:
        DataError: If a side is less than 1, or there are more than ``MAX_PIXELS`` pixels.
    """
    if min(size) < 1:
        raise DataError(f"{where}: height {size[0]} and width {size[1]} must be at least 1; correct them")
    if math.prod(size) > MAX_PIXELS:
        raise DataError(
            f"{where}: {size[0]} x {size[1]} pixels: more than the limit of {MAX_PIXELS:,}; correct the size"
        )
    return size


def encode_runs(segmentation: object, size: Size, where: str) -> Runs:
    """Return a segmentation as compressed runs; what pycocotools would read past its memory is refused.

    Args:
        segmentation: List of polygons ``[x, y, x, y, ...]``, or ``{"size": [rows, columns], "counts": ...}`` with
            counts as list or string, column by column, the first run of zeros.
        size: (rows, columns) of the image.
        where: File and entry, for errors.

    Raises:
        DataError: If it is malformed or of another size, the size is absurd, or the outlines are longer than
            ``MAX_OUTLINE``.
    """
    check_size(size, where)
    if isinstance(segmentation, list):
        polygons = [_polygon(values, size, where) for values in segmentation]
        if (length := sum(map(_length, polygons))) > MAX_OUTLINE:
            raise DataError(
                f"{where}: outlines of {length:.6g} pixels, more than the limit of {MAX_OUTLINE:,}; draw anew"
            )
        merged: Runs = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
        return merged
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= set(segmentation):
        raise DataError(
            f"{where}: segmentation must be polygons, or size and counts, got {shown(segmentation)}; correct it"
        )
    if segmentation["size"] != list(size):
        raise DataError(
            f"{where}: segmentation of size {segmentation['size']!r}, but the image is {list(size)}; correct it"
        )
    counts = segmentation["counts"]
    check_counts(counts_of_text(counts, where) if isinstance(counts, str) else counts, size, where)
    runs: Runs = (
        {"size": list(size), "counts": counts.encode()}
        if isinstance(counts, str)
        else coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    )
    return runs


def runs_of_polygons(rings: Sequence[Sequence[Position]], size: Size, where: str) -> bytes:
    """Return the pixels inside any of the rings, as COCO rasters polygons; what lies outside the image is cut off.

    Args:
        rings: At least one closed outline of at least three (row, column) positions, none farther outside than the
            image is long; they are united, so that a ring within another makes no hole.
        size: (rows, columns) of the image.
        where: File and entry, for errors.

    Raises:
        DataError: If there is no ring, a ring is none, or the size is absurd.
    """
    if not rings:
        raise DataError(f"{where}: a region needs at least one outline, got none; add it, or remove the entry")
    flat = [[value for row, column in ring for value in (column, row)] for ring in rings]
    return _counts(encode_runs(flat, check_size(size, where), where))


@lru_cache(maxsize=4096)
def runs_of_brush(path: tuple[Position, ...], radius: float, size: Size, where: str) -> bytes:
    """Return the pixels whose centres are within ``radius`` of a line, cut at the borders of the image.

    Args:
        path: At least one (row, column) position.
        radius: In pixels, above 0.
        size: (rows, columns) of the image.
        where: File and entry, for errors.

    Raises:
        DataError: If the size is absurd.
    """
    return runs_of_mask(brush_mask(path, check_size(size, where), radius))


def runs_of_mask(mask: NDArray[np.bool_]) -> bytes:
    """Return the runs of an ``(H, W)`` mask; holes and separate parts are kept."""
    return encode_masks(np.asarray(mask, np.bool_)[None])[0]


def whole_runs(size: Size) -> bytes:
    """Return the runs of all pixels of an image."""
    return _counts(encode_runs({"size": list(size), "counts": [0, math.prod(size)]}, size, "region"))


def mask_of_runs(runs: bytes, size: Size) -> NDArray[np.bool_]:
    """Return the ``(H, W)`` mask that runs stand for.

    Raises:
        DataError: If the runs do not cover exactly the pixels of ``size``: pycocotools would write past its memory.
    """
    segmentation = {"size": list(check_size(size, "region")), "counts": runs.decode("latin-1")}
    mask: NDArray[np.bool_] = coco_mask.decode(encode_runs(segmentation, size, "region")).astype(bool)
    return mask


def unite_runs(parts: Sequence[bytes], size: Size) -> bytes:
    """Return the pixels that are in any of the parts, all of which were made for ``size``."""
    return _counts(coco_mask.merge(as_coco(parts, size)))


def count_pixels(runs: bytes, size: Size) -> int:
    """Return how many pixels runs that were made for ``size`` cover."""
    return run_areas([runs], size)[0]


def place_crop(crop: NDArray[np.bool_], corner: tuple[int, int], size: Size) -> NDArray[np.bool_]:
    """Return the ``(H, W)`` mask of ``size`` with a crop whose first pixel is ``corner``, cut at the borders."""
    (top, left), (rows, columns) = corner, size
    mask = np.zeros(size, np.bool_)
    inside = crop[max(-top, 0) : max(rows - top, 0), max(-left, 0) : max(columns - left, 0)]
    if inside.size:
        top, left = max(top, 0), max(left, 0)
        mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return mask


def near_image(numbers: Sequence[float], size: Size | None) -> bool:
    """Return whether coordinates are finite and, where the size is known, none farther outside than that is long."""
    low, high = (-max(size), 2 * max(size)) if size else (-1e300, 1e300)
    return all(low <= number <= high for number in numbers)


def _polygon(values: object, size: Size, where: str) -> list[float]:
    """Return a checked polygon: at least three points, none farther outside than the image is long."""
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2:
        raise DataError(f"{where}: a polygon needs x, y of at least three points, got {values!r:.60}; correct it")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not near_image([value], size):
            raise DataError(f"{where}: polygon coordinate {value!r:.60} is not near the image of {size}; correct it")
    return [float(value) for value in values]


def _length(polygon: Sequence[float]) -> float:
    """Return the steps of a closed outline to the next pixel, straight or aslant."""
    points = np.reshape(polygon, (-1, 2))
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())


def _counts(runs: Runs) -> bytes:
    """Return the compressed counts of a pycocotools dictionary."""
    counts = runs["counts"]
    assert isinstance(counts, bytes)
    return counts


def is_partial(drawn: Drawn) -> bool:
    """Return whether not all that a photograph shows is outlined: a region to be ignored lies below all others."""
    first = drawn.regions[0] if drawn.regions else None
    return first is not None and first.class_id == IGNORED and first.runs == whole_runs(first.size)


def outlines_of(drawn: Drawn) -> tuple[Region, ...]:
    """Return the regions that somebody drew, those to be ignored among them."""
    return drawn.regions[1:] if is_partial(drawn) else drawn.regions


def is_whole(drawn: Drawn) -> bool:
    """Return whether regions decide every pixel, as an accepted mask does: one of them is all of the photograph."""
    return any(one.class_id != IGNORED and one.runs == whole_runs(one.size) for one in drawn.regions)


def deciding(drawn: Drawn) -> LabelKind:
    """Return the strongest kind of what decides where no region does; ``regions`` where they say all."""
    if is_whole(drawn):
        return "regions"
    if drawn.open != Drawn() or not drawn.regions:
        return drawn.open.strongest
    return "tags" if is_partial(drawn) else "regions"
