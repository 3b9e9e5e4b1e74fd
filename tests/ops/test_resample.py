import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import dense_reference as dense
from cases import each
from weakseg.ops.resample import (
    Cells,
    bilinear_taps,
    image_tensor,
    padded_to,
    resample_cells,
    resize_image,
    resize_labels,
    resize_maps,
    sample_maps,
    scaled_size,
)

sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))


class TestScaledSize:
    @each(
        ("size", "scale", "expected"),
        [
            ((375, 500), 0.5, (188, 250)),  # cam card, oracle 6: 187.5 and 140.5, half to even
            ((281, 500), 0.5, (140, 250)),
            ((375, 500), 1.5, (562, 750)),
            ((375, 500), 1.0, (375, 500)),
            ((1, 3), 0.1, (1, 1)),  # card, section 8: rounding must not reach 0
        ],
    )
    def test_rounds_half_to_even(self, size: tuple[int, int], scale: float, expected: tuple[int, int]) -> None:
        assert scaled_size(size, scale) == expected

    @given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.floats(0.01, 4), st.integers(1, 2048))
    def test_the_long_side_is_bounded(self, size: tuple[int, int], scale: float, max_side: int) -> None:
        rows, columns = scaled_size(size, scale, max_side=max_side)
        assert min(rows, columns) >= 1
        assert max(rows, columns) <= max_side

    def test_a_bound_that_is_not_reached_changes_nothing(self) -> None:
        assert scaled_size((30, 40), 2.0, max_side=80) == (60, 80)
        assert scaled_size((30, 40), 2.0, max_side=60) == (45, 60)


class TestResizeMaps:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [([0, 1], [0, 0.25, 0.75, 1]), ([0, 1, 0], [0, 0.4, 1, 0.4, 0])],  # cam card, oracle 1
    )
    def test_exact_values(self, values: list[float], expected: list[float]) -> None:
        maps = torch.tensor([[values]], dtype=torch.float32)
        torch.testing.assert_close(resize_maps(maps, (1, len(expected))), torch.tensor([[expected]]))
        down = resize_maps(maps.transpose(1, 2), (len(expected), 1))
        torch.testing.assert_close(down, torch.tensor([[expected]]).transpose(1, 2))

    @settings(max_examples=40)
    @given(hnp.arrays(np.float64, sizes, elements=st.floats(0, 1)), sizes)
    def test_equals_the_pixel_by_pixel_version(self, plane: NDArray[np.float64], size: tuple[int, int]) -> None:
        found = resize_maps(torch.from_numpy(plane)[None], size)[0]
        np.testing.assert_allclose(found.numpy(), dense.bilinear(plane, size), atol=1e-6)

    def test_no_map_has_the_wanted_size(self) -> None:
        assert resize_maps(torch.zeros(0, 3, 4), (6, 8)).shape == (0, 6, 8)
        assert resize_maps(torch.zeros(0, 3, 4), (3, 4)).shape == (0, 3, 4)


class TestResampleCells:
    @each("cells", [Cells(0, 16), Cells(7.5, 16), Cells(0, 8), Cells(-3, 4)])
    @each(("image_size", "size"), [((64, 96), (16, 24)), ((65, 90), (17, 23)), ((50, 70), (70, 50))])
    def test_a_ramp_stays_and_ends_are_repeated(
        self, cells: Cells, image_size: tuple[int, int], size: tuple[int, int]
    ) -> None:
        counts = [-(-length // cells.stride) for length in image_size]
        seen = [cells.first + cells.stride * torch.arange(count).double() for count in counts]
        middles = [
            (torch.arange(n).double() + 0.5) * length / n - 0.5 for n, length in zip(size, image_size, strict=True)
        ]
        rows, columns = (m.clamp(s[0], s[-1]) for m, s in zip(middles, seen, strict=True))
        maps = torch.stack([3 * seen[0][:, None] - 2 * seen[1] + 5, seen[0][:, None] * seen[1]])
        found = resample_cells(maps[None], size, image_size, cells)[0]
        torch.testing.assert_close(found[0], 3 * rows[:, None] - 2 * columns + 5)
        torch.testing.assert_close(found[1], rows[:, None] * columns)

    @settings(max_examples=30)
    @given(hnp.arrays(np.float64, sizes, elements=st.floats(0, 1)), sizes, st.integers(1, 9))
    def test_cells_that_fill_the_image_are_resized(
        self, plane: NDArray[np.float64], size: tuple[int, int], stride: int
    ) -> None:
        maps, image_size = torch.from_numpy(plane)[None], (plane.shape[0] * stride, plane.shape[1] * stride)
        cells = Cells((stride - 1) / 2, stride)
        torch.testing.assert_close(resample_cells(maps, size, image_size, cells), resize_maps(maps, size))
        same = resample_cells(maps, (plane.shape[0], plane.shape[1]), image_size, cells)
        torch.testing.assert_close(same, maps, rtol=0, atol=1e-12)

    @settings(max_examples=40)
    @given(sizes, sizes, sizes, st.floats(-20, 20), st.integers(1, 32))
    def test_constants_stay(
        self, shape: tuple[int, int], size: tuple[int, int], image_size: tuple[int, int], first: float, stride: int
    ) -> None:
        found = resample_cells(torch.full((2, *shape), 0.7), size, image_size, Cells(first, stride))
        torch.testing.assert_close(found, torch.full((2, *size), 0.7))

    def test_no_map(self) -> None:
        assert resample_cells(torch.zeros(2, 0, 3, 4), (6, 8), (24, 32), Cells(0, 8)).shape == (2, 0, 6, 8)


class TestSampleMaps:
    def test_between_cells_and_beyond_them(self) -> None:
        maps = torch.tensor([[[0.0, 10.0, 20.0], [100.0, 110.0, 120.0]]])
        found = sample_maps(maps, torch.tensor([-1.0, 0.25, 5.0]), torch.tensor([0.5, 2.0, 9.0]))
        assert found.tolist() == [[[5.0, 20.0, 20.0], [30.0, 45.0, 45.0], [105.0, 120.0, 120.0]]]

    def test_a_part_of_a_canvas(self) -> None:
        maps = torch.rand(2, 6, 8, generator=torch.Generator().manual_seed(0))
        found = resample_cells(maps, (2, 3), (16, 24), Cells(3.5, 8), (16, 24))
        torch.testing.assert_close(found, maps[:, 2:4, 3:6])


class TestResizeLabels:
    def test_takes_the_middle_pixel(self) -> None:
        # irnet.md, 2.5: by a quarter, nearest picks source index 4 i + 2.
        labels = np.tile(np.arange(16, dtype=np.uint8), (16, 1))
        np.testing.assert_array_equal(resize_labels(labels, (4, 4)), np.tile([2, 6, 10, 14], (4, 1)))

    def test_enlarging_repeats(self) -> None:
        labels = np.array([[1, 255], [0, 3]], np.uint8)
        np.testing.assert_array_equal(resize_labels(labels, (6, 4)), labels.repeat(3, 0).repeat(2, 1))

    @settings(max_examples=40)
    @given(hnp.arrays(np.uint8, sizes, elements=st.sampled_from([0, 1, 7, 255])), sizes)
    def test_no_new_values(self, labels: NDArray[np.uint8], size: tuple[int, int]) -> None:
        found = resize_labels(labels, size)
        assert found.shape == size
        assert found.dtype == np.uint8
        assert set(found.ravel().tolist()) <= set(labels.ravel().tolist())


class TestResizeImage:
    def test_the_same_size_is_the_same_image(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        np.testing.assert_array_equal(resize_image(image, (5, 7)), image)

    @given(st.integers(0, 255), sizes, sizes)
    def test_one_colour_stays(self, value: int, size: tuple[int, int], other: tuple[int, int]) -> None:
        found = resize_image(np.full((*size, 3), value, np.uint8), other)
        np.testing.assert_array_equal(found, np.full((*other, 3), value))

    def test_rows_come_first(self) -> None:
        image = np.zeros((4, 8, 3), np.uint8)
        image[2:] = 200
        found = resize_image(image, (8, 4))
        assert found.shape == (8, 4, 3)
        assert found[0].max() == 0
        assert found[-1].min() == 200

    def test_mirror_image(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        mirrored = resize_image(np.ascontiguousarray(image[:, ::-1]), (5, 6))[:, ::-1]
        np.testing.assert_allclose(mirrored.astype(int), resize_image(image, (5, 6)).astype(int), atol=1)


class TestImageTensor:
    def test_layout_and_scale(self) -> None:
        image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
        tensor = image_tensor(image)
        assert tensor.dtype == torch.float32
        np.testing.assert_array_equal(tensor.numpy(), image.transpose(2, 0, 1))

    def test_read_only_and_mirrored_arrays(self) -> None:
        image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
        image.setflags(write=False)
        np.testing.assert_array_equal(image_tensor(image[:, ::-1]).numpy(), image[:, ::-1].transpose(2, 0, 1))

    def test_memory_is_not_shared(self) -> None:
        image = np.zeros((2, 2, 3), np.uint8)
        tensor = image_tensor(image)
        tensor += 1
        assert image.max() == 0


class TestBilinearTaps:
    @given(st.integers(1, 30), st.integers(1, 12))
    def test_against_torch(self, pixels: int, cells: int) -> None:
        index, weights = bilinear_taps(pixels, cells)
        assert index.shape == weights.shape == (pixels, min(2, cells))
        assert 0 <= int(index.min()) <= int(index.max()) < cells and bool((index.diff(dim=1) == 1).all())
        values = torch.randn(cells, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        expected = torch.nn.functional.interpolate(values[None, None], pixels, mode="linear", align_corners=False)
        torch.testing.assert_close((values[index] * weights).sum(1), expected[0, 0])
        torch.testing.assert_close(weights.sum(1), torch.ones(pixels, dtype=torch.float64))


class TestPaddedTo:
    @pytest.mark.parametrize(
        ("size", "side", "expected"),
        [((5, 40), 32, (32, 48)), ((32, 33), 32, (32, 48)), ((5, 7), 0, (16, 16)), ((16, 32), 0, (16, 32))],
    )
    def test_to_the_side_or_the_next_multiple(
        self, size: tuple[int, int], side: int, expected: tuple[int, int]
    ) -> None:
        images, fill = torch.rand(2, 3, *size), torch.tensor([7.0, 8.0, 9.0]).reshape(1, 3, 1, 1)
        padded = padded_to(images, side, 16, fill)
        assert padded.shape == (2, 3, *expected)
        torch.testing.assert_close(padded[..., : size[0], : size[1]], images, rtol=0, atol=0)
        for rest in (padded[..., size[0] :, :], padded[..., size[1] :]):
            assert (rest == fill).all()
