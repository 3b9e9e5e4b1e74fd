"""What is known of photographs, and what masks tell of it."""

import numpy as np
import pytest

from weakseg.errors import DataError
from weakseg.stages.known import KnownClass, KnownPhotograph, count_parts, uncertain_region


def _mask(*frames: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    for left, top, right, bottom in frames:
        mask[top:bottom, left:right] = True
    return mask


def test_the_region_is_the_largest_part_where_two_masks_differ() -> None:
    one, other = _mask((2, 3, 12, 9), (20, 15, 22, 17)), _mask((6, 3, 12, 9))
    assert uncertain_region(one, other) == (2, 3, 6, 9)
    assert uncertain_region(other, one) == (2, 3, 6, 9)
    assert uncertain_region(one, one) is None


@pytest.mark.parametrize(
    ("frames", "parts"),
    [((), 1), (((0, 0, 5, 5),), 1), (((0, 0, 5, 5), (10, 10, 15, 15)), 2), (((0, 0, 10, 10), (20, 15, 22, 17)), 1)],
)
def test_parts_that_hold_a_tenth_are_counted(frames: tuple[tuple[int, int, int, int], ...], parts: int) -> None:
    assert count_parts(_mask(*frames)) == parts


def test_the_strongest_label_is_the_stronger_of_both() -> None:
    assert KnownClass("cat").strongest == "tag"
    assert KnownClass("cat", drawn="box").strongest == "box"
    assert KnownClass("cat", made_from="stroke", drawn="click").strongest == "stroke"


@pytest.mark.parametrize("values", [{"reliability": 1.5}, {"share": -0.1}, {"disagreement": 2.0}, {"objects": 0}])
def test_values_that_no_mask_has_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(DataError, match=f"class 'cat': {next(iter(values))}"):
        KnownClass("cat", **values)  # type: ignore[arg-type]


def test_a_class_that_is_given_twice_is_refused() -> None:
    with pytest.raises(DataError, match="image 'a': class 'cat' is given twice"):
        KnownPhotograph("a", "tags", (KnownClass("cat"), KnownClass("cat")))
