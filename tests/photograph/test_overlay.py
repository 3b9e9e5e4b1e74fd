import numpy as np
import pytest

from cases import each
from weakseg.artifacts import voc_palette
from weakseg.errors import ShapeError
from weakseg.photograph.overlay import CONTOUR, DIFFERENCE_COLOURS, HATCH_DARK, HATCH_LIGHT, draw_ring, heat_colours
from weakseg.report import difference, draw_activation, draw_labels, shrink

BLACK = np.zeros((16, 24, 3), np.uint8)


def labels_of(value: int, shape: tuple[int, int] = (16, 24)) -> np.ndarray:
    return np.full(shape, value, np.uint8)


def test_shrink_averages_area():
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    blocks = image.reshape(2, 2, 2, 2, 3).astype(float).mean((1, 3))
    assert np.abs(shrink(image, 2) - blocks).max() <= 0.5


@each(("shape", "expected"), [((100, 50), (20, 10)), ((50, 100), (10, 20)), ((20, 5), (20, 5)), ((400, 3), (20, 1))])
def test_shrink_bounds_the_longer_side_and_never_enlarges(shape, expected):
    assert shrink(np.zeros((*shape, 3), np.uint8), 20).shape == (*expected, 3)


def test_shrink_refuses_other_images_and_sizes():
    with pytest.raises(ShapeError, match="RGB uint8"):
        shrink(np.zeros((4, 4), np.uint8), 2)
    with pytest.raises(ShapeError, match="max_side"):
        shrink(BLACK, 0)


def test_heat_colours_are_inferno_and_grow_in_light():
    colours = heat_colours()
    assert colours[0].tolist() == [0, 0, 4]  # first and last row of matplotlib's inferno, times 255
    assert colours[255].tolist() == [252, 255, 164]
    assert (np.diff(colours @ np.array([0.2126, 0.7152, 0.0722])) > -1).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_activation_of_full_opacity_is_the_colour_map(value):
    drawn = draw_activation(BLACK, np.full((2, 3), value), opacity=1.0)
    assert (drawn == heat_colours()[round(value * 255)]).all()


def test_activation_of_no_opacity_is_the_grey_photo():
    photo = np.tile(np.array([255, 0, 0], np.uint8), (4, 6, 1))
    assert (draw_activation(photo, np.ones((2, 3)), opacity=0.0) == 76).all()  # 0.299 * 255


def test_activation_may_have_any_resolution():
    coarse, fine = np.full((1, 1), 0.25), np.full((48, 72), 0.25, np.float16)
    assert (draw_activation(BLACK, coarse) == draw_activation(BLACK, fine)).all()


@each("heat", [np.full((2, 2), np.nan), np.full((2, 2), 1.5), np.full((2, 2), -0.5), np.zeros((0, 2))])
def test_activation_refuses_other_ranges(heat):
    with pytest.raises(ShapeError, match="heat"):
        draw_activation(BLACK, heat)


def test_activation_forgives_the_rounding_of_float16():
    assert (draw_activation(BLACK, np.full((2, 2), 1 + 1e-6)) == draw_activation(BLACK, np.ones((2, 2)))).all()


@pytest.mark.parametrize("class_id", [1, 7, 254])
def test_labels_of_a_class_are_its_palette_colour(class_id):
    drawn = draw_labels(BLACK, labels_of(class_id), opacity=0.6)
    assert (drawn == np.rint(voc_palette()[class_id] * 0.6)).all()


def test_background_is_the_dimmed_photo():
    grey = np.full((4, 6, 3), 100, np.uint8)
    assert (draw_labels(grey, labels_of(0, (4, 6))) == 67).all()


def test_undecided_is_hatched_and_unlike_background_and_classes():
    drawn = draw_labels(BLACK, labels_of(255))
    seen = {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()}
    assert seen == {tuple(round(0.75 * part) for part in colour) for colour in (HATCH_LIGHT, HATCH_DARK)}


def test_regions_are_parted_by_one_white_pixel():
    labels = labels_of(0)
    labels[:, 12:] = 3
    drawn = draw_labels(BLACK, labels)
    white = (drawn == CONTOUR).all(-1)
    assert white[:, 11].all()
    assert white.sum() == len(white)


def test_labels_of_twice_the_size_are_drawn_alike():
    labels = np.random.default_rng(0).integers(0, 3, (16, 24), dtype=np.uint8)
    assert (draw_labels(BLACK, labels) == draw_labels(BLACK, labels.repeat(2, 0).repeat(2, 1))).all()


def test_labels_of_a_shrunken_photo_fit():
    photo = shrink(np.zeros((375, 500, 3), np.uint8), 320)
    assert draw_labels(photo, labels_of(1, (375, 500))).shape == photo.shape


@pytest.mark.parametrize("labels", [labels_of(1, (24, 16)), np.zeros((16, 24), np.int64), np.zeros((0, 24), np.uint8)])
def test_labels_refuse_a_transposed_or_typeless_map(labels):
    with pytest.raises(ShapeError, match="labels"):
        draw_labels(BLACK, labels)


@each(
    ("truth", "mask", "state"),
    [
        (1, 1, "correct"),
        (1, 0, "missed"),
        (1, 255, "missed"),
        (0, 255, "missed"),
        (1, 2, "wrong"),
        (0, 2, "wrong"),
    ],
)
def test_difference_colours(truth, mask, state):
    drawn = difference(BLACK, labels_of(truth), labels_of(mask), opacity=1.0)
    assert (drawn == DIFFERENCE_COLOURS[state]).all()


def test_difference_leaves_right_background_and_hatches_void():
    assert (difference(BLACK, labels_of(0), labels_of(0)) == 0).all()
    for mask in (0, 1, 255):
        assert (difference(BLACK, labels_of(255), labels_of(mask)) == draw_labels(BLACK, labels_of(255))).all()


def test_difference_refuses_different_sizes():
    with pytest.raises(ShapeError, match="truth is"):
        difference(BLACK, labels_of(1), labels_of(1, (32, 48)))


def test_a_ring_around_a_place():
    photo = np.full((40, 60, 3), 128, np.uint8)
    drawn = draw_ring(photo, (19.6, 31.4))
    rows, columns = np.nonzero((drawn != photo).any(-1))
    assert (rows.min() + rows.max(), columns.min() + columns.max()) == (2 * 20, 2 * 31)
    assert (drawn == 255).any() and (drawn < 16).any() and (drawn[20, 31] == 128).all() and (photo == 128).all()
    corner = draw_ring(photo, (-3.0, 99.0))
    assert (corner == draw_ring(photo, (0, 59))).all()


def test_inputs_stay_as_they_were():
    photo = np.full((16, 24, 3), 9, np.uint8)
    labels = labels_of(255)
    labels[:8] = 1
    before = photo.copy(), labels.copy()
    draw_labels(photo, labels)
    difference(photo, labels, labels)
    draw_activation(photo, np.ones((2, 2)))
    assert (photo == before[0]).all()
    assert (labels == before[1]).all()
    with pytest.raises(ShapeError, match="opacity"):
        draw_labels(photo, labels, opacity=1.5)
