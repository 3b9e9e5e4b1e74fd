from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from weakseg.errors import ConfigError
from weakseg.settings.augment import AugmentConfig
from weakseg.training.augment import FILL, View, augment, draw_view

DARK, LIGHT = 20, 230


def checkerboard(rows: int, columns: int, cell: int = 16) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image of dark and light squares, and labels that are 1 on the dark ones and 2 on the light ones."""
    squares = (np.arange(rows)[:, None] // cell + np.arange(columns)[None] // cell) % 2
    image = np.where(squares[..., None] == 1, LIGHT, DARK).astype(np.uint8).repeat(3, axis=2)
    return image, (1 + squares).astype(np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


configs = st.builds(
    lambda low, more, crop, flip, jitter: AugmentConfig((low, low + more), crop, flip, jitter),
    st.integers(60, 150),  # of 96 pixels: the squares stay wider than the blur of their edges
    st.integers(0, 80),
    st.integers(8, 150),
    st.booleans(),
    st.sampled_from([0.0, 0.2]),
)


class TestAlignment:
    """segmentation-stage.md, oracle 7."""

    @settings(max_examples=60)
    @given(configs, st.integers(0, 10**6), st.sampled_from([(64, 96), (96, 64), (80, 80)]))
    def test_labels_stay_on_their_squares(self, config: AugmentConfig, seed: int, size: tuple[int, int]) -> None:
        image, labels = augment(*checkerboard(*size), config, rng(seed))
        assert image.shape == (config.crop, config.crop, 3)
        assert labels.shape == (config.crop, config.crop)
        assert image.dtype == labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {1, 2, 255}
        # Away from edges of the squares, which bicubic resizing blurs, the brightness tells the label.
        grey = image[..., 0].astype(int)
        calm = _calm(labels)
        if (labels[calm] == 1).any() and (labels[calm] == 2).any():
            assert grey[calm & (labels == 1)].max() < grey[calm & (labels == 2)].min()

    def test_a_flip_turns_both(self) -> None:
        image, labels = checkerboard(32, 48)
        config = AugmentConfig((48, 48), 48)
        found = [augment(image, labels, config, rng(seed)) for seed in range(20)]
        for one, its_labels in found:
            np.testing.assert_array_equal(one[..., 0] == LIGHT, its_labels == 2)
        shifted = {its_labels[:, 0].tobytes() for _, its_labels in found}
        assert len(shifted) > 1  # both the image and its mirror image occur

    def test_half_of_the_images_are_mirrored(self) -> None:
        image, _ = checkerboard(32, 16)
        ramp = np.tile(np.arange(16, dtype=np.uint8)[None] * 10, (32, 1))
        config = AugmentConfig((32, 32), 16)
        mirrored = [augment(image, ramp, config, rng(seed))[1][0, 0] != 0 for seed in range(200)]
        assert 70 < sum(mirrored) < 130  # binomial of 200 and 1/2: mean 100, four standard deviations 28
        still = AugmentConfig((32, 32), 16, flip=False)
        assert all(augment(image, ramp, still, rng(seed))[1][0, 0] == 0 for seed in range(50))


def _calm(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where the 7 x 7 pixels around are of one label; the border of the crop is never calm."""
    padded = np.pad(labels, 3, constant_values=99)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
    return np.asarray(windows.min((2, 3)) == windows.max((2, 3)))


class TestCropAndPadding:
    def test_small_images_are_padded(self) -> None:
        image, labels = checkerboard(20, 30)
        found, its_labels = augment(image, labels, AugmentConfig((30, 30), 64, flip=False), rng())
        outside = its_labels == 255
        assert (~outside).sum() == 20 * 30
        assert (found[outside] == FILL).all()
        rows, columns = np.nonzero(~outside)
        inside = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        np.testing.assert_array_equal(found[inside], image)
        np.testing.assert_array_equal(its_labels[inside], labels)

    def test_large_images_are_cut(self) -> None:
        image = np.arange(60 * 80, dtype=np.uint32).reshape(60, 80)
        rgb = np.stack([image % 256, image // 256, image * 0], axis=-1).astype(np.uint8)
        found, _ = augment(rgb, None, AugmentConfig((80, 80), 32, flip=False), rng())
        first = int(found[0, 0, 0]) + 256 * int(found[0, 0, 1])
        row, column = divmod(first, 80)
        np.testing.assert_array_equal(found, rgb[row : row + 32, column : column + 32])

    def test_every_place_occurs(self) -> None:
        image, labels = checkerboard(4, 6, cell=1)
        places = set()
        for seed in range(200):
            _, its_labels = augment(image, labels, AugmentConfig((6, 6), 8, flip=False), rng(seed))
            rows, columns = np.nonzero(its_labels != 255)
            places.add((int(rows.min()), int(columns.min())))
        assert places == {(row, column) for row in range(5) for column in range(3)}

    def test_one_side_cut_and_the_other_padded(self) -> None:
        _, labels = augment(*checkerboard(10, 60), AugmentConfig((60, 60), 32, flip=False), rng())
        assert (labels != 255).sum() == 10 * 32

    def test_long_sides_of_both_ends_occur(self) -> None:
        sides = set()
        for seed in range(100):
            _, labels = augment(*checkerboard(8, 10), AugmentConfig((10, 12), 40), rng(seed))
            sides.add(int((labels != 255).any(0).sum()))
        assert sides == {10, 11, 12}

    def test_without_labels_all_is_undecided(self) -> None:
        _, labels = augment(checkerboard(20, 30)[0], None, AugmentConfig((30, 30), 16), rng())
        assert (labels == 255).all()

    @pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 1)])
    def test_thin_images(self, size: tuple[int, int]) -> None:
        image, labels = augment(
            np.zeros((*size, 3), np.uint8), np.ones(size, np.uint8), AugmentConfig((20, 40), 32), rng()
        )
        assert image.shape == (32, 32, 3)
        assert (labels == 1).any()


class TestJitter:
    @staticmethod
    def colours(jitter: float, seed: int = 0) -> NDArray[np.uint8]:
        image = np.random.default_rng(0).integers(60, 180, (16, 16, 3), dtype=np.uint8)
        return augment(image, None, AugmentConfig((16, 16), 16, flip=False, jitter=jitter), rng(seed))[0]

    def test_none_changes_nothing(self) -> None:
        image = np.random.default_rng(0).integers(60, 180, (16, 16, 3), dtype=np.uint8)
        np.testing.assert_array_equal(self.colours(0.0), image)

    def test_almost_none_changes_nothing(self) -> None:
        np.testing.assert_array_equal(self.colours(1e-9), self.colours(0.0))

    def test_brightness_is_right_on_average(self) -> None:
        mean = np.mean([self.colours(0.2, seed).mean() for seed in range(300)])
        # Brightness factor of standard deviation .2 / sqrt(3) = .115 about 120: standard error .8; three of them.
        assert mean == pytest.approx(self.colours(0.0).mean(), abs=2.4)

    def test_labels_are_left_alone(self) -> None:
        image, labels = checkerboard(16, 16)
        _, found = augment(image, labels, AugmentConfig((16, 16), 16, flip=False, jitter=0.5), rng())
        np.testing.assert_array_equal(found, labels)

    def test_extremes_are_clipped(self) -> None:
        image = np.full((16, 16, 3), 255, np.uint8)
        image[::2] = 0
        for seed in range(20):
            found, _ = augment(image, None, AugmentConfig((16, 16), 16, jitter=0.9), rng(seed))
            assert found[::2].mean() <= found[1::2].mean()  # nothing wrapped round


class TestHue:
    def test_a_third_of_the_circle_exchanges_the_channels(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        view = draw_view((8, 8), AugmentConfig(None, 8, flip=False), rng())
        turned = replace(view, hue=1 / 3).image(image)  # red becomes green
        np.testing.assert_allclose(turned.astype(int), image[..., [2, 0, 1]].astype(int), atol=1)

    def test_brightness_and_greys_stay(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        image[::2] = image[::2, :, :1]
        for seed in range(10):
            found, _ = augment(image, None, AugmentConfig(None, 16, flip=False, hue=0.5), rng(seed))
            np.testing.assert_array_equal(found[::2], image[::2])
            np.testing.assert_allclose(found.max(2).astype(int), image.max(2).astype(int), atol=1)
        assert (found[1::2] != image[1::2]).any()

    def test_other_choices_are_the_same_without(self) -> None:
        image = checkerboard(64, 96)[0]
        first, second = (augment(image, None, AugmentConfig((60, 90), 48, hue=hue), rng(3))[0] for hue in (0.0, 1e-9))
        assert first.shape == second.shape  # the hue is drawn only where it is asked for
        plain = AugmentConfig((60, 90), 48)
        np.testing.assert_array_equal(first, augment(image, None, plain, rng(3))[0])


class TestWithoutScaling:
    @pytest.mark.parametrize("size", [(40, 60), (48, 48), (7, 90)])
    def test_pixels_stay_as_they_are(self, size: tuple[int, int]) -> None:
        image = np.random.default_rng(0).integers(0, 127, (*size, 3), dtype=np.uint8)
        view = draw_view(size, AugmentConfig(None, 48, flip=False), rng())
        found = view.image(image)
        assert view.size == size
        np.testing.assert_array_equal(found[view.target], image[view.source])
        assert AugmentConfig(None, 48).middle_side is None and AugmentConfig((10, 20)).middle_side == 15


def lengths(config: AugmentConfig, times: int = 200) -> set[int]:
    """Return the long sides that images of 40 x 60 pixels are scaled to."""
    return {max(draw_view((40, 60), config, rng(seed)).size) for seed in range(times)}


class TestFactors:
    def test_one_of_several_is_drawn(self) -> None:
        # segmentation-stage.md, 2.2
        five = AugmentConfig(None, 64, scales=(0.5, 0.75, 1.0, 1.25, 1.5))
        assert lengths(five) == {30, 45, 60, 75, 90}
        counts = np.bincount([max(draw_view((40, 60), five, rng(seed)).size) for seed in range(1000)])
        assert all(
            140 < counts[side] < 260 for side in (30, 45, 60, 75, 90)
        )  # binomial: mean 200, 60 is 4.7 deviations

    def test_a_range_is_drawn_evenly(self) -> None:
        found = np.array(sorted(lengths(AugmentConfig(None, 64, scale_range=(0.5, 2.0)), 2000)))
        assert found.min() == 30 and found.max() == 120 and len(found) > 85
        sides = [
            max(draw_view((40, 60), AugmentConfig(None, 64, scale_range=(0.5, 2.0)), rng(n)).size) for n in range(500)
        ]
        assert np.mean(sides) == pytest.approx(75, abs=4)  # deviation of the mean: 26 / sqrt(500) = 1.2

    def test_one_factor_leaves_the_image(self) -> None:
        assert lengths(AugmentConfig(None, 64, scales=(1.0,))) == lengths(AugmentConfig(None, 64)) == {60}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"scales": (1.0,)}, r"one way of scaling is needed, got long_side \(256, 416\) and scales \(1\.0,\)"),
            ({"scale_range": (0.5, 2.0)}, "one way of scaling is needed, got long_side"),
            ({"long_side": None, "scales": (1.0,), "scale_range": (0.5, 2.0)}, "got scales .* and scale_range"),
            ({"long_side": None, "scales": (1.0, 0.0)}, r"augment\.scales: need > 0"),
            ({"long_side": None, "scale_range": (2.0, 0.5)}, r"augment\.scale_range: need 0 < smallest <= largest"),
            ({"long_side": None, "scale_range": (0.0, 0.5)}, r"augment\.scale_range: need 0 < smallest"),
            ({"pad": "left"}, r"augment\.pad: 'around' or 'end', got 'left'"),
            ({"rotation": -1.0}, r"augment\.rotation: need in \[0, 180\]"),
            ({"blur": 1.5}, r"augment\.blur: need in \[0, 1\]"),
        ],
    )
    def test_what_means_nothing_is_refused(self, change: dict[str, object], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            AugmentConfig(**change)  # type: ignore[arg-type]


class TestPadAtTheEnd:
    def test_the_image_is_in_the_corner(self) -> None:
        # segmentation-stage.md, 2.2: right and below, image with the mean colour, labels 255.
        image, labels = checkerboard(20, 30)
        config = AugmentConfig(None, 64, flip=False, pad="end")
        for seed in range(5):
            found, its_labels = augment(image, labels, config, rng(seed))
            np.testing.assert_array_equal(found[:20, :30], image)
            np.testing.assert_array_equal(its_labels[:20, :30], labels)
            assert (its_labels[20:] == 255).all() and (its_labels[:, 30:] == 255).all()
            assert (found[its_labels == 255] == (123, 117, 104)).all()

    def test_large_images_are_still_cut_anywhere(self) -> None:
        config = AugmentConfig(None, 32, flip=False, pad="end")
        places = {draw_view((40, 60), config, rng(seed)).source[1].start for seed in range(300)}
        assert places == set(range(29))


class TestRotation:
    def test_a_quarter_turn(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        labels = np.arange(81, dtype=np.uint8).reshape(9, 9)
        view = replace(draw_view((9, 9), AugmentConfig(None, 9, flip=False), rng()), angle=90.0)
        np.testing.assert_array_equal(view.labels(labels), np.rot90(labels))
        np.testing.assert_allclose(view.image(image).astype(int), np.rot90(image).astype(int), atol=1)
        maps = torch.from_numpy(labels.astype(np.float32))[None]
        np.testing.assert_allclose(view.maps(maps)[0].numpy(), np.rot90(labels), atol=1e-2)
        assert view.maps(maps[:0]).shape == (0, 9, 9)

    @settings(max_examples=30)
    @given(st.integers(0, 10**6), st.booleans())
    def test_labels_stay_on_their_squares(self, seed: int, blur: bool) -> None:
        config = AugmentConfig(None, 80, rotation=10.0, blur=float(blur), scale_range=(0.9, 1.5), pad="end")
        image, labels = augment(*checkerboard(64, 96), config, rng(seed))
        assert set(np.unique(labels)) <= {1, 2, 255}
        calm = _calm(labels)
        assert image[calm & (labels == 1)].max(initial=0) < 60 and image[calm & (labels == 2)].min(initial=255) > 190

    def test_turns_go_both_ways_and_open_corners(self) -> None:
        config = AugmentConfig(None, 64, rotation=10.0)
        angles = [draw_view((64, 64), config, rng(seed)).angle for seed in range(200)]
        assert -10 <= min(angles) < -9 and 9 < max(angles) <= 10
        view = replace(draw_view((64, 64), config, rng()), angle=10.0)
        labels = view.labels(np.ones((64, 64), np.uint8))
        assert set(np.unique(labels)) == {1, 255} and labels[0, 0] == 255 and labels[32, 32] == 1
        assert (view.image(np.full((64, 64, 3), 255, np.uint8))[0, 0] == FILL).all()


class TestBlur:
    def test_a_share_of_the_images_is_blurred(self) -> None:
        image = np.zeros((15, 15, 3), np.uint8)
        image[7, 7] = 200
        found = [augment(image, None, AugmentConfig(None, 15, blur=0.5), rng(seed))[0] for seed in range(200)]
        blurred = [one for one in found if one[7, 7, 0] != 200]
        assert 70 < len(blurred) < 130  # binomial: four standard deviations are 28
        # A Gaussian of deviation 1.1 on five pixels: its middle is 0.3708.
        assert blurred[0][7, 7, 0] == pytest.approx(200 * 0.3708**2, abs=1)
        assert (blurred[0][:5] == 0).all() and blurred[0].astype(int).sum() == pytest.approx(600, abs=30)


@settings(max_examples=30)
@given(configs, st.integers(0, 10**6))
def test_same_generator_same_result(config: AugmentConfig, seed: int) -> None:
    scene = checkerboard(64, 96)
    copies = tuple(array.copy() for array in scene)
    first, second = (augment(*scene, config, rng(seed)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    for array, copy in zip(scene, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    "change",
    [
        {"long_side": (10, 9)},
        {"long_side": (0, 9)},
        {"crop": 0},
        {"jitter": 1.0},
        {"jitter": -0.1},
        {"hue": 0.6},
        {"hue": -0.1},
    ],
)
def test_empty_ranges_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=rf"augment\.{next(iter(change))}: need"):
        AugmentConfig(**change)  # type: ignore[arg-type]


class TestBoxes:
    @settings(max_examples=60)
    @given(configs, st.integers(0, 2**32 - 1))
    def test_boxes_lie_where_the_labels_do(self, config: AugmentConfig, seed: int) -> None:
        size = (70, 96)
        labels = np.zeros(size, np.uint8)
        labels[20:50, 30:70] = 1
        view = draw_view(size, config, rng(seed))
        (box,) = view.boxes(np.array([[20.0, 30.0, 50.0, 70.0]]), size)
        rows, columns = np.nonzero(view.labels(labels) == 1)
        if rows.size:
            tight = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
            np.testing.assert_allclose(box, tight, atol=1)
        else:
            assert min(box[2] - box[0], box[3] - box[1]) < 1

    def test_exact_numbers(self) -> None:
        """Twice as large, mirrored, rows 10 to 30 kept, columns moved by 5."""
        view = View((40, 20), True, None, (slice(10, 30), slice(0, 20)), (slice(0, 20), slice(5, 25)), 30)
        boxes = np.array([[3.0, 1.0, 12.0, 4.0], [0.0, 0.0, 20.0, 10.0], [16.0, 0.0, 18.0, 2.0]])
        expected = [[0, 17, 14, 23], [0, 5, 20, 25], [20, 21, 20, 25]]
        assert view.boxes(boxes, (20, 10)).tolist() == expected
        assert boxes[0].tolist() == [3, 1, 12, 4]  # the input stays as it is

    def test_no_boxes(self) -> None:
        view = draw_view((10, 10), AugmentConfig((10, 10), 10), rng())
        assert view.boxes(np.zeros((0, 4)), (10, 10)).shape == (0, 4)


class TestWarp:
    def test_the_whole_image_is_stretched(self) -> None:
        image, labels = checkerboard(64, 96)
        found, cut = augment(image, labels, AugmentConfig(None, 48, flip=False, warp=True), rng())
        assert found.shape == (48, 48, 3) and cut.shape == (48, 48)
        rows, columns = np.mgrid[:48, :48]
        expected = labels[rows * 64 // 48 + 1, columns * 96 // 48 + 1]
        assert (cut == expected).mean() > 0.9 and set(np.unique(cut)) == {1, 2}
        middle = found[6:10, 3:5]  # of the first square, which is dark
        assert abs(int(middle.mean()) - DARK) < 10 and cut[8, 4] == 1

    def test_what_contradicts_it_is_refused(self) -> None:
        for change in ({"long_side": (40, 50)}, {"scales": (0.5, 1.0)}, {"scale_range": (0.5, 2.0)}):
            with pytest.raises(ConfigError, match=r"augment: one way of scaling is needed, got .* and warp True"):
                AugmentConfig(**{"long_side": None, "warp": True, **change})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"augment\.pad: with warp nothing is padded, got 'end'"):
            AugmentConfig(long_side=None, warp=True, pad="end")
