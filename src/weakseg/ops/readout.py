"""How pixels read values off the nodes of a graph: between the cells of a grid, or from the region that they lie in."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern
from weakseg.ops.resample import bilinear_taps
from weakseg.ops.sparse import SparseMatrix


class Readout(Protocol):
    """The nodes that a pixel looks at."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Rows and columns of the photograph."""
        ...

    @property
    def num_nodes(self) -> int:
        """N."""
        ...

    @property
    def stride(self) -> int | None:
        """Pixels a cell of ``maps``, the last ones cut by the border; ``None`` where maps cover the image exactly."""
        ...

    def at(self, rows: Tensor, columns: Tensor, dtype: torch.dtype = torch.float32) -> SparseMatrix:
        """Return ``(P, N)``, rows summing to one: applied to values of nodes it gives those of the P pixels."""
        ...

    def maps(self, values: Tensor) -> Tensor:
        """Return ``(C, h, w)`` of ``(N, C)`` values of nodes."""
        ...


@dataclass(frozen=True)
class GridReadout:
    """Nodes are cells of ``stride`` pixels; pixels lie between them: bilinear, no corner alignment.

    The grid covers the image padded at the right and at the bottom to whole cells, so that no pixel moves.

    Attributes:
        image_size: (rows, columns) of the photograph, without padding.
        stride: Pixels a cell.
    """

    image_size: tuple[int, int]
    stride: int = 8

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return -(-self.image_size[0] // self.stride), -(-self.image_size[1] // self.stride)

    @property
    def num_nodes(self) -> int:
        """N."""
        return self.size[0] * self.size[1]

    def at(self, rows: Tensor, columns: Tensor, dtype: torch.dtype = torch.float32) -> SparseMatrix:
        """Return ``(P, N)`` weights of the up to four cells around each pixel."""
        (top, down), (left, right) = (bilinear_taps(self.stride * cells, cells, rows.device) for cells in self.size)
        cells = top[rows][:, :, None] * self.size[1] + left[columns][:, None]  # (P, k, k)
        weights = down[rows][:, :, None] * right[columns][:, None]
        return _fixed_taps(cells.flatten(1), weights.flatten(1).to(dtype), self.num_nodes)

    def maps(self, values: Tensor) -> Tensor:
        """Return ``(C, h, w)`` of ``(N, C)`` values."""
        return values.T.reshape(-1, *self.size)


@dataclass(frozen=True, eq=False)
class RegionReadout:
    """Nodes are regions; a pixel has the values of its region.

    Attributes:
        regions: ``(H, W)`` integer in {0..R-1}, each at least once.
    """

    regions: Tensor

    def __post_init__(self) -> None:
        """Refuse what is no map of regions."""
        if self.regions.ndim != 2 or not self.regions.numel() or int(self.regions.min()) < 0:
            raise ShapeError(f"regions: expected (H, W) labels from 0 up, got {tuple(self.regions.shape)}")

    @property
    def image_size(self) -> tuple[int, int]:
        """Rows and columns of the photograph."""
        return self.regions.shape[0], self.regions.shape[1]

    @property
    def num_nodes(self) -> int:
        """R."""
        return int(self.regions.max()) + 1

    @property
    def stride(self) -> None:
        """Maps cover the image exactly."""
        return None

    def at(self, rows: Tensor, columns: Tensor, dtype: torch.dtype = torch.float32) -> SparseMatrix:
        """Return ``(P, R)``: one at the region of each pixel."""
        nodes = self.regions.long()[rows, columns][:, None]
        return _fixed_taps(nodes, torch.ones_like(nodes, dtype=dtype), self.num_nodes)

    def maps(self, values: Tensor) -> Tensor:
        """Return ``(C, H, W)`` of ``(R, C)`` values: whole regions are painted."""
        return values.T[:, self.regions.long()]


def _fixed_taps(nodes: Tensor, weights: Tensor, num_nodes: int) -> SparseMatrix:
    """Return the matrix with as many entries in each row."""
    starts = torch.arange(0, nodes.numel() + 1, nodes.shape[1], device=nodes.device)
    return SparseMatrix(Pattern(starts.int(), nodes.flatten().int(), num_nodes), weights.flatten())
