"""Small graphs, on grids and without, for tests of tiles and of the networks on them."""

import torch
from torch import Tensor

from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges
from weakseg.ops.stencil import half_square, stencil_pattern
from weakseg.ops.tiles import grid_places

DOUBLE = torch.float64


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def matrix_of(dense_matrix: Tensor, mask: Tensor) -> SparseMatrix:
    edges = mask.nonzero().T
    return matrix_from_edges(edges, dense_matrix[edges[0], edges[1]], (len(mask), len(mask)))


def window(size: tuple[int, int], radius: int = 2) -> tuple[Pattern, Tensor]:
    """Return the window's pattern of a grid, and where its nodes lie."""
    return stencil_pattern(size, half_square(radius), "cpu")[0], grid_places(size)


def affinity_of(mask: Tensor, seed: int = 0) -> Tensor:
    """Return a symmetric ``(N, N)`` affinity in the mask, with ones on its diagonal."""
    half = uniform(*mask.shape, seed=seed).triu(1)
    return torch.where(mask, half + half.T + torch.eye(len(mask)), 0)


def ring(nodes: int = 150) -> Tensor:
    """Return the mask of a graph without a grid: a ring with chords."""
    index = torch.arange(nodes)
    apart = (index[:, None] - index).abs()
    return (apart <= 1) | (apart == nodes - 1) | ((index[:, None] * index) % 29 == 1)
