"""Tiles that cover an image and overlap, and what is found in each of them blended into one map."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from weakseg.errors import ShapeError


class Tile(NamedTuple):
    """A part of an image.

    Attributes:
        rows: From, and to without, which row.
        columns: The same of columns.
    """

    rows: slice
    columns: slice

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def tile_rows(size: tuple[int, int], side: int, overlap: int) -> list[list[Tile]]:
    """Return the tiles that cover an image, those of one row after those of the row above.

    Every tile is ``side`` long, or as long as the image where that is shorter: the last ones are moved into the image,
    and overlap more.

    Args:
        size: (rows, columns) of the image.
        side: Of a tile.
        overlap: That neighbours share at least.

    Raises:
        ShapeError: If a tile would not begin after the one before.
    """
    if not 0 <= overlap < side:
        raise ShapeError(f"tiles: expected an overlap from 0 to below the side of {side}, got {overlap}")
    rows, columns = (_spans(length, side, overlap) for length in size)
    return [[Tile(row, column) for column in columns] for row in rows]


def _spans(length: int, side: int, overlap: int) -> list[slice]:
    side, step = min(side, length), side - overlap
    count = 1 + max(0, math.ceil((length - side) / step))
    return [slice(start, start + side) for start in (min(i * step, length - side) for i in range(count))]


def tile_weights(tile: Tile, size: tuple[int, int], overlap: int) -> Tensor:
    """Return the ``(h, w)`` float64 weights of a tile's pixels: they fall linearly over the overlap, not at the border.

    Where two tiles share ``overlap`` pixels theirs add up to one.
    """
    row, column = (_ramp(span, length, overlap) for span, length in zip((tile.rows, tile.columns), size, strict=True))
    return row[:, None] * column


def _ramp(span: slice, length: int, overlap: int) -> Tensor:
    place = torch.arange(span.stop - span.start, dtype=torch.float64) + 0.5
    weights, width = torch.ones_like(place), max(1, overlap)
    if span.start > 0:
        weights *= (place / width).clamp(max=1)
    if span.stop < length:
        weights *= (place.flip(0) / width).clamp(max=1)
    return weights


def blend_tiles(
    size: tuple[int, int], side: int, overlap: int, find: Callable[[Tile], Tensor]
) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of the mean of what is found in tiles, by their weights, from top to bottom.

    No more than one row of tiles is kept. The mean is built up by ``m + w / W (x - m)``, which leaves values that all
    tiles agree on as they are, to the last bit.

    Args:
        size: (rows, columns) of the image.
        side: Of a tile.
        overlap: That neighbours share at least.
        find: From a tile to ``(C, h, w)`` floats of its pixels.

    Yields:
        Which rows, and their ``(C, r, columns)``.
    """
    rows = tile_rows(size, side, overlap)
    tops, high = [row[0].rows.start for row in rows], rows[0][0].size[0]
    band, total = torch.zeros(0), torch.zeros(high, size[1], dtype=torch.float64)
    for row, (top, following) in zip(rows, pairwise([*tops, size[0]]), strict=True):
        for tile in row:
            found, weights = find(tile), tile_weights(tile, size, overlap)
            band = band if band.numel() else found.new_zeros(len(found), high, size[1])
            total[:, tile.columns] += weights
            mean = band[:, :, tile.columns]
            mean += (found - mean) * (weights / total[:, tile.columns]).to(found)
        yield slice(top, following), band[:, : following - top]
        band, total = _moved(band, following - top), _moved(total[None], following - top)[0]


def _moved(band: Tensor, done: int) -> Tensor:
    """Return a band without its first rows, zeros below."""
    return torch.cat([band[:, done:], torch.zeros_like(band[:, :done])], 1)
