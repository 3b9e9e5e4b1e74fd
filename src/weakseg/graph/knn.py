"""Exact nearest neighbours of node features, without a matrix of all pairs of many, and the graph that joins them.

One float32 product per block of rows gives a lower bound of every squared distance. The few columns with the least
bounds are measured by differences in float64. Rows whose other columns are not proved to be farther are searched
again with a float64 product and more columns; what is still open then has every column in question measured.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from weakseg.checks import check_finite, check_rank
from weakseg.errors import ShapeError
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges

MARGIN, WIDE_MARGIN = 3, 64  # columns measured beyond the k that are asked for, first and second time
PANEL = 192  # rows of a symmetric product that are computed at once
GATHER_FLOATS = 1 << 17  # differences are taken for so many floats at once
MODERATE_EXPONENT = 30  # magnitudes beyond 2^30 and 2^-30 are scaled, lest squares overflow or vanish


def nearest_neighbors(features: Tensor, k: int, *, block: int = 1024) -> tuple[Tensor, Tensor]:
    """Return the k nearest other nodes of every node in Euclidean distance, nearest first, ties by lower index.

    The order is that of squared distances summed from differences in float64; nothing is approximated. Memory grows
    with ``block * N``. Gradients do not flow.

    Args:
        features: ``(N, C)`` float32 or float64, N and C at least 1; finite.
        k: Neighbours a node, >= 1; above N - 1 it becomes N - 1, with a warning.
        block: Rows searched at once, >= 1.

    Returns:
        Neighbours ``(N, k)`` int64, and their distances ``(N, k)`` in the type of the features.

    Raises:
        ShapeError: If ``features`` has another shape or type or is not finite, or ``k`` or ``block`` is below 1.

    Reference:
        [feng2021dgcn], section on the graph; ``K = 9`` there.
    """
    _check(features, k, block)
    if k > len(features) - 1:
        warnings.warn(f"k = {k} for {len(features)} nodes; every other node becomes a neighbour", stacklevel=2)
        k = len(features) - 1
    with torch.no_grad():
        unit, (distinct, group) = _unit(features), _distinct(features)
        points = features if unit == 1 else features / unit
        points = points if len(distinct) == len(points) else points[distinct]
        neighbors, squared = _search(points, min(k, len(points) - 1), block)
        if len(points) < len(features):
            neighbors, squared = _with_duplicates(group, neighbors, squared, k, block)
        return neighbors, (squared.sqrt() * unit).to(features.dtype)


def knn_graph(features: Tensor, k: int) -> SparseMatrix:
    """Return ``W = max(Q, Q^T)``, where ``Q_ij = 1`` for the k nearest j of i: symmetric, no diagonal.

    Args:
        features: ``(N, C)`` float32 or float64; finite.
        k: Neighbours a node, see ``nearest_neighbors``.

    Returns:
        ``(N, N)``, values 1 in the type of the features; every row has at least min(k, N - 1) entries.

    Reference:
        [feng2021dgcn], n-links; the union of both directions is our reading.
    """
    neighbors, _ = nearest_neighbors(features, k)
    rows = torch.arange(len(features), device=features.device)[:, None].expand_as(neighbors)
    edges = torch.stack([rows.flatten(), neighbors.flatten()])
    edges = torch.cat([edges, edges.flip(0)], dim=1)
    ones = torch.ones(edges.shape[1], dtype=features.dtype, device=features.device)
    return matrix_from_edges(edges, ones, (len(features), len(features)), duplicates="amax")


@dataclass(frozen=True)
class _Bounds:
    """Lower bounds of squared distances: ``d_ij >= row_bounds[i] - 2 score_ij``.

    With a the centred points rounded to the scores' type, n their squared norms and p the computed ``a_i . a_j``, a
    sum of C products in any order errs by at most ``gamma |a_i| |a_j| <= gamma (n_i + n_j) / 2``, hence
    ``d_ij = n_i + n_j - 2 a_i . a_j >= (1 - gamma) (n_i + n_j) - 2 p_ij``, up to what is lost where numbers vanish;
    ``gamma = m u / (1 - m u)`` with u the unit roundoff and m = C + 16: C for the sum, 4 for the rounded factors, 2 for
    norms of rounded points, 4 for the subtraction of ``(1 - gamma) n_j / 2``, the rest to spare. Its second part, of
    float64, covers the sums of norms and of measured distances.
    """

    vectors: Tensor  # (P, C): centred points, then rows of zeros up to whole groups
    column_terms: Tensor  # (P, 1): (1 - gamma) n_j / 2, infinite where there is no point
    row_bounds: Tensor  # (N,) float64: (1 - gamma) n_i, less what vanishing numbers may take
    group_size: int

    @classmethod
    def build(cls, points: Tensor, width: int, dtype: torch.dtype) -> Self:
        """Return the bounds of ``(N, C)`` points of moderate magnitude, fit to find ``width`` columns a row."""
        n, channels = points.shape
        group_size = max(1, math.isqrt(n // width))
        vectors = torch.zeros(n + -n % group_size, channels, dtype=dtype, device=points.device)
        precise = points.to(torch.promote_types(points.dtype, dtype))
        vectors[:n] = precise - precise.mean(0)
        norms = torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64).square()
        gamma = _gamma(channels + 16, dtype) + 4 * _gamma(channels + 16, torch.float64)
        terms = norms * ((1 - gamma) / 2)
        terms[n:] = math.inf
        vanished = 16 * (channels + 1) * torch.finfo(dtype).tiny
        return cls(vectors, terms.to(dtype)[:, None], (1 - gamma) * norms[:n] - vanished, group_size)

    def scores(self, rows: Tensor, out: Tensor) -> Tensor:
        """Return ``(P, B)`` scores for B rows, in ``out``; a point's score for itself is minus infinity."""
        scores = torch.mm(self.vectors, self.vectors[rows].T, out=out[:, : len(rows)])
        scores -= self.column_terms
        scores[rows, torch.arange(len(rows), device=rows.device)] = -math.inf
        return scores

    def all_scores(self) -> Tensor:
        """Return ``(P, P)``, a row for each column: the product is symmetric, so that half of it is copied."""
        size = len(self.vectors)
        scores = self.vectors.new_empty(size, size)
        for first in range(0, size, PANEL):
            last = min(first + PANEL, size)
            torch.mm(self.vectors[first:last], self.vectors[first:].T, out=scores[first:last, first:])
            scores[last:, first:last] = scores[first:last, last:].T
        return scores.sub_(self.column_terms).fill_diagonal_(-math.inf)

    def nearest(self, scores: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Return the columns ``(B, width)`` with the highest scores, increasing, and the least score among them.

        They lie in the ``width`` groups of columns with the highest maxima.
        """
        groups = len(scores) // self.group_size
        maxima = scores.view(self.group_size, groups, -1).amax(0).T.contiguous()
        best = _highest(maxima, min(width, groups))
        columns = (best[:, :, None] + torch.arange(self.group_size, device=scores.device) * groups).flatten(1)
        values = scores.gather(0, columns.T).T.contiguous()
        order = _highest(values, width)
        return columns.gather(1, order).sort(1).values, values.gather(1, order).amin(1)


def _highest(values: Tensor, count: int) -> Tensor:
    """Return where the highest of each row of ``(B, m)`` values are, ``(B, count)`` int64, in any order.

    NumPy partitions integers with vector instructions, in a third of the time of ``topk``: the bits of a float32,
    turned so that they are ordered like it, and the place beneath them.
    """
    if values.is_cuda or values.dtype != torch.float32:
        return values.topk(count, dim=1, sorted=False).indices
    bits, length = values.view(torch.int32), values.shape[1]
    keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long().bitwise_left_shift_(32).add_(torch.arange(length))
    keys.numpy().partition(length - count, axis=1)
    return keys[:, length - count :] & 0xFFFFFFFF


def _search(points: Tensor, k: int, block: int) -> tuple[Tensor, Tensor]:
    """Return neighbours ``(N, k)`` and their squared distances, float64; fast where no two points are equal."""
    n, precise = len(points), points.double()
    neighbors = torch.empty(n, k, dtype=torch.int64, device=points.device)
    squared = torch.empty(n, k, dtype=torch.float64, device=points.device)
    open_rows = torch.arange(n if k else 0, device=points.device)
    for dtype, margin in ((_score_type(), MARGIN), (torch.float64, WIDE_MARGIN)):
        if not len(open_rows):
            return neighbors, squared
        width = min(k + margin, n - 1)
        bounds = _Bounds.build(points, width, dtype)
        known = bounds.all_scores() if len(open_rows) == n <= 2 * block else None
        out = bounds.vectors.new_empty(len(bounds.vectors), min(block, len(open_rows)) if known is None else 0)
        unproved = []
        for rows in torch.split(open_rows, block):
            scores = bounds.scores(rows, out) if known is None else known[:, int(rows[0]) : int(rows[-1]) + 1]
            columns, least = bounds.nearest(scores, width)
            neighbors[rows], squared[rows] = _measure(precise, rows, columns, k)
            others_from = bounds.row_bounds[rows] - 2 * least.double()  # no other column is nearer
            unproved.append(rows[(squared[rows, -1] >= others_from) & (width < n - 1)])
        open_rows = torch.cat(unproved)
    for rows in torch.split(open_rows, max(1, block // 8)) if len(open_rows) else ():
        scores = bounds.scores(rows, bounds.vectors.new_empty(len(bounds.vectors), len(rows)))
        in_question = scores >= (bounds.row_bounds[rows] - squared[rows, -1]) / 2
        columns, _ = bounds.nearest(scores, int(in_question.sum(0).max()))
        neighbors[rows], squared[rows] = _measure(precise, rows, columns, k)
    return neighbors, squared


def _measure(points: Tensor, rows: Tensor, columns: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k nearest of each row's increasing ``(B, width)`` columns, and squared distances; all is float64."""
    width, channels = columns.shape[1], points.shape[1]
    step = max(1, GATHER_FLOATS // (width * channels))
    memory, parts = points.new_empty(min(step, len(rows)), width, channels), []
    for own, near in zip(torch.split(rows, step), torch.split(columns, step), strict=True):
        differences = memory[: len(own)]
        torch.index_select(points, 0, near.flatten(), out=differences.view(-1, channels))
        parts.append(differences.sub_(points[own][:, None]).square_().sum(-1))
    squared, order = torch.cat(parts).sort(dim=1, stable=True)
    return columns.gather(1, order[:, :k]), squared[:, :k]


def _nearest_pairs(owners: Tensor, columns: Tensor, squared: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k nearest columns of each owner 0, 1, ..., and their values, from pairs in any order."""
    order = columns.argsort(stable=True)
    for key in (squared, owners):
        order = order[key[order].argsort(stable=True)]
    counts = owners.bincount()
    pick = order[(counts.cumsum(0) - counts)[:, None] + torch.arange(k, device=owners.device)]
    return columns[pick], squared[pick]


def _distinct(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first node ``(U,)`` of each set of equal nodes, increasing, and every node's set ``(N,)``."""
    index = torch.arange(len(features), device=features.device)
    if len(torch.linalg.vector_norm(features, dim=1, dtype=torch.float64).unique()) == len(features):
        return index, index
    sets, inverse = torch.unique(features, dim=0, return_inverse=True)
    first = index.new_full((len(sets),), len(features)).scatter_reduce(0, inverse, index, "amin")
    order = first.argsort()
    return first[order], order.argsort()[inverse]


def _with_duplicates(group: Tensor, neighbors: Tensor, squared: Tensor, k: int, block: int) -> tuple[Tensor, Tensor]:
    """Return the k nearest nodes of all, from the nearest ``(U, k')`` other sets of each set of equal nodes.

    The k + 1 nearest of a set, its own first k + 1 nodes included, lie in it and its k nearest others.
    """
    members, counts = group.argsort(stable=True), group.bincount()
    starts = counts.cumsum(0) - counts
    own = torch.arange(len(counts), device=group.device)[:, None]
    sets, values = torch.cat([own, neighbors], 1), torch.cat([squared.new_zeros(len(own), 1), squared], 1)
    found = []
    for near, value in zip(torch.split(sets, block), torch.split(values, block), strict=True):
        sizes = counts[near].clamp(max=k + 1).flatten()
        offsets = torch.arange(int(sizes.sum()), device=group.device)
        offsets = offsets - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        nodes = members[starts[near].flatten().repeat_interleave(sizes) + offsets]
        owners = torch.arange(len(near), device=group.device)[:, None].expand_as(near)
        owners = owners.flatten().repeat_interleave(sizes)
        found.append(_nearest_pairs(owners, nodes, value.flatten().repeat_interleave(sizes), k + 1))
    nodes, value = (torch.cat(parts)[group] for parts in zip(*found, strict=True))
    return _without_self(nodes, value)


def _without_self(nodes: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(N, k)`` of ``(N, k + 1)``: each row without its own node, or without the last where that is not in."""
    k = nodes.shape[1] - 1
    own = nodes == torch.arange(len(nodes), device=nodes.device)[:, None]
    drop = torch.where(own.any(1), own.int().argmax(1), k)
    pick = torch.arange(k, device=nodes.device).expand(len(nodes), k)
    pick = pick + (pick >= drop[:, None])
    return nodes.gather(1, pick), values.gather(1, pick)


def _score_type() -> torch.dtype:
    """Return float32, or float64 where products of float32 may be rounded to TF32 or bfloat16."""
    try:
        return torch.float32 if torch.get_float32_matmul_precision() == "highest" else torch.float64
    except RuntimeError:  # set through torch.backends: what holds here cannot be asked
        return torch.float64


def _gamma(terms: int, dtype: torch.dtype) -> float:
    roundoff = terms * torch.finfo(dtype).eps / 2
    return roundoff / (1 - roundoff)


def _unit(features: Tensor) -> float:
    """Return a power of two to measure features in: 1 for those of moderate magnitude."""
    exponent = math.frexp(max(map(abs, map(float, torch.aminmax(features)))))[1]
    largest = 120 if features.dtype == torch.float32 else 1000  # such a power and its inverse are representable
    return 1.0 if abs(exponent) <= MODERATE_EXPONENT else 2.0 ** max(-largest, min(exponent, largest))


def _check(features: Tensor, k: int, block: int) -> None:
    check_rank("features", features, 2, "(N, C)")
    if 0 in features.shape or features.dtype not in (torch.float32, torch.float64):
        wanted = "float32 or float64 with N, C >= 1"
        raise ShapeError(f"features: expected {wanted}, got {features.dtype} {tuple(features.shape)}; convert it first")
    check_finite("features", features)
    if k < 1 or block < 1:
        raise ShapeError(f"k, block: expected at least 1, got {k} and {block}")
