"""Grid graphs: which pixels are neighbours, and edge weights as one map an offset or as a sparse matrix."""

import math
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from weakseg.checks import check_rank
from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix

Offset = tuple[int, int]  # (rows, columns)
CACHED_GRIDS = 4


def half_disc(radius: float) -> tuple[Offset, ...]:
    """Return the offsets with ``0 < ||d|| < radius``, one of each pair d and -d: 34 for 5, 152 for 10.

    Reference:
        [ahn2018affinitynet] and [ahn2019irnet], search distance of the affinity.
    """
    reach = math.ceil(radius)
    return tuple((y, x) for y, x in half_square(reach) if y * y + x * x < radius * radius)


def half_window(radius: int, shape: Literal["square", "disc"] = "square") -> tuple[Offset, ...]:
    """Return the offsets of a window that reaches ``radius`` cells, one of each pair d and -d.

    Args:
        radius: >= 0.
        shape: ``square``: along both axes, 40 for 4; ``disc``: ``||d|| <= radius``, 24 for 4.

    Reference:
        [zhang2021a2gnn], window of the affinities: a disc in the paper, a square in its code.
    """
    offsets = half_square(radius)
    return offsets if shape == "square" else tuple((y, x) for y, x in offsets if y * y + x * x <= radius * radius)


def half_square(radius: int) -> tuple[Offset, ...]:
    """Return the offsets of the window of ``2 radius + 1`` cells a side, one of each pair d and -d: 12 for 2."""
    if radius < 0:
        raise ShapeError(f"radius: expected 0 or more, got {radius}")
    first = [(0, x) for x in range(1, radius + 1)]
    return tuple(first + [(y, x) for y in range(1, radius + 1) for x in range(-radius, radius + 1)])


def shifted_views(maps: Tensor, offset: Offset) -> tuple[Tensor, Tensor]:
    """Return two views of ``(..., h, w)`` maps: the cells that have a neighbour at ``offset``, and those neighbours."""
    height, width = maps.shape[-2:]
    (y, x), here, there = offset, [], []
    for step, length in ((y, height), (x, width)):
        here.append(slice(max(0, -step), max(0, length - max(0, step))))
        there.append(slice(max(0, step), max(0, length + min(0, step))))
    return maps[..., here[0], here[1]], maps[..., there[0], there[1]]


def stencil_matrix(weights: Tensor, offsets: tuple[Offset, ...], *, diagonal: Tensor | float = 0.0) -> SparseMatrix:
    """Return the symmetric ``(N, N)`` matrix with ``A[i, i + d_p] = A[i + d_p, i] = weights[p, i]``.

    Args:
        weights: ``(P, h, w)`` float; cells without a neighbour at that offset are ignored.
        offsets: P offsets of a half plane, none twice.
        diagonal: ``(h, w)`` or one number; stored even where it is zero.

    Raises:
        ShapeError: If there is not one map an offset.
    """
    check_rank("weights", weights, 3, "(P, h, w)")
    if len(weights) != len(offsets):
        raise ShapeError(f"weights: expected one map for each of {len(offsets)} offsets, got {tuple(weights.shape)}")
    size = (weights.shape[1], weights.shape[2])
    own = torch.as_tensor(diagonal, dtype=weights.dtype, device=weights.device).expand(size)
    pattern, source = stencil_pattern(size, offsets, str(weights.device))
    return SparseMatrix(pattern, torch.cat([weights.flatten(), own.flatten()]).index_select(0, source))


def stencil_weights(matrix: SparseMatrix, size: tuple[int, int], offsets: tuple[Offset, ...]) -> Tensor:
    """Return the ``(P, h, w)`` maps of a matrix that ``stencil_matrix`` made, 0 where there is no neighbour."""
    pattern, source = stencil_pattern(size, offsets, str(matrix.values.device))
    other = matrix.pattern
    if not (torch.equal(pattern.row_starts, other.row_starts) and torch.equal(pattern.columns, other.columns)):
        raise ShapeError(f"matrix: {matrix.shape} with other entries than the stencil of {len(offsets)} offsets")
    cells = len(offsets) * size[0] * size[1]
    forward = (pattern.columns > pattern.rows) & (source < cells)
    maps = matrix.values.new_zeros(cells).index_put((source[forward],), matrix.values[forward])
    return maps.reshape(len(offsets), *size)


@lru_cache(maxsize=CACHED_GRIDS)
@torch.inference_mode(False)
def stencil_pattern(size: tuple[int, int], offsets: tuple[Offset, ...], device: str) -> tuple[Pattern, Tensor]:
    """Return the pattern of a grid graph with both directions and the diagonal, and where its values come from.

    Returns:
        The ``(N, N)`` pattern, and ``(M,)`` int64 positions in ``P`` weight maps followed by the diagonal, flattened.
    """
    height, width = size
    number = {offset: index for index, offset in enumerate(offsets)}
    if len(number) != len(offsets) or any((-y, -x) in number for y, x in offsets):
        raise ShapeError(f"offsets: each pair d, -d once and no (0, 0), got {offsets}")
    both = sorted([*offsets, *((-y, -x) for y, x in offsets), (0, 0)])  # columns then increase within a row
    step = torch.tensor(both, device=device)
    rows = torch.arange(height, device=device)[:, None, None] + step[:, 0]
    columns = torch.arange(width, device=device)[None, :, None] + step[:, 1]
    inside = ((rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)).reshape(-1, len(both))
    node = torch.arange(height * width, device=device)[:, None]
    neighbor = node + step[:, 0] * width + step[:, 1]
    plane = torch.tensor([number.get((y, x), number.get((-y, -x), len(offsets))) for y, x in both], device=device)
    forward = torch.tensor([offset in number for offset in both], device=device)
    source = plane * (height * width) + torch.where(forward, node, neighbor)
    starts = torch.cat([node.new_zeros(1), inside.sum(1).cumsum(0)]).int()
    return Pattern(starts, neighbor[inside].int(), height * width), source[inside]
