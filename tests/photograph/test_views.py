"""Boxes on large photographs are looked at from near."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from generated import draw
from weakseg import Photograph, SegmentOptions, read_marks
from weakseg.data.annotations import Box
from weakseg.errors import ConfigError
from weakseg.ops.blend import Tile
from weakseg.ops.resample import resize_image
from weakseg.photograph.config import DrawnOptions
from weakseg.photograph.views import box_views
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.tiles import TileConfig

SMALL = TileConfig(tile=64, overlap=16, beyond=300)


def near(surroundings: float = 0.5) -> SegmentOptions:
    usual = DrawnOptions()
    decode = replace(usual.decode, tiles=SMALL)
    return SegmentOptions(drawn=replace(usual, decode=decode, surroundings=surroundings))


@pytest.fixture(scope="module")
def far() -> NDArray[np.uint8]:
    """A photograph of 600 x 800 pixels: two drawn ones of 96 x 128 on grey."""
    image = np.full((600, 800, 3), 120, np.uint8)
    image[40:136, 60:188] = draw(3, (96, 128))[0]
    image[400:496, 600:728] = draw(3, (96, 128))[0]
    return image


BALLS = [("ball", (68, 44, 90, 80)), ("ball", (608, 404, 630, 440))]
BRICK = ("brick", (638, 408, 656, 440))


class TestBoxViews:
    OPTIONS = DrawnOptions(decode=DecodeConfig(tiles=SMALL))

    def test_a_view_is_wider_than_its_box(self) -> None:
        (view,) = box_views([Box(1, 100, 200, 200, 300)], (1000, 1000), self.OPTIONS)
        assert view.place == Tile(slice(50, 250), slice(150, 350))

    def test_views_that_overlap_are_one(self) -> None:
        boxes = [Box(1, 100, 100, 200, 200), Box(2, 500, 500, 600, 600), Box(3, 180, 240, 260, 340)]
        views = box_views(boxes, (2000, 2000), self.OPTIONS)
        assert [(view.place, view.boxes) for view in views] == [
            (Tile(slice(450, 650), slice(450, 650)), (boxes[1],)),
            (Tile(slice(50, 300), slice(50, 390)), (boxes[0], boxes[2])),
        ]
        assert views[1].labels == [1, 3]
        assert views[1].marks(("a", "b", "c")).names == ("a", "c")
        assert views[1].marks(("a", "b", "c")).drawn.boxes == (Box(1, 50, 50, 150, 150), Box(2, 130, 190, 210, 290))

    def test_views_stay_within_the_photograph(self) -> None:
        (view,) = box_views([Box(1, -20, 960, 100, 1010)], (1000, 1000), self.OPTIONS)
        assert view.place == Tile(slice(0, 150), slice(940, 1000))
        assert view.marks(("a",)).drawn.boxes == (Box(1, 0, 20, 100, 60),)

    def test_where_nothing_is_gained_there_are_none(self) -> None:
        large, small = Box(1, 100, 100, 800, 800), Box(1, 100, 100, 200, 200)
        assert not box_views([large], (1000, 1000), self.OPTIONS)
        assert not box_views([small], (300, 300), self.OPTIONS)
        assert not box_views([small], (1000, 1000), replace(self.OPTIONS, surroundings=0))
        assert not box_views([small], (4000, 4000), DrawnOptions())
        assert box_views([small], (6000, 4000), DrawnOptions())


def test_a_box_from_near_is_that_of_the_part_alone(far: NDArray[np.uint8]) -> None:
    found = Photograph(far).segment(read_marks(boxes=BALLS[1]), near())
    (view,) = box_views(read_marks(boxes=BALLS[1]).drawn.boxes, far.shape[:2], near().drawn)
    alone = Photograph(far[view.place]).segment(view.marks(("ball",)), near())
    np.testing.assert_array_equal(found.mask[view.place], alone.mask)
    outside = found.mask.copy()
    outside[view.place] = 0
    assert not outside.any() and found.mask.any() and found.mask.shape == (600, 800)
    assert found.reliabilities == alone.reliabilities


def test_labels_are_those_of_the_photograph(far: NDArray[np.uint8]) -> None:
    """The second name is alone in its view, and label 2 of the photograph; reliabilities are the least of all views."""
    found = Photograph(far).segment(read_marks(boxes=[*BALLS, BRICK]), near(0.2))
    assert set(np.unique(found.mask)) == {0, 1, 2}
    inside = found.mask[404:440, 600:700]
    assert (inside == 2).any() and (found.mask[:300] != 2).all()
    assert list(found.reliabilities) == ["ball", "brick"]
    assert found.scores.shape == (3, 600, 800)


def test_parts_are_said_and_kept(far: NDArray[np.uint8], caplog: pytest.LogCaptureFixture) -> None:
    photograph = Photograph(far, name="far.jpg")
    one = photograph.mark(boxes=BALLS[0]).segment(options=near())
    assert "far.jpg: boxes are looked at in 1 parts of it (drawn.surroundings 0: in the whole)" in caplog.text
    two = photograph.mark(boxes=BALLS[1]).segment(options=near())
    np.testing.assert_array_equal(two.mask[:300], one.mask[:300])


def test_usual_photographs_are_segmented_as_before(far: NDArray[np.uint8]) -> None:
    small = resize_image(far, (300, 400))
    marks = read_marks(boxes=("ball", (34, 22, 45, 40)))
    usual = Photograph(small).segment(marks)
    off = DrawnOptions(decode=replace(DrawnOptions().decode, tiles=TileConfig(tile=0)), surroundings=0)
    np.testing.assert_array_equal(usual.mask, Photograph(small).segment(marks, SegmentOptions(drawn=off)).mask)


def test_surroundings_are_no_less_than_nothing() -> None:
    with pytest.raises(ConfigError, match=r"drawn\.surroundings: need >= 0, got -1"):
        DrawnOptions(surroundings=-1)


def test_strokes_beside_boxes_correct_the_mask_of_the_whole(far: NDArray[np.uint8]) -> None:
    before = Photograph(far).segment(read_marks(boxes=BALLS), near())
    stroke = ("background", [(70, 46), (76, 46)])
    found = Photograph(far).segment(read_marks(boxes=BALLS, scribbles=stroke), near())
    assert not found.mask[46, 70:77].any()
    np.testing.assert_array_equal(found.mask[300:], before.mask[300:])
