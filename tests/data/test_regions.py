import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from weakseg.data.regions import (
    check_size,
    count_pixels,
    encode_runs,
    mask_of_runs,
    place_crop,
    runs_of_mask,
    runs_of_polygons,
    unite_runs,
)
from weakseg.errors import DataError
from weakseg.ops.runs import counts_of_text

SIZE = (4, 6)
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def outline(top: float, left: float, bottom: float, right: float) -> list[tuple[float, float]]:
    return [(top, left), (top, right), (bottom, right), (bottom, left)]


@given(mask=masks)
def test_masks_survive_runs(mask: NDArray[np.bool_]) -> None:
    runs = runs_of_mask(mask)
    np.testing.assert_array_equal(mask_of_runs(runs, mask.shape), mask)
    assert count_pixels(runs, mask.shape) == mask.sum()
    view = np.ascontiguousarray(mask.T).T  # any layout of memory, any integer type
    assert runs_of_mask(view) == runs_of_mask(mask.astype(np.uint8)) == runs


@given(data=st.data())
def test_rectangles_are_exact(data: st.DataObject) -> None:
    top, bottom = sorted(data.draw(st.lists(st.integers(-4, 8), min_size=2, max_size=2, unique=True)))
    left, right = sorted(data.draw(st.lists(st.integers(-6, 12), min_size=2, max_size=2, unique=True)))
    expected = np.zeros(SIZE, bool)
    expected[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    for ring in (outline(top, left, bottom, right), outline(top, left, bottom, right)[::-1]):
        np.testing.assert_array_equal(mask_of_runs(runs_of_polygons([ring], SIZE, "x"), SIZE), expected)


def test_rings_are_united() -> None:
    runs = runs_of_polygons([outline(0, 0, 4, 2), outline(1, 4, 3, 6), outline(1, 0, 2, 1)], SIZE, "x")
    expected = np.zeros(SIZE, bool)
    expected[:, :2] = expected[1:3, 4:] = True  # the third ring lies within the first, and makes no hole
    np.testing.assert_array_equal(mask_of_runs(runs, SIZE), expected)


@given(pair=array_shapes(min_dims=2, max_dims=2, max_side=8).flatmap(lambda s: st.tuples(*[arrays(np.bool_, s)] * 2)))
def test_union(pair: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> None:
    first, second = pair
    united = unite_runs([runs_of_mask(first), runs_of_mask(second)], first.shape)
    np.testing.assert_array_equal(mask_of_runs(united, first.shape), first | second)


@given(crop=masks, top=st.integers(-15, 8), left=st.integers(-15, 10))
def test_crop_is_cut_at_the_borders(crop: NDArray[np.bool_], top: int, left: int) -> None:
    wide = np.zeros((60, 60), bool)
    wide[20 + top :, 20 + left :][: crop.shape[0], : crop.shape[1]] = crop
    np.testing.assert_array_equal(place_crop(crop, (top, left), SIZE), wide[20:24, 20:26])


@pytest.mark.parametrize(
    ("rings", "message"),
    [
        ([], "at least one outline, got none"),
        ([[]], "at least three points"),
        ([[(0, 0), (1, 1)]], "at least three points"),
        ([[(0, 0), (0, 4), (1e9, 4)]], "coordinate 1000000000.0 is not near the image"),
        ([[(0, 0), (0, 4), (float("nan"), 4)]], "coordinate nan is not near"),
        ([[(0, 0), (0, 4), (float("-inf"), 4)]], "coordinate -inf is not near"),
    ],
)
def test_refused_outlines(rings: list[list[tuple[float, float]]], message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.json: shapes\[3\]: .*{message}"):
        runs_of_polygons(rings, SIZE, "a.json: shapes[3]")


@pytest.mark.parametrize("runs", [b"", b"0h", b"\xff", b"o" * 40, runs_of_mask(np.ones((40, 60), bool))])
def test_runs_that_do_not_fit_are_refused_before_they_are_decoded(runs: bytes) -> None:
    with pytest.raises(DataError, match="region: counts"):
        mask_of_runs(runs, SIZE)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((0, 5), "height 0 and width 5 must be at least 1"),
        ((5, -1), "height 5 and width -1"),
        ((20_000, 20_000), "20000 x 20000 pixels: more than the limit of 100,000,000"),
        ((1, 10**400), ".*more than"),
    ],
)
def test_absurd_sizes(size: tuple[int, int], message: str) -> None:
    with pytest.raises(DataError, match=f"x: {message}"):
        check_size(size, "x")
    with pytest.raises(DataError, match=f"x: {message}"):
        runs_of_polygons([outline(0, 0, 1, 1)], size, "x")
    with pytest.raises(DataError, match=f"region: {message}"):
        mask_of_runs(b"0", size)


def test_largest_size() -> None:
    assert check_size((10_000, 10_000), "x") == (10_000, 10_000)


def runs_of(mask: NDArray[np.bool_]) -> list[int]:
    """Return the run lengths down the columns, the first of zeros; the slow and obvious way."""
    counts, value = [0], False
    for pixel in mask.ravel(order="F").tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def decode(segmentation: object, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    return coco_mask.decode(encode_runs(segmentation, size, "x")).astype(bool)


@given(mask=masks)
def test_runs_as_list_and_as_text_give_the_mask(mask: NDArray[np.bool_]) -> None:
    counts = runs_of(mask)
    text = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert counts_of_text(text, "x") == counts
    for given_counts in (counts, text):
        np.testing.assert_array_equal(decode({"size": list(mask.shape), "counts": given_counts}, mask.shape), mask)


@settings(deadline=None)
@given(counts=st.lists(st.integers(1, 2**23), min_size=1, max_size=12))
def test_long_runs_as_text(counts: list[int]) -> None:
    # pycocotools keeps six characters a run and none for the end of the text, so runs of six corrupt its memory
    run = coco_mask.frPyObjects({"size": [1, 1], "counts": counts}, 1, 1)
    assert counts_of_text(run["counts"].decode(), "x") == counts


def test_polygons_of_one_object_are_united() -> None:
    left, right = [0, 0, 2, 0, 2, 4, 0, 4], [4, 1, 6, 1, 6, 3, 4, 3]
    expected = np.zeros(SIZE, bool)
    expected[:, :2] = expected[1:3, 4:] = True
    np.testing.assert_array_equal(decode([left, right]), expected)


def test_polygon_that_reaches_outside_is_cut() -> None:
    np.testing.assert_array_equal(decode([[-3.5, -2, 9, -2, 9, 7.5, -3.5, 7.5]]), np.ones(SIZE, bool))


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "segmentation must be polygons, or size and counts, got None"),
        ("polygon", "segmentation must be polygons"),
        ({"counts": [24]}, "segmentation must be polygons, or size and counts"),
        ({"size": [6, 4], "counts": [24]}, r"segmentation of size \[6, 4\], but the image is \[4, 6\]"),
        ({"size": [4, 6], "counts": [3, 2, 100]}, "counts cover 105 pixels, but the image has 24"),
        ({"size": [4, 6], "counts": [3, 2]}, "counts cover 5 pixels, but the image has 24"),
        ({"size": [4, 6], "counts": []}, "counts cover 0 pixels"),
        ({"size": [4, 6], "counts": [-1, 25]}, "run lengths of at least 0"),
        ({"size": [4, 6], "counts": [2**40]}, f"counts cover {2**40} pixels"),
        ({"size": [4, 6], "counts": [24.0]}, "run lengths"),
        ({"size": [4, 6], "counts": None}, "run lengths of at least 0, got None"),
        ({"size": [4, 6], "counts": ""}, "counts cover 0 pixels"),
        ({"size": [4, 6], "counts": "0P"}, "counts end within a number"),
        ({"size": [4, 6], "counts": "\x00"}, "counts hold"),
        ({"size": [4, 6], "counts": "ü"}, "counts hold 'ü'"),
        ({"size": [4, 6], "counts": "o" * 40}, "counts hold 'o'"),
        ({"size": [4, 6], "counts": "O"}, "run lengths of at least 0"),
        ([[0, 0, 4, 4]], "at least three points"),
        ([[0, 0, 4, 4, 1]], "at least three points"),
        ([[0, 0, 4, 4, 1, 1, 1]], "at least three points"),
        ([[]], "at least three points"),
        ([5], "at least three points"),
        ([[0, 0, 4, 4, 1, 1e9]], "coordinate 1000000000.0 is not near the image"),
        ([[0, 0, 4, 4, 1, float("nan")]], "coordinate nan is not near"),
        ([[0, 0, 4, 4, 1, "1"]], "coordinate '1' is not near"),
    ],
)
def test_refused_segmentations(segmentation: object, message: str) -> None:
    with pytest.raises(DataError, match=r"coco\.json: annotations\[3\]: .*" + message):
        encode_runs(segmentation, SIZE, "coco.json: annotations[3]")
