"""Tiles cover an image, their weights are a partition of unity, and what does not look around is as without tiles."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from weakseg.errors import ShapeError
from weakseg.ops.blend import Tile, blend_tiles, tile_rows, tile_weights

SIDES = st.tuples(st.integers(1, 60), st.integers(1, 60))
FEW = 60  # tiles


@st.composite
def tilings(draw: st.DrawFn) -> tuple[tuple[int, int], int, int]:
    """Draw the size of an image, the side of tiles, and an overlap."""
    size, side = draw(SIDES), draw(st.integers(1, 40))
    return size, side, draw(st.integers(0, side - 1))


def whole(size: tuple[int, int], side: int, overlap: int, maps: Tensor) -> Tensor:
    """Return maps of which each tile sees its own part, blended."""
    return torch.cat([m.clone() for _, m in blend_tiles(size, side, overlap, lambda tile: maps[:, *tile].clone())], 1)


@given(tilings())
def test_tiles_cover_the_image_and_are_all_of_one_size(tiling: tuple[tuple[int, int], int, int]) -> None:
    """The last tile of an axis is moved into the image: it is neither shorter nor does it reach out."""
    size, side, overlap = tiling
    rows = tile_rows(size, side, overlap)
    seen = np.zeros(size, int)
    for row in rows:
        assert len({(tile.rows.start, tile.rows.stop) for tile in row}) == 1
        for tile in row:
            assert tile.size == (min(side, size[0]), min(side, size[1]))
            assert tile.rows.start >= 0 and tile.rows.stop <= size[0] and tile.columns.stop <= size[1]
            seen[tile] += 1
    assert seen.min() >= 1
    for before, after in zip(rows[0], rows[0][1:], strict=False):
        assert before.columns.start < after.columns.start <= before.columns.stop - overlap


def test_the_last_tile_is_moved_inside() -> None:
    """By hand: 10 columns, tiles of 4 that share 1: they begin at 0, 3 and 6; of 11 columns the last at 7, not at 9."""
    assert [tile.columns.start for tile in tile_rows((4, 10), 4, 1)[0]] == [0, 3, 6]
    assert [tile.columns.start for tile in tile_rows((4, 11), 4, 1)[0]] == [0, 3, 6, 7]
    assert tile_rows((3, 2), 4, 1) == [[Tile(slice(0, 3), slice(0, 2))]]


@given(tilings())
@settings(deadline=None, max_examples=30)
def test_weights_are_a_partition_of_unity(tiling: tuple[tuple[int, int], int, int]) -> None:
    """Each tile says 1 in a map of its own and 0 in those of the others: blended these are the weights."""
    size, side, overlap = tiling
    tiles = [tile for row in tile_rows(size, side, overlap) for tile in row]
    assume(len(tiles) <= FEW)

    def own(tile: Tile) -> Tensor:
        found = torch.zeros(len(tiles), *tile.size, dtype=torch.float64)
        found[tiles.index(tile)] = 1
        return found

    weights = torch.cat([found.clone() for _, found in blend_tiles(size, side, overlap, own)], 1)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(0), torch.ones(size, dtype=torch.float64))
    for number, tile in enumerate(tiles):
        outside = torch.ones(size, dtype=torch.bool)
        outside[tile] = False
        assert not weights[number, outside].any()


def test_weights_fall_linearly_and_complement_each_other() -> None:
    """By hand: tiles of 6 that share 2: the first falls by 3/4, 1/4, as the second rises by 1/4, 3/4."""
    first, second = tile_rows((1, 10), 6, 2)[0]
    torch.testing.assert_close(tile_weights(first, (1, 10), 2)[0], torch.tensor([1, 1, 1, 1, 0.75, 0.25]).double())
    torch.testing.assert_close(tile_weights(second, (1, 10), 2)[0], torch.tensor([0.25, 0.75, 1, 1, 1, 1]).double())


@given(tilings(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_a_function_of_single_pixels_is_the_same_to_the_last_bit(
    tiling: tuple[tuple[int, int], int, int], seed: int
) -> None:
    size, side, overlap = tiling
    image = torch.randn(2, *size, generator=torch.Generator().manual_seed(seed))
    maps = torch.tanh(3 * image).exp()
    assert whole(size, side, overlap, maps).equal(maps)


def test_what_looks_less_far_than_half_the_overlap_differs_by_little_at_seams() -> None:
    """A mean over 9 pixels: tiles that share 32 are exact where no ramp reaches, and near it everywhere."""
    image = torch.randn(1, 150, 170, generator=torch.Generator().manual_seed(0))

    def blurred(maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps[None], 9, 1, 4, count_include_pad=False)[0]

    found = torch.cat([m.clone() for _, m in blend_tiles((150, 170), 64, 32, lambda t: blurred(image[:, *t]))], 1)
    error = (found - blurred(image)).abs()
    hard = torch.cat([m.clone() for _, m in blend_tiles((150, 170), 64, 0, lambda t: blurred(image[:, *t]))], 1)
    assert error.max() < 0.2 * (hard - blurred(image)).abs().max()


def test_no_more_than_a_row_of_tiles_is_kept() -> None:
    """Bands come as soon as no later tile reaches them."""
    asked: list[Tile] = []

    def find(tile: Tile) -> Tensor:
        asked.append(tile)
        return torch.zeros(1, *tile.size)

    bands = blend_tiles((1000, 100), 100, 20, find)
    rows, found = next(bands)
    assert rows == slice(0, 80) and found.shape == (1, 80, 100) and len(asked) == 1
    assert [rows for rows, _ in bands][-1].stop == 1000


@pytest.mark.parametrize("overlap", [-1, 8, 9])
def test_tiles_that_do_not_advance_are_refused(overlap: int) -> None:
    with pytest.raises(ShapeError, match=f"overlap from 0 to below the side of 8, got {overlap}"):
        tile_rows((10, 10), 8, overlap)
