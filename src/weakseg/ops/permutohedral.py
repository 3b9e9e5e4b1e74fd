"""Fast high-dimensional Gaussian filtering on the permutohedral lattice."""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.checks import check_finite, check_rank
from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.sparse_product import csr_tensor, multiply_csr
from weakseg.ops.workspace import Workspace

MAX_CODE = 2**62
MAX_REACH = 2.0**30  # of a coordinate, an int32
MAX_ROUNDING = 0.1  # of a coordinate, in units of which a lattice cell has d + 1
POINTS = 1 << 14  # of which simplices are found at once, for the sake of the cache
GAP_BITS = 59  # of a gap, which is at most one half, as an integer

Order = Literal["mean", "forth", "back"]
REVERSED: dict[Order, Order] = {"mean": "mean", "forth": "back", "back": "forth"}


@dataclass(frozen=True)
class Lattice:
    """A Gaussian kernel between N points as three sparse factors: splat to M vertices, blur along each axis, slice.

    Attributes:
        splat: ``(M, N)``: barycentric weights, non-negative, columns sum to one.
        slice: ``(N, M)``: its transposed.
        blurs: ``d + 1`` symmetric ``(M, M)`` matrices, ``v + (v_back + v_forth) / 2``; missing vertices count zero.
    """

    splat: SparseMatrix
    slice: SparseMatrix
    blurs: tuple[SparseMatrix, ...]

    @property
    def num_vertices(self) -> int:
        """Number ``M`` of vertices that some point touches."""
        return self.splat.shape[0]

    def filter(self, values: Tensor, order: Order = "mean") -> Tensor:
        """Return ``K @ values`` with ``K_ij ~ exp(-||f_i - f_j||^2 / 2)``, K symmetric.

        Blurring along one axis after another depends on their order; the mean of one order and its reverse is
        symmetric, and closer to the Gaussian than either. Each of the two is the other's transposed.

        Args:
            values: ``(N, L)`` float of the data type of the features; first derivatives.
            order: Of the axes; one alone has half of the blurs.

        Returns:
            ``(N, L)`` float. Normalised by its row sums the kernel errs by 10 to 25 % in Frobenius norm for few points;
            as it is, it adds up to less than the Gaussian where vertices between the points are missing.

        Reference:
            [adams2010permutohedral], section 4. Differs from the paper: mean of two orders of the axes.
        """
        check_rank("values", values, 2, "(N, L)")
        if len(values) != (points := self.splat.shape[1]):
            raise ShapeError(f"values: expected one row for each of {points} points, got {tuple(values.shape)}")
        result: Tensor = _Filter.apply(values, self, order)
        return result

    @cached_property
    @torch.inference_mode(False)
    def _factors(self) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        splat, back, *blurs = (csr_tensor(f.pattern, f.values) for f in (self.splat, self.slice, *self.blurs))
        return splat, back, tuple(blurs)

    def apply(self, values: Tensor, order: Order, space: Workspace) -> Tensor:
        """Return the same as ``filter``, in the workspace, without checks and derivatives: for inner loops."""
        splat, back, blurs = self._factors
        ways = {"forth": (blurs,), "back": (blurs[::-1],), "mean": (blurs, blurs[::-1])}[order]
        scale = 1 / (1 + 2.0 ** (1 - len(blurs))) / len(ways)
        shape = self.num_vertices, values.shape[1]
        with torch.autocast(values.device.type, enabled=False):
            splatted = multiply_csr(splat, values, space.take("splatted", values, *shape)).mul_(scale)
            blurred = [splatted] * len(ways)
            for i, way in enumerate(ways):
                for step, blur in enumerate(way):
                    blurred[i] = multiply_csr(blur, blurred[i], space.take(f"blurred {i} {step % 2}", values, *shape))
            vertices = blurred[0] if len(ways) == 1 else blurred[0].add_(blurred[1])
            return multiply_csr(back, vertices, space.take("sliced", values, *values.shape))


class _Filter(torch.autograd.Function):
    """The filter is linear; its transposed takes the axes in reverse."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, lattice: Lattice, order: Order) -> Tensor:
        ctx.lattice, ctx.order = lattice, order
        return lattice.apply(values, order, Workspace())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.lattice.apply(grad, REVERSED[ctx.order], Workspace()), None, None


def build_lattice(features: Tensor, *, groups: Tensor | None = None) -> Lattice:
    """Return the lattice for points with unit-variance features.

    Args:
        features: ``(N, d)`` float, N >= 1, each feature already divided by its standard deviation.
        groups: ``(N,)`` int64 >= 0; points of different groups do not meet (several images in one lattice).

    Returns:
        Lattice on the device and in the data type of ``features``.

    Raises:
        ShapeError: If ``features`` is not 2-D, not finite, or spreads too far for its precision or 62-bit vertex codes.

    Reference:
        [adams2010permutohedral], section 4.
    """
    check_rank("features", features, 2, "(N, d)")
    check_finite("features", features)
    cells = _elevate(features.T)
    reach, most = float(cells.abs().max()), min(MAX_REACH, MAX_ROUNDING / torch.finfo(features.dtype).eps)
    if (reach := reach * len(cells)) > most:
        raise ShapeError(f"features: up to {reach:.1e} lattice cells, too many for {features.dtype}; use larger sigmas")
    nearest = cells.round()
    origin, steps = _number_cells(nearest, groups)
    codes, weights = _simplices(origin, cells.sub_(nearest), steps)
    order, points, ordered = _sort_codes(codes)
    vertex_codes, vertex, counts = torch.unique_consecutive(ordered, return_inverse=True, return_counts=True)
    starts = F.pad(counts.cumsum(0), (1, 0)).int()
    touched = torch.empty_like(points).scatter_(0, order, vertex.int())
    corners = torch.arange(0, len(order) + 1, len(cells), dtype=torch.int32, device=features.device)
    return Lattice(
        SparseMatrix(Pattern(starts, points, len(features)), weights.flatten().index_select(0, order)),
        SparseMatrix(Pattern(corners, touched, len(vertex_codes)), weights.flatten()),
        _blurs(vertex_codes, steps, features.dtype),
    )


def _elevate(features: Tensor) -> Tensor:
    """Embed ``(d, N)`` points in the hyperplane of ``(d + 1, N)`` vectors that sum to zero, in units of d + 1."""
    rows, suffix = [], torch.zeros_like(features[0])
    for i in range(len(features), 0, -1):
        scaled = features[i - 1] * math.sqrt(2 / (3 * i * (i + 1)))
        rows.append(suffix - i * scaled)
        suffix = suffix + scaled
    return torch.stack([suffix, *reversed(rows)])


def _number_cells(nearest: Tensor, groups: Tensor | None) -> tuple[Tensor, list[int]]:
    """Return a code ``(N,)`` for ``(d + 1, N)`` integers, and by how much it grows with each of them.

    Vectors that differ by the same number everywhere are one vertex; the code is the mixed-radix number of the
    differences between one coordinate and the next. Those of the first features count most, so that points that are
    near in them have vertices that are near in memory.
    """
    digits = nearest[:-1] - nearest[1:]
    low, high = (digits.amin(1) - 2).tolist(), (digits.amax(1) + 2).tolist()  # a simplex and its neighbours
    extent = [int(most - least) + 1 for least, most in zip(low, high, strict=True)]
    count = 1 if groups is None else int(groups.max()) + 1
    if math.prod(extent) * count >= MAX_CODE:
        raise ShapeError(f"features: their spread needs {math.prod(extent):.1e} lattice cells; use larger sigmas")
    radix = [math.prod(extent[i:]) for i in range(1, len(extent) + 1)]
    steps = [after - before for before, after in itertools.pairwise((0, *radix, 0))]
    least = -sum(int(bound) * place for bound, place in zip(low, radix, strict=True))
    code = torch.full_like(digits[0], least, dtype=torch.int64)
    for row, step in zip(nearest, steps, strict=True):
        code.add_(row.long(), alpha=step)
    return (code if groups is None else code.add_(groups, alpha=math.prod(extent))), steps


def _simplices(origin: Tensor, gaps: Tensor, steps: list[int]) -> tuple[Tensor, Tensor]:
    """Return, ``(N, d + 1)`` each: codes of the vertices around each point, and its barycentric weights.

    From the nearest integers, one coordinate after the other is lowered by one, that with the least gap first; of two
    equal gaps the later one is the less.
    """
    count, corners = len(origin), len(gaps)
    codes, weights = origin.new_empty(count, corners), gaps.new_empty(count, corners)
    step = torch.tensor(steps[::-1], device=gaps.device)
    for first in range(0, count, POINTS):
        part = slice(first, first + POINTS)
        least, which = _sorted_gaps(gaps[:, part])
        codes[part, 0], weights[part, 0] = origin[part], least[0] - least[-1] + 2**GAP_BITS
        for k in range(1, corners):
            torch.sub(codes[part, k - 1], step.index_select(0, which[k - 1]), out=codes[part, k])
            weights[part, k] = least[k] - least[k - 1]
    return codes, weights.mul_(2.0**-GAP_BITS)


def _sorted_gaps(gaps: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gaps of each point in increasing order, in units of ``2^-GAP_BITS``, and whose they are from the last.

    Gap and coordinate are one integer, so that minimum and maximum sort them: swapping by a mask takes ten times as
    long.
    """
    bits = len(gaps).bit_length()
    fixed = (gaps.flip(0) * 2.0 ** (GAP_BITS - bits)).long().bitwise_left_shift_(bits)
    rows = [row.add_(i) for i, row in enumerate(fixed)]
    for last in range(len(rows) - 1, 0, -1):
        for i in range(last):
            rows[i], rows[i + 1] = torch.minimum(rows[i], rows[i + 1]), torch.maximum(rows[i], rows[i + 1])
    return rows, [row & ((1 << bits) - 1) for row in rows]


def _sort_codes(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a stable order of ``(N, d + 1)`` codes, the point of each in this order, int32, and the sorted codes."""
    count, corners = codes.shape
    bits = corners.bit_length()
    shift = bits + count.bit_length()
    if int(codes.max()) < 2 ** (63 - shift):  # position packed under the code: one sort of plain integers
        position = torch.arange(count, device=codes.device).bitwise_left_shift_(bits)
        position = position[:, None] + torch.arange(corners, device=codes.device)
        ordered = _sorted(position.add_(codes, alpha=1 << shift).flatten())
        order = ordered & ((1 << shift) - 1)
        points = order >> bits
        order.sub_(points, alpha=(1 << bits) - corners)
        ordered.bitwise_right_shift_(shift)
    else:
        ordered, order = torch.sort(codes.flatten(), stable=True)
        points = order // corners
    return order, points.int(), ordered


def _sorted(keys: Tensor) -> Tensor:
    """Return keys in increasing order; NumPy sorts integers with vector instructions."""
    if keys.is_cuda:
        return torch.sort(keys).values
    array = keys.numpy()
    array.sort()
    return torch.from_numpy(array)


def _places(codes: Tensor, wanted: Tensor) -> Tensor:
    """Return where in sorted codes those that are wanted are or would be, at most the last."""
    if codes.is_cuda:
        return torch.searchsorted(codes, wanted).clamp_(max=len(codes) - 1)
    return torch.from_numpy(np.searchsorted(codes.numpy(), wanted.numpy())).clamp_(max=len(codes) - 1)


def _blurs(codes: Tensor, steps: list[int], dtype: torch.dtype) -> tuple[SparseMatrix, ...]:
    """Return an ``(M, M)`` for each axis: one for each vertex, one half for those one step back and forth that exist.

    Rows of all axes are found together, the axes one after the other; a row holds its vertex, then that one step forth,
    then that one step back.
    """
    count, device = len(codes), codes.device
    wanted = (codes + torch.tensor(steps, device=device)[:, None]).flatten()
    forth = _places(codes, wanted)
    has_forth = codes.index_select(0, forth) == wanted
    vertices = torch.arange(count, dtype=torch.int32, device=device).repeat(len(steps))
    row = has_forth.nonzero()[:, 0]
    vertex, forth = vertices.index_select(0, row), forth.index_select(0, row)
    row_back = row + forth - vertex
    has_back = torch.zeros_like(has_forth).index_fill_(0, row_back, 1)
    starts = F.pad((1 + has_forth.int() + has_back).cumsum(0, dtype=torch.int32), (1, 0))
    begins, ends = starts[:-1].long(), starts[1:].long()
    columns = starts.new_empty(len(wanted) + 2 * len(row))
    columns.scatter_(0, begins, vertices)
    columns.scatter_(0, begins.index_select(0, row) + 1, forth.int())
    columns.scatter_(0, ends.index_select(0, row_back) - 1, vertex)
    taps = torch.full(columns.shape, 0.5, dtype=dtype, device=device)
    taps.scatter_(0, begins, taps.new_ones(len(begins)))
    edges = itertools.pairwise(starts[::count].tolist())
    parts = [(starts[i * count : (i + 1) * count + 1] - low, slice(low, high)) for i, (low, high) in enumerate(edges)]
    return tuple(SparseMatrix(Pattern(own, columns[part], count), taps[part]) for own, part in parts)
