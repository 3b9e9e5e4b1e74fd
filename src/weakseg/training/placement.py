"""Where a variant of an image that shows all of it lies on its canvas, and how maps get there and back."""

from typing import NamedTuple

import torch
from torch import Tensor

from weakseg.ops.resample import Cells, resample_cells, resize_maps, sample_maps
from weakseg.training.augment import View


class Placement(NamedTuple):
    """Where a variant of an image lies on the canvas that the network sees, and what is hidden of it.

    Attributes:
        top: First row of the image.
        left: First column.
        rows: Of the image as it was scaled.
        columns: Of the image as it was scaled.
        mirrored: Whether left and right are exchanged.
        hidden: Whether what is known of it already is hidden.
    """

    top: int
    left: int
    rows: int
    columns: int
    mirrored: int = 0
    hidden: int = 0

    @classmethod
    def of(cls, view: View, *, hidden: bool = False) -> "Placement":
        """Return that of a view that shows the whole image."""
        rows, columns = view.target
        return cls(rows.start, columns.start, *view.size, view.mirrored, hidden)

    def undone(self, maps: Tensor, grid: tuple[int, int], cells: Cells) -> Tensor:
        """Return ``(K, *grid)`` maps that cover the image exactly, of ``(K, h, w)`` maps of the canvas, or of none.

        Args:
            maps: Of the network.
            grid: (rows, columns) of the result.
            cells: Where the network's cells lie.
        """
        if not len(maps):
            return maps.new_zeros(0, *grid)
        found = resample_cells(maps, grid, (self.rows, self.columns), cells, (self.top, self.left))
        return found.flip(-1) if self.mirrored else found

    def at_cells(self, maps: Tensor, size: tuple[int, int], cells: Cells) -> Tensor:
        """Return ``(K, *size)`` of ``(K, h, w)`` maps that cover the image: at the cells of a network on the canvas.

        Cells that look at what lies beside the image are NaN.
        """
        turned, places, inside = maps.flip(-1) if self.mirrored else maps, [], []
        for count, first, length, side in zip(size, self[:2], self[2:4], maps.shape[1:], strict=True):
            pixel = cells.first + cells.stride * torch.arange(count, dtype=maps.dtype) - first
            places.append((pixel + 0.5) * (side / length) - 0.5)
            inside.append((pixel > -0.5) & (pixel < length - 0.5))
        found = sample_maps(turned, places[0], places[1])
        return found.masked_fill(~(inside[0][:, None] & inside[1]), torch.nan)

    def done(self, maps: Tensor, side: int) -> Tensor:
        """Return ``(K, side, side)`` maps of the canvas, 0 beside the image, of ``(K, h, w)`` maps that cover it."""
        scaled = resize_maps(maps, (self.rows, self.columns))
        canvas = maps.new_zeros(len(maps), side, side)
        place = slice(self.top, self.top + self.rows), slice(self.left, self.left + self.columns)
        canvas[:, *place] = scaled.flip(-1) if self.mirrored else scaled
        return canvas
