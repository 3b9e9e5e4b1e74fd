"""Affinities from a boundary map: two pixels belong together if no boundary lies on the line between them."""

from typing import Any

import torch
from torch import Tensor

from weakseg.checks import check_within
from weakseg.errors import ShapeError
from weakseg.ops.stencil import Offset, shifted_views


def boundary_affinity(boundary: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Return ``a_i,i+d = 1 - max of B over the path from i to i + d``, both ends included.

    Args:
        boundary: ``(..., h, w)`` float in [0, 1].
        offsets: P offsets (rows, columns), such as ``half_disc(5)``.

    Returns:
        ``(..., P, h, w)`` in [0, 1]; 0 where a cell has no neighbour at the offset. First derivatives; of equal maxima
        the first on the path takes the gradient. Memory grows with one value and one byte a pair.

    Raises:
        ShapeError: If the map is not 2-D or more, or holds other than numbers in [0, 1].

    Reference:
        [ahn2019irnet], affinity of two pixels.
    """
    if boundary.ndim < 2:
        raise ShapeError(f"boundary: expected shape (h, w), got {tuple(boundary.shape)}")
    check_within("boundary", boundary, 0, 1)
    affinity: Tensor = _PathAffinity.apply(boundary, offsets)
    return affinity


def path_cells(offset: Offset) -> tuple[Offset, ...]:
    """Return the cells between (0, 0) and ``offset`` that lie less than 1 off the line: 4-connected, ends included.

    >>> path_cells((0, 2))
    ((0, 0), (0, 1), (0, 2))
    >>> len(path_cells((1, 1)))
    4

    Reference:
        [ahn2019irnet]; the definition is that of its code.
    """
    (dy, dx), length = offset, offset[0] ** 2 + offset[1] ** 2
    rows = range(min(0, dy), max(0, dy) + 1)
    columns = range(min(0, dx), max(0, dx) + 1)
    return tuple((y, x) for y in rows for x in columns if (dy * x - dx * y) ** 2 < length)


class _PathAffinity(torch.autograd.Function):
    """One less the largest value on each path; remembers which cell that was."""

    @staticmethod
    def forward(ctx: Any, boundary: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
        ctx.offsets, ctx.shape, ctx.largest = offsets, boundary.shape, []
        affinity = boundary.new_zeros(*boundary.shape[:-2], len(offsets), *boundary.shape[-2:])
        for plane, offset in enumerate(offsets):
            highest, where = torch.stack(_path_views(boundary, offset)).max(0)
            shifted_views(affinity[..., plane, :, :], offset)[0].copy_(1 - highest)
            ctx.largest.append(where.to(torch.uint8) if ctx.needs_input_grad[0] else None)
        return affinity

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        by_boundary = grad.new_zeros(ctx.shape)
        for plane, (offset, where) in enumerate(zip(ctx.offsets, ctx.largest, strict=True)):
            given, _ = shifted_views(grad[..., plane, :, :], offset)
            for number, view in enumerate(_path_views(by_boundary, offset)):
                view -= torch.where(where == number, given, 0)
        return by_boundary, None


def _path_views(maps: Tensor, offset: Offset) -> list[Tensor]:
    """Return a view of ``(..., h, w)`` maps for each cell of the path, as seen from all cells with a neighbour."""
    (dy, dx), (height, width) = offset, maps.shape[-2:]
    top, left = max(0, -dy), max(0, -dx)
    rows, columns = max(0, height - abs(dy)), max(0, width - abs(dx))
    if not rows or not columns:
        return [maps[..., :rows, :columns]]
    return [maps[..., top + y : top + y + rows, left + x : left + x + columns] for y, x in path_cells(offset)]
