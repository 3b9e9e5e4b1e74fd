"""Segmentations of COCO files as the tools write them."""

import time

import pytest

from weakseg.data.formats.coco_segments import checked_segmentation
from weakseg.data.regions import MAX_OUTLINE, encode_runs
from weakseg.errors import DataError

SIZE = (48, 64)
SQUARE = [16, 12, 48, 12, 48, 36, 16, 36]
PAIRS = [[16, 12], [48, 12], [48, 36], [16, 36]]
RUNS = {"size": [48, 64], "counts": [1, 2, 3069]}
NO_AREA = "a polygon of 4 numbers has no area"


@pytest.mark.parametrize(
    ("given", "kept", "reason"),
    [
        (None, None, ""),
        ([], None, ""),
        ({}, None, ""),
        ([SQUARE], [SQUARE], ""),
        (SQUARE, [SQUARE], ""),  # one polygon, not in a list
        ([PAIRS], [SQUARE], ""),
        ([[16, 12, 48, 36]], None, NO_AREA),  # corners of a box
        ([SQUARE, [16, 12, 48, 36]], [SQUARE], NO_AREA),
        ([SQUARE, []], [SQUARE], "a polygon of 0 numbers has no area"),
        (RUNS, RUNS, ""),
        ([SQUARE, [1, 2, 3, 4, 5, 6, 7]], None, "a polygon is x, y of each point, got 7 numbers"),
        ([[1, 2, 3, 4, 5, "6"]], None, "a polygon has '6' where a number should be"),
        ([[1, 2, 3, 4, 5, True]], None, "a polygon has True where a number should be"),
        ([[1, 2, 3, 4, 5, float("nan")]], None, "reaches farther outside"),
        ([[1, 2, 3, 4, 5, 10**400]], None, "reaches farther outside"),
        (["polygon"], None, "a polygon must be a list of x, y, got 'polygon'"),
        ("polygon", None, "segmentation must be polygons, or size and counts, got 'polygon'"),
        ({"size": [64, 48], "counts": []}, None, "segmentation of size a list of 2, but the image is [48, 64]"),
        ({"size": [10**9, 10**9], "counts": "0"}, None, "segmentation of size"),
        ({"size": [48, 64], "counts": [3073]}, None, "counts cover 3073 pixels, but the image has 3072"),
        ({"size": [48, 64], "counts": [0] * 4000 + [3072]}, None, "more than the image has pixels"),
        ({"size": [48, 64], "counts": "0" * 30_000}, None, "more than the image has pixels"),
        ({"size": [48, 64], "counts": "0P"}, None, "counts end within a number"),
        ({"size": [48, 64]}, None, "run lengths of at least 0, got None"),
    ],
)
def test_what_is_kept(given: object, kept: object, reason: str) -> None:
    found, why = checked_segmentation(given, SIZE, "f")
    assert found == kept and reason in why and bool(why) == bool(reason)
    if found:
        encode_runs(found, SIZE, "f")


@pytest.mark.parametrize("size", [(10**9, 10**9), (1, 10**9), (30_000, 30_000)])
def test_absurd_sizes_are_refused_before_anything_is_rasterised(size: tuple[int, int]) -> None:
    for segmentation in ([SQUARE], {"size": list(size), "counts": [size[0] * size[1]]}):
        with pytest.raises(DataError, match="more than the limit of 100,000,000"):
            encode_runs(segmentation, size, "f")


def test_endless_outlines_are_refused_before_anything_is_rasterised() -> None:
    size = (1, 10**8)
    begun = time.perf_counter()
    with pytest.raises(DataError, match=f"more than the limit of {MAX_OUTLINE:,}"):
        encode_runs([[0, 0, 10**8, 0, 10**8, 1, 0, 1]], size, "f")
    zigzag = [value for step in range(10_000) for value in (0 if step % 2 else 5000, step / 2)]
    with pytest.raises(DataError, match="more than the limit"):
        encode_runs([zigzag], (5000, 5000), "f")
    assert time.perf_counter() - begun < 1
