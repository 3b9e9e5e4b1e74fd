"""Squares of cells: means over them, and their values back at the cells."""

import torch
from torch import Tensor
from torch.nn import functional as F


def pool_cells(maps: Tensor, side: int, cell_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return means over squares of cells, and which squares have a cell.

    Args:
        maps: ``(n, C, H, W)`` float, zero outside of the mask.
        side: Of the squares, in cells; at the right and the lower border some are cut off.
        cell_mask: ``(n, H, W)`` bool: cells that count; ``None``: all.

    Returns:
        ``(n, C, h, w)``, and ``(n, h, w)`` bool, with ``h = ceil(H / side)``.
    """
    counts = _counts(maps, side, cell_mask)
    sums = F.avg_pool2d(F.pad(maps, _beyond(maps, side)), side) * side**2
    return sums / counts.clamp(min=1), counts[:, 0] > 0


def spread_cells(shares: Tensor, like: Tensor, side: int, cell_mask: Tensor | None = None) -> Tensor:
    """Return ``(n, H, W)`` of the shares of squares: those of a square in equal parts, so that sums stay.

    Args:
        shares: ``(n, h, w)`` of squares.
        like: ``(n, C, H, W)`` that the squares are of.
        side: As of ``pool_cells``.
        cell_mask: As of ``pool_cells``.
    """
    parts = shares / _counts(like, side, cell_mask)[:, 0].clamp(min=1)
    wide = parts.repeat_interleave(side, 1).repeat_interleave(side, 2)[:, : like.shape[2], : like.shape[3]]
    return wide if cell_mask is None else wide * cell_mask


def _counts(maps: Tensor, side: int, cell_mask: Tensor | None) -> Tensor:
    """Return ``(n, 1, h, w)``: cells that count in each square."""
    counted = torch.ones_like(maps[:, :1]) if cell_mask is None else cell_mask[:, None].to(maps.dtype)
    return F.avg_pool2d(F.pad(counted, _beyond(maps, side)), side) * side**2


def _beyond(maps: Tensor, side: int) -> tuple[int, int, int, int]:
    return 0, -maps.shape[3] % side, 0, -maps.shape[2] % side
