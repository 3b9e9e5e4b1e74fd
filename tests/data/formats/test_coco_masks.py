import numpy as np
import pytest

from weakseg.data.formats.coco_masks import paint_objects
from weakseg.data.formats.coco_objects import CocoObject
from weakseg.errors import DataError

SIZE = (4, 6)


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
