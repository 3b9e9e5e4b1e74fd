import math

import pytest
import torch
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.ops.readout import GridReadout, RegionReadout

DOUBLE = torch.float64


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


class TestReadout:
    @each("size", [(16, 24), (13, 18), (8, 8), (3, 20), (1, 1)])
    def test_pixels_lie_where_the_padded_map_has_them(self, size: tuple[int, int]) -> None:
        readout = GridReadout(size)
        assert readout.size == (math.ceil(size[0] / 8), math.ceil(size[1] / 8))
        values = noise(readout.num_nodes, 3)
        rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
        found = (readout.at(rows.flatten(), columns.flatten(), DOUBLE) @ values).reshape(*size, 3)
        padded = (8 * readout.size[0], 8 * readout.size[1])
        maps = torch.nn.functional.interpolate(readout.maps(values)[None], padded, mode="bilinear")[0]
        torch.testing.assert_close(found, maps.permute(1, 2, 0)[: size[0], : size[1]])

    def test_gradients(self) -> None:
        readout, values = GridReadout((13, 18)), noise(6, 2).requires_grad_()
        picked = torch.tensor([[0, 0], [12, 17], [5, 9], [5, 9]])
        rows = readout.at(picked[:, 0], picked[:, 1], DOUBLE)
        expected = dense.pixel_matrix((2, 3), 8)[picked[:, 0], picked[:, 1]]
        torch.testing.assert_close(rows.to_dense(), expected)
        slope = noise(4, 2, seed=1)
        torch.testing.assert_close(torch.autograd.grad((rows @ values * slope).sum(), values)[0], expected.T @ slope)

    def test_regions(self) -> None:
        regions = torch.tensor([[0, 0, 2], [1, 1, 2]])
        readout, values = RegionReadout(regions), noise(3, 2)
        assert (readout.image_size, readout.num_nodes, readout.stride) == ((2, 3), 3, None)
        found = readout.at(torch.tensor([1, 0]), torch.tensor([0, 2]), DOUBLE) @ values
        assert found.equal(values[[1, 2]])
        assert readout.maps(values).equal(values.T[:, regions])

    def test_other_regions_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="regions"):
            RegionReadout(torch.tensor([[-1, 0]]))
