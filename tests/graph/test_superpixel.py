from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.superpixel import paint_regions, region_adjacency, region_pooling, slic_regions

CHECKERBOARD = torch.tensor([[0, 1], [2, 3]]).repeat_interleave(8, 0).repeat_interleave(8, 1)
COLORS = torch.tensor([[200, 30, 30], [30, 200, 30], [30, 30, 200], [220, 220, 40]], dtype=torch.uint8)

sides = st.integers(1, 9)


@st.composite
def partitions(draw: st.DrawFn) -> NDArray[np.int64]:
    """Return ``(H, W)`` labels 0..R-1, connected or not."""
    values = draw(hnp.arrays(np.int64, st.tuples(sides, sides), elements=st.integers(0, 6)))
    return np.unique(values, return_inverse=True)[1].reshape(values.shape)


def blobs(height: int, width: int, seed: int = 0) -> Tensor:
    """Return an image of smooth blobs of colour."""
    noise = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    planes = F.interpolate(noise, (height, width), mode="bicubic")[0].clamp(0, 1)
    return (255 * planes).permute(1, 2, 0).to(torch.uint8)


def maps(channels: int, grid: tuple[int, int], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(channels, *grid, generator=torch.Generator().manual_seed(channels), dtype=dtype)


class TestSlic:
    def test_flat_squares_are_found(self) -> None:
        # Card, oracle 10: a checkerboard of four flat squares.
        regions = slic_regions(COLORS[CHECKERBOARD], 4)
        assert torch.equal(regions, CHECKERBOARD)

    @pytest.mark.parametrize("num_regions", [1, 10, 100])
    def test_labels_are_consecutive_and_regions_connected(self, num_regions: int) -> None:
        regions = slic_regions(blobs(40, 60), num_regions)
        assert (regions.shape, regions.dtype) == ((40, 60), torch.int64)
        found = regions.unique().tolist()
        assert found == list(range(len(found)))
        assert 0.5 * num_regions <= len(found) <= 1.5 * num_regions
        assert all(ndimage.label((regions == region).numpy())[1] == 1 for region in found)

    @pytest.mark.parametrize(("compactness", "mixed"), [(1.0, False), (1e5, True)])
    def test_compactness_makes_nearness_count_more_than_colour(self, compactness: float, mixed: bool) -> None:
        image = torch.full((60, 60, 3), 40, dtype=torch.uint8)
        image[:22] = 200  # centres start at rows 15 and 45
        regions = slic_regions(image, 4, compactness=compactness)
        bright, dark = (set(regions[image[..., 0] == value].tolist()) for value in (200, 40))
        assert bool(bright & dark) == mixed

    def test_the_same_image_gives_the_same_regions(self) -> None:
        image = blobs(30, 30)
        before = image.clone()
        assert torch.equal(slic_regions(image, 20), slic_regions(image, 20))
        assert torch.equal(image, before)

    @each("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
    def test_tiny_flat_images(self, size: tuple[int, int]) -> None:
        regions = slic_regions(torch.zeros(*size, 3, dtype=torch.uint8))
        assert regions.shape == size
        assert regions.unique().tolist() == list(range(int(regions.max()) + 1))

    def test_flat_image_as_one_region(self) -> None:
        assert not slic_regions(torch.full((12, 15, 3), 90, dtype=torch.uint8), 1).any()

    @pytest.mark.parametrize(
        "image", [torch.zeros(4, 4, 3), torch.zeros(4, 4, dtype=torch.uint8), torch.zeros(3, 4, 4, dtype=torch.uint8)]
    )
    def test_other_images_are_refused(self, image: Tensor) -> None:
        with pytest.raises(ShapeError, match="image: expected RGB uint8"):
            slic_regions(image)

    @each(("num_regions", "compactness"), [(0, 10.0), (5, 0.0), (5, -1.0), (5, float("nan"))])
    def test_parameters(self, num_regions: int, compactness: float) -> None:
        with pytest.raises(ShapeError, match="num_regions, compactness"):
            slic_regions(blobs(8, 8), num_regions, compactness=compactness)

    def test_image_without_pixels(self) -> None:
        with pytest.raises(ShapeError, match="expected pixels"):
            slic_regions(torch.zeros(0, 4, 3, dtype=torch.uint8))


class TestAdjacency:
    def test_corners_touch(self) -> None:
        # Card, oracle 10.
        assert torch.equal(region_adjacency(CHECKERBOARD).to_dense(), 1 - torch.eye(4))

    def test_stripes_touch_their_neighbors_only(self) -> None:
        regions = torch.arange(4).expand(3, 4)
        path = torch.diag(torch.ones(3), 1)
        assert torch.equal(region_adjacency(regions).to_dense(), path + path.T)
        assert torch.equal(region_adjacency(regions.T).to_dense(), path + path.T)

    @given(partitions())
    @settings(max_examples=50)
    def test_against_a_walk_over_pixels(self, regions: NDArray[np.int64]) -> None:
        weights = region_adjacency(torch.from_numpy(regions)).to_dense()
        np.testing.assert_array_equal(weights.numpy(), dense.touching_regions(regions))

    def test_renumbered_regions_have_a_permuted_graph(self) -> None:
        regions, order = slic_regions(blobs(30, 40), 30), torch.randperm(1000)
        order = order[order < int(regions.max()) + 1]
        weights = region_adjacency(regions).to_dense()
        permuted = region_adjacency(order[regions]).to_dense()
        assert torch.equal(permuted[order][:, order], weights)

    @pytest.mark.parametrize("size", [(1, 1), (5, 7)])
    def test_one_region_has_no_neighbor(self, size: tuple[int, int]) -> None:
        graph = region_adjacency(torch.zeros(size, dtype=torch.int64))
        assert (graph.shape, graph.pattern.num_entries) == ((1, 1), 0)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
    def test_integer_types(self, dtype: torch.dtype) -> None:
        assert torch.equal(region_adjacency(CHECKERBOARD.to(dtype)).to_dense(), 1 - torch.eye(4))


class TestPooling:
    @given(partitions(), st.tuples(sides, sides))
    @settings(max_examples=50)
    def test_against_the_resized_map(self, regions: NDArray[np.int64], grid: tuple[int, int]) -> None:
        planes = maps(2, grid)
        pooling = region_pooling(torch.from_numpy(regions), grid, dtype=torch.float64)
        expected = dense.pool_regions(regions, planes.numpy())
        np.testing.assert_allclose((pooling @ planes.flatten(1).T).numpy(), expected, rtol=0, atol=1e-12)

    @each("grid", [(1, 1), (5, 8), (12, 10), (37, 50), (60, 70)])
    def test_float32_against_torch(self, grid: tuple[int, int]) -> None:
        # Card, oracle 13.
        regions, planes = slic_regions(blobs(37, 50), 40), maps(7, grid, torch.float32)
        pooling = region_pooling(regions, grid)
        full = F.interpolate(planes[None], regions.shape, mode="bilinear", align_corners=False)[0].flatten(1)
        inside = F.one_hot(regions.flatten()).float()
        expected = (inside / inside.sum(0)).T @ full.T
        torch.testing.assert_close(pooling @ planes.flatten(1).T, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(pooling.row_sums(), torch.ones(len(expected)), rtol=0, atol=1e-5)
        assert pooling.values.min() > 0

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_constant_maps_stay(self, dtype: torch.dtype) -> None:
        # Card, oracle 10.
        pooled = region_pooling(CHECKERBOARD, (3, 5), dtype=dtype) @ torch.full((15, 2), 7.5, dtype=dtype)
        torch.testing.assert_close(pooled, torch.full((4, 2), 7.5, dtype=dtype))

    def test_pooling_of_a_painting_gives_its_values(self) -> None:
        regions = slic_regions(blobs(20, 30), 25)
        values = torch.randn(int(regions.max()) + 1, 3, dtype=torch.float64)
        painted = paint_regions(regions, values)
        pooling = region_pooling(regions, (20, 30), dtype=torch.float64)
        torch.testing.assert_close(pooling @ painted.flatten(1).T, values)

    def test_by_hand(self) -> None:
        # Four pixels over two cells: weights (1, 0), (.75, .25), (.25, .75), (0, 1); the middle two are one region.
        pooling = region_pooling(torch.tensor([[0, 1, 1, 2]]), (1, 2))
        assert torch.equal(pooling.to_dense(), torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))

    def test_a_region_smaller_than_a_cell_is_interpolated(self) -> None:
        regions = torch.zeros(8, 8, dtype=torch.int64)
        regions[3, 3] = 1
        weights = region_pooling(regions, (2, 2)).to_dense()[1]
        # Position (3.5 / 4 - .5) = .375 on both axes.
        torch.testing.assert_close(weights, torch.tensor([0.625**2, 0.625 * 0.375, 0.625 * 0.375, 0.375**2]))

    def test_one_pixel(self) -> None:
        pooled = region_pooling(torch.zeros(1, 1, dtype=torch.int64), (2, 2)).to_dense()
        assert torch.equal(pooled, torch.full((1, 4), 0.25))

    def test_gradients_reach_the_features(self) -> None:
        features = torch.ones(6, 2, dtype=torch.float64, requires_grad=True)
        pooling = region_pooling(CHECKERBOARD, (2, 3), dtype=torch.float64)
        (pooling @ features).sum().backward()
        torch.testing.assert_close(features.grad, pooling.to_dense().sum(0)[:, None].expand(6, 2))

    @pytest.mark.parametrize("grid", [(0, 3), (3, -1)])
    def test_grids(self, grid: tuple[int, int]) -> None:
        with pytest.raises(ShapeError, match="grid: expected at least"):
            region_pooling(CHECKERBOARD, grid)


class TestPainting:
    def test_whole_regions_are_painted(self) -> None:
        # Card, oracle 10.
        values = torch.tensor([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0], [4.0, 8.0]])
        painted = paint_regions(CHECKERBOARD, values)
        assert painted.shape == (2, 16, 16)
        for region in range(4):
            assert (painted[:, region == CHECKERBOARD] == values[region][:, None]).all()

    def test_gradient_counts_pixels(self) -> None:
        values = torch.zeros(3, 2, requires_grad=True)
        paint_regions(torch.tensor([[0, 1, 1], [2, 1, 1]], dtype=torch.uint8), values).sum().backward()
        assert torch.equal(values.grad, torch.tensor([[1.0, 1.0], [4.0, 4.0], [1.0, 1.0]]))

    @pytest.mark.parametrize("values", [torch.zeros(3, 2), torch.zeros(5, 2), torch.zeros(4)])
    def test_values(self, values: Tensor) -> None:
        with pytest.raises(ShapeError, match="values: expected one row for each of 4 regions"):
            paint_regions(CHECKERBOARD, values)


@each("call", [region_adjacency, lambda r: region_pooling(r, (2, 2)), lambda r: paint_regions(r, r)])
@each(
    ("regions", "message"),
    [
        (torch.zeros(4, dtype=torch.int64), r"regions: expected shape \(H, W\)"),
        (torch.zeros(2, 2), "regions: expected labels from 0 up"),
        (torch.zeros(0, 3, dtype=torch.int64), "regions: expected labels from 0 up"),
        (torch.tensor([[0, -1]]), "regions: expected labels from 0 up"),
        (torch.tensor([[0, 2]]), "regions: label 1 has no pixel"),
    ],
)
def test_regions_that_are_refused(call: Callable[[Tensor], object], regions: Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call(regions)
