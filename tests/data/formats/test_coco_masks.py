import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from weakseg.data.formats.coco import CocoObject
from weakseg.data.formats.coco_masks import paint_objects
from weakseg.data.regions import encode_runs
from weakseg.errors import DataError
from weakseg.ops.runs import counts_of_text

SIZE = (4, 6)


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


masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


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
def test_refused(segmentation: object, message: str) -> None:
    with pytest.raises(DataError, match=r"coco\.json: annotations\[3\]: .*" + message):
        encode_runs(segmentation, SIZE, "coco.json: annotations[3]")


def test_order_of_painting_is_by_size_not_by_list() -> None:
    def square(side: int, category: int, *, crowd: bool = False) -> CocoObject:
        return CocoObject(category, crowd, [[0, 0, side, 0, side, side, 0, side]], "x")

    objects = [square(1, 30), square(3, 10), square(2, 20, crowd=True), square(4, 40)]
    expected = np.zeros((4, 4), np.uint8)
    expected[:3, :3], expected[:2, :2], expected[0, 0] = 1, 255, 3  # category 40 is not chosen
    np.testing.assert_array_equal(paint_objects(objects, {10: 1, 20: 2, 30: 3}, (4, 4)), expected)


def test_no_objects() -> None:
    painted = paint_objects([], {}, SIZE)
    assert painted.shape == SIZE and painted.dtype == np.uint8 and not painted.any()


def test_size_beyond_the_limit() -> None:
    with pytest.raises(DataError, match=r"truth of 20000 x 20000 pixels is more than the limit of 100,000,000"):
        paint_objects([], {}, (20_000, 20_000))
