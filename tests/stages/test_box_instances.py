import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from weakseg.data.annotations import Box
from weakseg.errors import ConfigError, ShapeError
from weakseg.settings.instances import Overlap
from weakseg.stages.box_instances import BoxInstances, instances_from_boxes

SIZE = (10, 12)
OVERLAPS: tuple[Overlap, ...] = ("shared", "exclusive", "component")
every_rule = pytest.mark.parametrize("overlap", OVERLAPS)


def labels(*areas: tuple[int, slice, slice]) -> NDArray[np.uint8]:
    found = np.zeros(SIZE, np.uint8)
    for class_id, rows, columns in areas:
        found[rows, columns] = class_id
    return found


def pixels(found: BoxInstances, number: int = 0) -> set[tuple[int, int]]:
    return set(map(tuple, np.argwhere(found.instances.masks[number]).tolist()))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[NDArray[np.uint8], list[Box]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    boxes = []
    for _ in range(draw(st.integers(0, 5))):
        top, left = rng.integers(-2, 9), rng.integers(-2, 11)
        boxes.append(Box(int(rng.integers(1, 3)), top, left, top + rng.integers(1, 9), left + rng.integers(1, 9)))
    return rng.choice(np.array([0, 1, 2, 255], np.uint8), SIZE, p=[0.2, 0.4, 0.35, 0.05]), boxes


@every_rule
def test_one_box_holds_the_pixels_of_its_class(overlap: Overlap) -> None:
    mask = labels((2, slice(2, 6), slice(3, 9)), (1, slice(3, 4), slice(4, 5)))
    found = instances_from_boxes(mask, [Box(2, 1, 2, 5, 12)], overlap=overlap)
    assert pixels(found) == {(r, c) for r in range(2, 5) for c in range(3, 9)} - {(3, 4)}
    assert found.instances.class_ids == (2,) and found.instances.scores == (1,) and not found.dropped
    assert found.instances.boxes == ((1, 2, 5, 12),) and found.instances.image_size == SIZE


def test_overlapping_boxes_of_one_class() -> None:
    """weak-labels.md, 2.6: shared pixels are in both; or in the smaller box."""
    mask = labels((1, slice(0, 4), slice(0, 12)))
    large, small = Box(1, 0, 0, 4, 8), Box(1, 0, 6, 4, 12)
    for boxes, first in (([large, small], 0), ([small, large], 1)):
        shared = instances_from_boxes(mask, boxes)
        assert shared.instances.areas[first] == 32 and shared.instances.areas[1 - first] == 24
        exclusive = instances_from_boxes(mask, boxes, overlap="exclusive")
        assert exclusive.instances.areas[first] == 24 and exclusive.instances.areas[1 - first] == 24
        assert not exclusive.instances.masks.all(0).any()


def test_nested_boxes_of_one_class() -> None:
    mask = labels((1, slice(0, 8), slice(0, 8)))
    boxes = [Box(1, 2, 2, 5, 5), Box(1, 0, 0, 8, 8)]
    assert instances_from_boxes(mask, boxes).instances.areas == (9, 64)
    assert instances_from_boxes(mask, boxes, overlap="exclusive").instances.areas == (9, 55)
    assert instances_from_boxes(mask, boxes[::-1], overlap="exclusive").instances.areas == (55, 9)


@every_rule
def test_nested_boxes_of_two_classes(overlap: Overlap) -> None:
    mask = labels((1, slice(0, 8), slice(0, 8)), (2, slice(2, 5), slice(2, 5)))
    found = instances_from_boxes(mask, [Box(1, 0, 0, 8, 8), Box(2, 2, 2, 5, 5)], overlap=overlap)
    assert found.instances.areas == (55, 9)


def test_of_equal_boxes_the_first_owns_the_pixels() -> None:
    mask = labels((1, slice(0, 4), slice(0, 4)))
    found = instances_from_boxes(mask, [Box(1, 0, 0, 4, 4)] * 2, overlap="exclusive")
    assert found.instances.areas == (16,) and list(found.dropped) == [1]


class TestComponent:
    def test_it_is_the_part_in_the_middle(self) -> None:
        mask = labels((1, slice(4, 6), slice(5, 7)), (1, slice(0, 3), slice(0, 12)))
        found = instances_from_boxes(mask, [Box(1, 0, 0, 10, 12)], overlap="component")
        assert pixels(found) == {(4, 5), (4, 6), (5, 5), (5, 6)}

    def test_of_parts_that_meet_in_the_middle_it_is_the_largest(self) -> None:
        mask = labels((1, slice(4, 5), slice(5, 6)), (1, slice(5, 8), slice(6, 9)))  # they touch at a corner
        found = instances_from_boxes(mask, [Box(1, 0, 0, 10, 12)], overlap="component")
        assert found.instances.areas == (9,)

    def test_without_a_part_in_the_middle_it_is_the_largest(self) -> None:
        mask = labels((1, slice(0, 2), slice(0, 3)), (1, slice(8, 9), slice(0, 4)))
        found = instances_from_boxes(mask, [Box(1, 0, 0, 10, 12)], overlap="component")
        assert found.instances.areas == (6,)

    def test_parts_are_those_inside_of_the_box(self) -> None:
        """Outside of the box the two bars are one object."""
        mask = labels((1, slice(0, 2), slice(0, 12)), (1, slice(6, 8), slice(0, 12)), (1, slice(0, 8), slice(11, 12)))
        found = instances_from_boxes(mask, [Box(1, 0, 0, 9, 8)], overlap="component")
        assert found.instances.areas == (16,)

    @pytest.mark.parametrize(("top", "bottom"), [(-20.0, 3.0), (7.0, 30.0)])
    def test_a_middle_outside_of_the_image(self, top: float, bottom: float) -> None:
        mask = labels((1, slice(0, 10, 3), slice(0, 12, 3)))
        assert instances_from_boxes(mask, [Box(1, top, -3, bottom, 40)], overlap="component").instances.areas == (1,)


@every_rule
@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (Box(1, -5, 0, 0, 4), "no part of it lies inside the image of 10 x 12 pixels"),
        (Box(1, 0, 12, 4, 15), "no part of it lies inside"),
        (Box(1, 3, 3, 3, 5), "no part of it lies inside"),
        (Box(1, 2.5, 3, 2.5, 5), "no part of it lies inside"),
        (Box(3, 0, 0, 10, 12), "none of its pixels is left for class 3"),
    ],
)
def test_boxes_without_object_are_reported(overlap: Overlap, box: Box, reason: str) -> None:
    mask = labels((1, slice(0, 10), slice(0, 12)))
    found = instances_from_boxes(mask, [Box(1, 0, 0, 2, 2), box], overlap=overlap)
    assert len(found.instances) == 1
    assert list(found.dropped) == [1] and reason in found.dropped[1] and "box 1" in found.dropped[1]


@every_rule
@pytest.mark.parametrize(("box", "expected"), [(Box(1, 4, 5, 5, 6), {(4, 5)}), (Box(1, 4.2, 5.3, 4.4, 5.9), {(4, 5)})])
def test_tiny_boxes(overlap: Overlap, box: Box, expected: set[tuple[int, int]]) -> None:
    assert pixels(instances_from_boxes(np.ones(SIZE, np.uint8), [box], overlap=overlap)) == expected


@every_rule
def test_no_boxes(overlap: Overlap) -> None:
    found = instances_from_boxes(np.ones(SIZE, np.uint8), [], overlap=overlap)
    assert len(found.instances) == 0 and found.instances.image_size == SIZE and not found.dropped


@given(scenes())
def test_every_object_lies_in_its_box_and_class(scene: tuple[NDArray[np.uint8], list[Box]]) -> None:
    mask, boxes = scene
    for overlap in OVERLAPS:
        found = instances_from_boxes(mask, boxes, overlap=overlap)
        kept = [box for number, box in enumerate(boxes) if number not in found.dropped]
        assert len(found.instances) == len(kept)
        for box, pixels in zip(kept, found.instances.masks, strict=True):
            inside = np.zeros(SIZE, np.bool_)
            inside[box.pixels(SIZE) or (slice(0), slice(0))] = True
            assert pixels.any() and inside[pixels].all() and (mask[pixels] == box.class_id).all()


@given(scenes())
def test_exclusive_parts_the_shared_pixels(scene: tuple[NDArray[np.uint8], list[Box]]) -> None:
    shared, exclusive = (instances_from_boxes(*scene, overlap=rule).instances.masks for rule in OVERLAPS[:2])
    np.testing.assert_array_equal(shared.any(0), exclusive.any(0))
    assert (exclusive.sum(0) <= 1).all()


@given(scenes())
def test_a_component_is_part_of_the_shared_mask(scene: tuple[NDArray[np.uint8], list[Box]]) -> None:
    shared, part = (instances_from_boxes(*scene, overlap=rule) for rule in ("shared", "component"))
    assert shared.dropped == part.dropped
    assert (part.instances.masks <= shared.instances.masks).all()


def test_other_words_and_shapes_are_refused() -> None:
    with pytest.raises(ConfigError, match="overlap: one of"):
        instances_from_boxes(np.zeros(SIZE, np.uint8), [], overlap="largest")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="labels"):
        instances_from_boxes(np.zeros((1, *SIZE), np.uint8), [])
