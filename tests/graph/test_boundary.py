from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.boundary import boundary_affinity, path_cells
from weakseg.ops.stencil import half_disc, stencil_matrix

FIVE, TEN = half_disc(5), half_disc(10)


def random_boundary(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distinct_boundary(height: int, width: int, seed: int = 0) -> Tensor:
    """Return values at least 1 / (N + 1) apart, so that finite differences change no maximum."""
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))
    return ((order + 1) / (height * width + 1)).double().reshape(height, width)


class TestPaths:
    """irnet.md, oracle 1."""

    @pytest.mark.parametrize(("offsets", "count", "cells", "longest"), [(FIVE, 34, 242, 11), (TEN, 152, 2134, 22)])
    def test_counts(self, offsets: tuple[tuple[int, int], ...], count: int, cells: int, longest: int) -> None:
        lengths = [len(path_cells(offset)) for offset in offsets]
        assert (len(offsets), sum(lengths), max(lengths)) == (count, cells, longest)

    def test_lengths_of_radius_five(self) -> None:
        counted = Counter(len(path_cells(offset)) for offset in FIVE)
        assert counted == {2: 2, 3: 2, 4: 4, 5: 2, 6: 4, 7: 2, 8: 8, 10: 6, 11: 4}

    def test_explicit_paths(self) -> None:
        assert path_cells((0, 4)) == ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4))
        assert set(path_cells((1, 1))) == {(0, 0), (0, 1), (1, 0), (1, 1)}
        assert set(path_cells((1, 2))) == {(y, x) for y in (0, 1) for x in (0, 1, 2)}
        assert set(path_cells((2, 2))) == {(y, x) for y in (0, 1, 2) for x in (0, 1, 2)} - {(0, 2), (2, 0)}
        assert set(path_cells((3, 2))) == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2), (3, 1), (3, 2)}
        assert len(path_cells((3, 3))) == 10

    def test_both_directions_fill_the_disc(self) -> None:
        both = {*FIVE, *((-y, -x) for y, x in FIVE)}
        assert both == {(y, x) for y in range(-4, 5) for x in range(-4, 5) if 0 < y * y + x * x < 25}

    @each("offset", TEN)
    def test_same_cells_as_by_distance_from_the_line(self, offset: tuple[int, int]) -> None:
        assert sorted(path_cells(offset)) == sorted(dense.cells_between(offset))

    @each("offset", TEN)
    def test_connected_through_sides_and_the_same_backwards(self, offset: tuple[int, int]) -> None:
        cells = set(path_cells(offset))
        assert {(offset[0] - y, offset[1] - x) for y, x in cells} == cells
        reached, queue = {(0, 0)}, [(0, 0)]
        while queue:
            y, x = queue.pop()
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & cells - reached
            reached |= near
            queue += near
        assert reached == cells


class TestAffinity:
    @pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (1.0, 0.0), (0.25, 0.75)])
    def test_constant_boundary(self, value: float, expected: float) -> None:
        # irnet.md, oracle 2: complete neighbourhood of 68 inside, 38 at the middle of an edge, 21 in a corner.
        affinity = boundary_affinity(torch.full((11, 13), value, dtype=torch.float64), FIVE)
        degrees = stencil_matrix(affinity, FIVE).row_sums().reshape(11, 13)
        found = [float(degrees[cell]) for cell in ((5, 6), (0, 6), (0, 0))]
        assert found == pytest.approx([68 * expected, 38 * expected, 21 * expected])

    def test_three_cells(self) -> None:
        # irnet.md, oracle 3: the boundary in the middle counts as an end and as a part of the path.
        affinity = boundary_affinity(torch.tensor([[0.0, 0.1, 0.0]], dtype=torch.float64), ((0, 1), (0, 2)))
        torch.testing.assert_close(affinity, torch.tensor([[[0.9, 0.9, 0.0]], [[0.9, 0.0, 0.0]]]).double())

    def test_nothing_leaks_over_the_edge(self) -> None:
        boundary = torch.zeros(4, 5, dtype=torch.float64)
        affinity = boundary_affinity(boundary, ((0, 2), (1, -2), (-1, 1)))
        expected = torch.zeros(3, 4, 5, dtype=torch.float64)
        expected[0, :, :3], expected[1, :3, 2:], expected[2, 1:, :4] = 1, 1, 1
        torch.testing.assert_close(affinity, expected, rtol=0, atol=0)

    @settings(max_examples=15)
    @given(height=st.integers(1, 7), width=st.integers(1, 7), seed=st.integers(0, 99))
    def test_equals_the_dense_version(self, height: int, width: int, seed: int) -> None:
        boundary = distinct_boundary(height, width, seed).requires_grad_()
        found, expected = boundary_affinity(boundary, FIVE), dense.boundary_affinity(boundary, FIVE)
        torch.testing.assert_close(found, expected)
        pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        (by_found,) = torch.autograd.grad((found * pull).sum(), boundary)
        nothing = 0 * boundary.sum()  # where there is no pair
        (by_expected,) = torch.autograd.grad((expected * pull).sum() + nothing, boundary)
        torch.testing.assert_close(by_found, by_expected)

    def test_larger_radius_equals_the_dense_version(self) -> None:
        boundary = random_boundary(11, 10)
        torch.testing.assert_close(boundary_affinity(boundary, TEN), dense.boundary_affinity(boundary, TEN))

    def test_gradient(self) -> None:
        # irnet.md, oracle 12
        boundary = distinct_boundary(3, 4).requires_grad_()
        assert torch.autograd.gradcheck(lambda b: boundary_affinity(b, half_disc(3)), (boundary,), eps=1e-4)

    def test_of_equal_maxima_the_first_takes_the_gradient(self) -> None:
        boundary = torch.full((1, 3), 0.5, dtype=torch.float64, requires_grad=True)
        boundary_affinity(boundary, ((0, 2),)).sum().backward()
        torch.testing.assert_close(boundary.grad, torch.tensor([[-1.0, 0, 0]]).double())

    def test_several_maps_at_once(self) -> None:
        maps = torch.stack([random_boundary(6, 5, seed) for seed in range(3)]).requires_grad_()
        together = boundary_affinity(maps, FIVE)
        alone = torch.stack([boundary_affinity(boundary, FIVE) for boundary in maps])
        torch.testing.assert_close(together, alone, rtol=0, atol=0)
        pull = torch.arange(together.numel(), dtype=torch.float64).reshape(together.shape)
        (first,) = torch.autograd.grad((together * pull).sum(), maps)
        (second,) = torch.autograd.grad((alone * pull).sum(), maps)
        torch.testing.assert_close(first, second)

    @each("size", [(1, 1), (1, 4), (3, 1), (2, 2)])
    def test_grids_smaller_than_the_window(self, size: tuple[int, int]) -> None:
        boundary = random_boundary(*size).requires_grad_()
        affinity = boundary_affinity(boundary, TEN)
        torch.testing.assert_close(affinity, dense.boundary_affinity(boundary, TEN))
        affinity.sum().backward()
        assert boundary.grad is not None
        pairs = len(dense.neighbor_pairs(size, TEN))
        assert float(boundary.grad.sum()) == -pairs  # each pair pulls at one cell

    def test_the_map_is_left_alone(self) -> None:
        boundary = random_boundary(5, 6)
        copy = boundary.clone()
        boundary_affinity(boundary, FIVE)
        torch.testing.assert_close(boundary, copy, rtol=0, atol=0)

    @each("bad", [1.5, -0.1, torch.nan, torch.inf])
    def test_other_than_probabilities_are_refused(self, bad: float) -> None:
        boundary = random_boundary(3, 3)
        boundary[1, 1] = bad
        with pytest.raises(ShapeError, match="boundary"):
            boundary_affinity(boundary, FIVE)

    def test_a_row_of_numbers_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="boundary"):
            boundary_affinity(torch.zeros(4), FIVE)
