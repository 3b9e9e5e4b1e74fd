import pytest
import torch
from torch.nn import functional as F

from weakseg.nn.pairs.branches import Branch, concatenated, enlarged, pooled_to


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_branch_step_by_step(factor: int) -> None:
    # irnet.md, 2.1: convolution, group norm, resizing, ReLU, in this order.
    torch.manual_seed(0)
    branch, features = Branch(6, 8, 4), torch.randn(2, 6, 5, 7)
    with torch.no_grad():
        mixed = branch.norm(F.conv2d(features, branch.conv.weight))
        grown = F.interpolate(mixed, scale_factor=factor, mode="bilinear", align_corners=False)
        torch.testing.assert_close(branch(features, factor), F.relu(grown))
    assert branch.conv.bias is None


@pytest.mark.parametrize(("stride", "grid_stride"), [(14, 4), (14, 8), (16, 8), (32, 4), (8, 8), (4, 8)])
def test_coarser_maps_are_interpolated_where_the_middles_of_cells_lie(stride: int, grid_stride: int) -> None:
    # A map that rises along both axes in steps of its own cells rises with the pixels on the grid, but for the edges.
    rows, columns = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    maps = torch.stack([rows, columns])[None] * stride + (stride - 1) / 2
    found = enlarged(maps, stride, grid_stride)
    if stride <= grid_stride:
        assert found is maps
        return
    assert found.shape[2:] == (-(-5 * stride // grid_stride), -(-7 * stride // grid_stride))
    for axis, last in ((0, 4), (1, 6)):
        middles = torch.arange(found.shape[2 + axis]) * grid_stride + (grid_stride - 1) / 2
        wanted = middles.clamp((stride - 1) / 2, last * stride + (stride - 1) / 2)
        torch.testing.assert_close(found[0, axis].select(1 - axis, 0), wanted)


@pytest.mark.parametrize(("stride", "size"), [(2, (4, 5)), (4, (7, 9)), (8, (7, 9))])
def test_what_is_finer_than_the_grid_is_pooled(stride: int, size: tuple[int, int]) -> None:
    features = torch.rand(1, 2, 7, 9)
    pooled = pooled_to(features, stride, 4)
    assert pooled.shape[2:] == size
    if stride >= 4:
        assert pooled is features
    else:
        assert pooled[0, 0, 1, 1] == features[0, 0, 1:4, 1:4].max()


def test_maps_are_cut_and_put_together() -> None:
    one, other = torch.rand(1, 2, 4, 5), torch.rand(1, 3, 3, 6)
    found = concatenated([one, other], (3, 5))
    assert found[:, :2].equal(one[..., :3, :]) and found[:, 2:].equal(other[..., :5])
