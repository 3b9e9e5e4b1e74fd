import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import each
from sparse_graphs import noise, value_and_gradients
from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, block_diagonal
from weakseg.ops.stencil import (
    Offset,
    half_disc,
    half_square,
    half_window,
    shifted_views,
    stencil_matrix,
    stencil_pattern,
    stencil_weights,
)

SIZES = ((1, 1), (1, 2), (3, 1), (2, 3), (6, 7))  # a window of radius 5 is wider than all
FIVE = half_disc(5)


def opposite(offsets: tuple[Offset, ...]) -> set[Offset]:
    return {(-y, -x) for y, x in offsets}


def degrees(size: tuple[int, int], offsets: tuple[Offset, ...]) -> Tensor:
    """Return the ``(h, w)`` number of neighbours."""
    pattern, _ = stencil_pattern(size, offsets, "cpu")
    return pattern.row_starts.diff().reshape(size) - 1  # the diagonal is an entry, too


def distances(values: Tensor, offsets: tuple[Offset, ...]) -> SparseMatrix:
    """Return ``|v_i - v_j|`` of ``(h, w)`` values between neighbours: a graph that moves with its image."""
    maps = values.new_zeros(len(offsets), *values.shape)
    for plane, offset in zip(maps, offsets, strict=True):
        here, there = shifted_views(values, offset)
        shifted_views(plane, offset)[0].copy_((here - there).abs())
    return stencil_matrix(maps, offsets)


class TestOffsets:
    """irnet.md, 2.2, and psa.md, 7.2."""

    @each(("radius", "count"), [(0, 0), (1, 0), (1.2, 2), (2, 4), (3, 12), (5, 34), (10, 152)])
    def test_numbers_in_half_a_disc(self, radius: float, count: int) -> None:
        assert len(half_disc(radius)) == count

    @pytest.mark.parametrize(("radius", "reaches"), [(5, (4, 4, 4, 3, 2)), (10, (9, 9, 9, 9, 9, 8, 7, 7, 5, 4))])
    def test_columns_of_each_row(self, radius: int, reaches: tuple[int, ...]) -> None:
        rows = [list(range(1, reaches[0] + 1))] + [list(range(-reach, reach + 1)) for reach in reaches[1:]]
        expected = [(y, x) for y, columns in enumerate(rows) for x in columns]
        assert half_disc(radius) == tuple(expected)

    @each("radius", [0, 1, 1.2, 2, 2.5, 5, 10])
    def test_both_halves_are_the_disc_without_its_centre(self, radius: float) -> None:
        window = itertools.product(range(-11, 12), repeat=2)
        disc = {(y, x) for y, x in window if 0 < y * y + x * x < radius * radius}
        offsets = half_disc(radius)
        assert set(offsets) | opposite(offsets) == disc
        assert 2 * len(offsets) == len(disc)

    @each(("radius", "count"), [(0, 0), (1, 4), (2, 12), (3, 24), (4, 40)])
    def test_both_halves_are_the_square_without_its_centre(self, radius: int, count: int) -> None:
        square = set(itertools.product(range(-radius, radius + 1), repeat=2)) - {(0, 0)}
        offsets = half_square(radius)
        assert set(offsets) | opposite(offsets) == square
        assert len(offsets) == count == len(square) / 2

    @pytest.mark.parametrize(
        ("radius", "square", "disc"), [(0, 0, 0), (1, 4, 2), (3, 24, 14), (4, 40, 24), (5, 60, 40)]
    )
    def test_windows(self, radius: int, square: int, disc: int) -> None:
        # a2gnn.md, section 4, 8: |d| <= r in the paper, which has r = 5; 1 + 2 * 40 = 81 lattice points.
        assert half_window(radius) == half_square(radius) and len(half_window(radius, "square")) == square
        found = half_window(radius, "disc")
        assert len(found) == disc and set(found) <= set(half_square(radius))
        assert all(y * y + x * x <= radius**2 for y, x in found) and ((radius, 0) in found or not radius)

    def test_a_negative_radius_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="radius: expected 0 or more, got -1"):
            half_square(-1)


class TestShiftedViews:
    def test_two_by_three(self) -> None:
        maps = torch.arange(6).reshape(2, 3)
        here, there = shifted_views(maps, (1, -1))
        assert here.tolist() == [[1, 2]]
        assert there.tolist() == [[3, 4]]

    @each("size", SIZES)
    def test_every_pair_at_the_offset_once(self, size: tuple[int, int]) -> None:
        cells = torch.stack(torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij"))
        for y, x in itertools.product(range(-7, 8), repeat=2):
            here, there = shifted_views(cells, (y, x))
            assert here.shape == there.shape == (2, max(0, size[0] - abs(y)), max(0, size[1] - abs(x)))
            assert (there - here == torch.tensor([y, x])[:, None, None]).all()

    def test_they_share_the_memory_of_the_maps(self) -> None:
        maps = torch.zeros(2, 3, 4)
        here, there = shifted_views(maps, (1, 2))
        here += 1
        there += 10
        expected = [[1, 1, 0, 0], [1, 1, 10, 10], [0, 0, 10, 10]]
        assert maps.tolist() == [expected, expected]


class TestCounts:
    """psa.md, 7.2, and irnet.md, 7.2."""

    def test_neighbours_within_five(self) -> None:
        found = degrees((47, 63), FIVE)
        assert (found[4:-4, 4:-4] == 68).all()
        for edge in (found[0, 4:-4], found[-1, 4:-4], found[4:-4, 0], found[4:-4, -1]):
            assert (edge == 38).all()
        assert found[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [21] * 4

    def test_pairs_within_five(self) -> None:
        assert degrees((47, 63), FIVE).sum() == 2 * 93_314
        maps = torch.zeros(47, 63)
        assert sum(shifted_views(maps, offset)[0].numel() for offset in FIVE) == 93_314

    def test_row_sums_of_the_graph_without_boundaries(self) -> None:
        sums = stencil_matrix(torch.ones(34, 11, 12), FIVE, diagonal=1.0).row_sums().reshape(11, 12)
        assert (sums[5, 5], sums[0, 0], sums[0, 5]) == (69, 22, 39)


class TestStrip:
    """1 x 3 cells: two pairs at (0, 1); the last cell has no neighbour there."""

    WEIGHTS = torch.tensor([[[2.0, 3.0, torch.nan]]])

    def test_matrix(self) -> None:
        matrix = stencil_matrix(self.WEIGHTS, ((0, 1),), diagonal=7.0)
        assert matrix.to_dense().tolist() == [[7, 2, 0], [2, 7, 3], [0, 3, 7]]

    def test_the_opposite_offset(self) -> None:
        weights = torch.tensor([[[torch.nan, 2.0, 3.0]]])
        matrix = stencil_matrix(weights, ((0, -1),))
        assert matrix.to_dense().tolist() == [[0, 2, 0], [2, 0, 3], [0, 3, 0]]

    def test_a_diagonal_of_zeros_is_stored(self) -> None:
        matrix = stencil_matrix(self.WEIGHTS, ((0, 1),))
        assert matrix.pattern.columns.tolist() == [0, 1, 0, 1, 2, 1, 2]
        assert matrix.values.tolist() == [0, 2, 2, 0, 3, 3, 0]

    def test_a_diagonal_of_one_value_a_cell(self) -> None:
        matrix = stencil_matrix(self.WEIGHTS, ((0, 1),), diagonal=torch.tensor([[4.0, 5.0, 6.0]]))
        assert matrix.diagonal().tolist() == [4, 5, 6]

    def test_weights_of_the_matrix(self) -> None:
        matrix = stencil_matrix(self.WEIGHTS, ((0, 1),), diagonal=7.0)
        assert stencil_weights(matrix, (1, 3), ((0, 1),)).tolist() == [[[2, 3, 0]]]

    def test_gradients(self) -> None:
        # Each pair stands at (i, j) and (j, i).
        weights, diagonal = self.WEIGHTS.clone().requires_grad_(), torch.zeros(1, 3).requires_grad_()
        (stencil_matrix(weights, ((0, 1),), diagonal=diagonal) @ torch.ones(3, 1)).sum().backward()
        assert weights.grad is not None
        assert diagonal.grad is not None
        assert weights.grad.tolist() == [[[2, 2, 0]]]
        assert diagonal.grad.tolist() == [[1, 1, 1]]


def test_four_cells_in_a_square() -> None:
    # Cells 0 1 / 2 3; offsets right, down left, down, down right.
    weights = torch.arange(1.0, 17).reshape(4, 2, 2)
    matrix = stencil_matrix(weights, half_square(1)).to_dense()
    right, left_below, below, right_below = weights.flatten(1).tolist()
    expected = torch.zeros(4, 4)
    expected[0, 1], expected[2, 3] = right[0], right[2]
    expected[1, 2] = left_below[1]
    expected[0, 2], expected[1, 3] = below[0], below[1]
    expected[0, 3] = right_below[0]
    torch.testing.assert_close(matrix, expected + expected.T, rtol=0, atol=0)


class TestLaws:
    @each("size", SIZES)
    def test_symmetric_with_increasing_columns(self, size: tuple[int, int]) -> None:
        matrix = stencil_matrix(noise(34, *size), FIVE, diagonal=noise(*size))
        torch.testing.assert_close(matrix.to_dense(), matrix.to_dense().T, rtol=0, atol=0)
        inner = matrix.pattern.rows[1:] == matrix.pattern.rows[:-1]
        assert (matrix.pattern.columns.diff()[inner] > 0).all()

    @each("size", SIZES)
    def test_shifted_views_and_the_matrix_agree(self, size: tuple[int, int]) -> None:
        values = noise(*size)
        between = (values.flatten()[:, None] - values.flatten()).abs()
        near = stencil_matrix(torch.ones(34, *size, dtype=torch.float64), FIVE).to_dense()
        torch.testing.assert_close(distances(values, FIVE).to_dense(), near * between)

    @each("size", SIZES)
    @each("move", [lambda v: v.flip(0), lambda v: v.flip(1), lambda v: v.T])
    def test_a_mirrored_or_transposed_image(self, size: tuple[int, int], move: Callable[[Tensor], Tensor]) -> None:
        values = noise(*size)
        order = move(torch.arange(values.numel()).reshape(size)).flatten()
        moved = distances(move(values), FIVE).to_dense()
        torch.testing.assert_close(moved, distances(values, FIVE).to_dense()[order][:, order])

    def test_order_of_the_offsets_does_not_matter(self) -> None:
        weights = noise(34, 6, 7)
        found = stencil_matrix(weights.flip(0), FIVE[::-1])
        torch.testing.assert_close(found.values, stencil_matrix(weights, FIVE).values, rtol=0, atol=0)

    def test_images_of_several_sizes_in_one_matrix(self) -> None:
        matrices = [stencil_matrix(noise(34, *size), FIVE, diagonal=1.0) for size in SIZES]
        x = noise(sum(m.shape[0] for m in matrices), 2)
        parts = x.split([m.shape[0] for m in matrices])
        expected = torch.cat([m @ part for m, part in zip(matrices, parts, strict=True)])
        torch.testing.assert_close(block_diagonal(matrices) @ x, expected)

    @each("size", SIZES)
    def test_weights_and_matrix_are_inverse(self, size: tuple[int, int]) -> None:
        weights = noise(34, *size)
        for plane, offset in zip(weights, FIVE, strict=True):
            known = torch.zeros(size, dtype=torch.bool)
            shifted_views(known, offset)[0].fill_(True)
            plane[~known] = 0
        matrix = stencil_matrix(weights, FIVE, diagonal=noise(*size))
        torch.testing.assert_close(stencil_weights(matrix, size, FIVE), weights, rtol=0, atol=0)


class TestAgainstTheDenseVersion:
    """Value and gradient."""

    @staticmethod
    def check(size: tuple[int, int], offsets: tuple[Offset, ...], dtype: torch.dtype) -> None:
        inputs = noise(len(offsets), *size, dtype=dtype), noise(*size, dtype=dtype, seed=1)
        found = value_and_gradients(lambda w, d: stencil_matrix(w, offsets, diagonal=d).to_dense(), *inputs)
        expected = value_and_gradients(lambda w, d: dense.stencil_matrix(w, offsets, d), *inputs)
        torch.testing.assert_close(found, expected)

    @each("size", [*SIZES, (0, 4)])
    def test_half_disc(self, size: tuple[int, int]) -> None:
        self.check(size, FIVE, torch.float32)

    @settings(max_examples=60)
    @given(
        size=st.tuples(st.integers(0, 5), st.integers(0, 5)),
        chosen=st.lists(st.sampled_from(half_square(2)), unique=True, max_size=6),
        signs=st.lists(st.sampled_from([1, -1]), min_size=6, max_size=6),
        dtype=st.sampled_from([torch.float32, torch.float64]),
    )
    def test_any_offsets(
        self, size: tuple[int, int], chosen: list[Offset], signs: list[int], dtype: torch.dtype
    ) -> None:
        offsets = tuple((sign * y, sign * x) for (y, x), sign in zip(chosen, signs, strict=False))
        self.check(size, offsets, dtype)

    def test_gradcheck(self) -> None:
        inputs = noise(4, 2, 3).requires_grad_(), noise(2, 3).requires_grad_()
        x = noise(6, 2)
        assert torch.autograd.gradcheck(lambda w, d: stencil_matrix(w, half_square(1), diagonal=d) @ x, inputs)

    def test_gradcheck_of_the_weights(self) -> None:
        pattern, _ = stencil_pattern((2, 3), half_square(1), "cpu")
        inputs = (noise(pattern.num_entries).requires_grad_(),)
        assert torch.autograd.gradcheck(
            lambda v: stencil_weights(SparseMatrix(pattern, v), (2, 3), half_square(1)), inputs
        )


def test_a_grid_first_seen_in_inference_mode_serves_training() -> None:
    stencil_pattern.cache_clear()
    with torch.inference_mode():
        stencil_matrix(torch.ones(1, 2, 3), ((0, 1),)).row_sums()
    weights = torch.ones(1, 2, 3, requires_grad=True)
    stencil_matrix(weights, ((0, 1),)).row_sums().sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == [[[2, 2, 0], [2, 2, 0]]]


class TestErrors:
    @pytest.mark.parametrize("offsets", [((0, 1), (0, 1)), ((0, 1), (0, -1)), ((0, 0), (0, 1))])
    def test_offsets_that_name_a_pair_twice(self, offsets: tuple[Offset, ...]) -> None:
        with pytest.raises(ShapeError, match="offsets: each pair d, -d once"):
            stencil_matrix(torch.ones(2, 3, 4), offsets)

    @each("shape", [(1, 3, 4), (3, 3, 4), (3, 4), (1, 2, 3, 4)])
    def test_maps_that_are_not_one_an_offset(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match="weights: expected"):
            stencil_matrix(torch.ones(shape), ((0, 1), (1, 0)))

    @pytest.mark.parametrize(("size", "offsets"), [((4, 3), ((0, 1),)), ((3, 4), ((1, 0),)), ((3, 4), half_square(1))])
    def test_weights_of_another_stencil(self, size: tuple[int, int], offsets: tuple[Offset, ...]) -> None:
        matrix = stencil_matrix(torch.ones(1, 3, 4), ((0, 1),))
        with pytest.raises(ShapeError, match=r"matrix: \(12, 12\) with other entries than the stencil"):
            stencil_weights(matrix, size, offsets)

    @pytest.mark.parametrize(("starts", "columns"), [((0, 1, 2, 3, 4), (0, 1, 0, 1)), ((0, 2, 4), (1, 0, 0, 1))])
    def test_weights_of_a_matrix_with_other_rows_or_another_order(
        self, starts: tuple[int, ...], columns: tuple[int, ...]
    ) -> None:
        # The stencil of a pair of cells has the columns 0 1 / 0 1.
        pattern = Pattern(torch.tensor(starts).int(), torch.tensor(columns).int(), 2)
        with pytest.raises(ShapeError, match=r"matrix: \(\d, 2\) with other entries than the stencil"):
            stencil_weights(SparseMatrix(pattern, torch.ones(4)), (1, 2), ((0, 1),))
