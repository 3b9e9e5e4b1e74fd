"""Means over squares of cells against loops."""

import torch

from cases import each
from weakseg.ops.cell_squares import pool_cells, spread_cells


@each("masked", [False, True])
def test_means_and_shares(masked: bool) -> None:
    maps = torch.arange(60, dtype=torch.float64).reshape(1, 2, 5, 6) ** 1.5
    mask = torch.zeros(1, 5, 6, dtype=torch.bool)
    mask[:, :3, :3] = True
    mask = mask if masked else ~torch.zeros_like(mask)
    means, there = pool_cells(maps * mask[:, None], 2, mask if masked else None)
    shares = torch.tensor([[0.5, 0.1, 0.0], [0.2, 0.2, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)[None]
    spread = spread_cells(shares, maps, 2, mask if masked else None)
    assert means.shape == (1, 2, 3, 3) and spread.shape == (1, 5, 6)
    for row in range(3):
        for column in range(3):
            square = (slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2))
            inside = mask[0][square]
            assert bool(there[0, row, column]) == bool(inside.any())
            if inside.any():
                torch.testing.assert_close(means[0, :, row, column], maps[0][:, *square][:, inside].mean(1))
                expected = shares[0, row, column] / inside.sum() * inside
                torch.testing.assert_close(spread[0][square], expected)
            else:
                assert not means[0, :, row, column].any() and not spread[0][square].any()
    torch.testing.assert_close(spread.sum(), shares.sum())
