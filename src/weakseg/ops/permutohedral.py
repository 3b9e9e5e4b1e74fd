"""Fast high-dimensional Gaussian filtering on the permutohedral lattice."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weakseg.checks import check_finite, check_rank
from weakseg.errors import ShapeError

MAX_CODE = 2**62
MAX_ROUNDING = 0.1  # of a coordinate, in units of which a lattice cell has d + 1


@dataclass(frozen=True)
class Lattice:
    """Where each point falls in the lattice, and which lattice vertices are neighbours.

    Attributes:
        vertices: ``(N, d + 1)`` int64, in [0, M): the corners of the simplex that holds each point.
        weights: ``(N, d + 1)`` float: barycentric weights, non-negative, each row sums to one.
        neighbors: ``(d + 1, 2, M)`` int64 in [0, M]: vertices one step back and forth along each axis; M = none.
    """

    vertices: Tensor
    weights: Tensor
    neighbors: Tensor

    @property
    def num_vertices(self) -> int:
        """Number ``M`` of vertices that some point touches."""
        return self.neighbors.shape[2]

    def filter(self, values: Tensor) -> Tensor:
        """Return ``K @ values`` with ``K_ij ~ exp(-||f_i - f_j||^2 / 2)``: splat, blur along each axis, slice.

        Args:
            values: ``(N, L)`` float.

        Returns:
            ``(N, L)`` float; the error of the approximation is on the card (about 10 to 25 % in Frobenius norm).
        """
        num_points, corners = self.weights.shape
        columns = values.shape[1]
        splat = values.new_zeros(self.num_vertices + 1, columns)  # last row: the missing vertex
        for corner in range(corners):
            splat = splat.index_add(0, self.vertices[:, corner], values * self.weights[:, corner, None])
        for back, forth in self.neighbors:
            blurred = splat[:-1] + 0.5 * (splat[back] + splat[forth])
            splat = torch.cat([blurred, splat[-1:]])
        out = values.new_zeros(num_points, columns)
        for corner in range(corners):
            out = out + splat[self.vertices[:, corner]] * self.weights[:, corner, None]
        return out / (1 + 2.0 ** -(corners - 1))


def build_lattice(features: Tensor) -> Lattice:
    """Return the lattice for points with unit-variance features.

    Args:
        features: ``(N, d)`` float, N >= 1, each feature already divided by its standard deviation.

    Returns:
        Lattice on the device and in the data type of ``features``.

    Raises:
        ShapeError: If ``features`` is not 2-D, not finite, or spreads too far for its precision or 62-bit vertex codes.

    Reference:
        [adams2010permutohedral], section 4.
    """
    check_rank("features", features, 2, "(N, d)")
    check_finite("features", features)
    elevated = _elevate(features)
    if (reach := float(elevated.abs().max())) > MAX_ROUNDING / torch.finfo(features.dtype).eps:
        raise ShapeError(f"features: up to {reach:.1e} lattice cells, too many for {features.dtype}; use larger sigmas")
    remainder, rank, weights = _simplices(elevated)
    codes, steps = _vertex_codes(remainder, rank)
    unique, inverse = torch.unique(codes, return_inverse=True)
    pairs = [torch.stack([_find(unique, unique - step), _find(unique, unique + step)]) for step in steps]
    return Lattice(inverse, weights, torch.stack(pairs))


def _elevate(features: Tensor) -> Tensor:
    """Embed ``(N, d)`` points in the hyperplane of ``(N, d + 1)`` vectors that sum to zero."""
    d = features.shape[1]
    i = torch.arange(d, device=features.device, dtype=features.dtype)
    scaled = features * (math.sqrt(2 / 3) * (d + 1) / torch.sqrt((i + 1) * (i + 2)))
    suffix = torch.cat([scaled.flip(1).cumsum(1).flip(1), scaled.new_zeros(len(scaled), 1)], dim=1)
    shifted = torch.cat([scaled.new_zeros(len(scaled), 1), scaled * (i + 1)], dim=1)
    return suffix - shifted


def _simplices(elevated: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the nearest remainder-0 vertex, the rank of each coordinate and the barycentric weights."""
    corners = elevated.shape[1]
    rounded = torch.round(elevated / corners)
    excess = rounded.sum(1, keepdim=True).long()
    order = torch.sort(elevated - rounded * corners, dim=1, descending=True, stable=True).indices
    position = torch.arange(corners, device=elevated.device).expand_as(order)
    rank = torch.empty_like(order).scatter(1, order, position) + excess
    wrap = (rank < 0).long() - (rank >= corners).long()
    remainder = (rounded.long() + wrap) * corners
    rank = rank + wrap * corners
    sorted_gap = torch.empty_like(elevated).scatter(1, corners - 1 - rank, (elevated - remainder) / corners)
    first = sorted_gap[:, :1] + 1 - sorted_gap[:, -1:]
    weights = torch.cat([first, sorted_gap.diff(dim=1)], dim=1)
    return remainder, rank, weights.clamp(min=0)  # rounding may leave -1e-8


def _vertex_codes(remainder: Tensor, rank: Tensor) -> tuple[Tensor, list[int]]:
    """Return one integer a vertex, ``(N, d + 1)``, and the code distance of one step along each of the axes.

    Vertex k has coordinates ``r_i + k - (d + 1) [rank_i > d - k]``; the code is their mixed-radix number, so going from
    one k to the next adds a constant and takes away the radix of the coordinate of rank ``d - k``.
    """
    d = remainder.shape[1] - 1
    low = remainder[:, :d].amin(0) - 2 * (d + 1)
    extent = (remainder[:, :d].amax(0) + 2 * (d + 1) - low + 1).tolist()
    if math.prod(extent) >= MAX_CODE:
        raise ShapeError(f"features: their spread needs {math.prod(extent):.1e} lattice cells; use larger sigmas")
    radix = [math.prod(extent[:i]) for i in range(d)]
    weights = torch.tensor([*radix, 0], device=remainder.device)
    origin = ((remainder[:, :d] - low) * weights[:d]).sum(1, keepdim=True)
    by_rank = torch.empty_like(rank).scatter(1, d - rank, weights.expand_as(rank))  # largest rank first
    lost = torch.cat([torch.zeros_like(origin), by_rank[:, :d].cumsum(1)], dim=1)
    total = sum(radix)
    corner = torch.arange(d + 1, device=remainder.device)
    codes = origin + corner * total - (d + 1) * lost
    return codes, [(d + 1) * radix[axis] - total for axis in range(d)] + [-total]


def _find(sorted_codes: Tensor, wanted: Tensor) -> Tensor:
    """Return the position of each wanted code, or ``len(sorted_codes)`` where it is missing."""
    index = torch.searchsorted(sorted_codes, wanted).clamp(max=len(sorted_codes) - 1)
    return torch.where(sorted_codes[index] == wanted, index, len(sorted_codes))
