"""Two-terminal minimum cuts: the labelling of nodes that is cheapest in its own terms and between neighbours."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from torch import Tensor

from weakseg.checks import check_finite, check_rank, check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.sparse import SparseMatrix

CAPACITY_BITS = 29  # integer capacities are at most 2^29; see _integer_links


@dataclass(frozen=True)
class MinCut:
    """A minimum cut.

    Attributes:
        foreground: ``(N,)`` bool: the nodes on the source's side; of several minimum cuts the smallest such set.
        value: What the cut costs in the capacities as given.
        error: Upper bound on how far ``value`` lies above the optimum, for capacities were rounded to integers.
    """

    foreground: Tensor
    value: float
    error: float


def min_cut(graph: SparseMatrix, source: Tensor, sink: Tensor) -> MinCut:
    """Return the labels that minimise ``sum_p y_p t_p + (1 - y_p) s_p + sum_pq w_pq |y_p - y_q|``; foreground is 1.

    The capacities of the links to neighbours ``w`` and to the terminals ``s``, ``t`` are scaled by one power of two and
    rounded; with multiples of a common power of two, as 1 or 0.5, the cut is exact and ``error`` is zero.

    Args:
        graph: ``(N, N)``: ``w``, symmetric, non-negative, finite, zero on the diagonal; each pair counts once.
        source: ``(N,)`` float: ``s``, what it costs to be background; non-negative, finite.
        sink: ``(N,)`` float: ``t``, what it costs to be foreground; non-negative, finite.

    Raises:
        ShapeError: If shapes disagree or a capacity is outside of its range.

    Reference:
        [feng2021dgcn], the graph cut; the solver is Dinic's as in scipy.
    """
    neighbors = _neighbor_links(graph)
    costs = [_terminal_costs(name, values, len(source)) for name, values in (("source", source), ("sink", sink))]
    check_same_size("source", tuple(source.shape), "a row of graph", graph.shape[1:])
    links, error = _integer_links(neighbors, costs[0] - costs[1])
    foreground = _source_side(links)
    across = neighbors.tocoo()
    cut = foreground[across.row] & ~foreground[across.col]
    value = costs[1][foreground].sum() + costs[0][~foreground].sum() + across.data[cut].sum()
    return MinCut(torch.from_numpy(foreground).to(source.device), float(value), error)


def terminal_links(
    probs: Tensor,
    foreground_seeds: Tensor,
    background_seeds: Tensor,
    graph: SparseMatrix,
    *,
    floor: float = 1e-4,
    as_printed: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the capacities of source and sink for a class: ``-log(1 - H)`` and ``-log H``, seeds fixed.

    A seed's capacity exceeds all other capacities at its node, ``1 + sum_q w_pq - log floor``, so no cut separates it.

    Args:
        probs: ``(N,)`` float in [0, 1]: H, probability of the class.
        foreground_seeds: ``(N,)`` bool.
        background_seeds: ``(N,)`` bool; a node that is in both counts as no seed.
        graph: ``(N, N)``: the capacities between neighbours that the cut will be made with, C0 included.
        floor: H is clipped to [floor, 1 - floor]; in (0, 0.5).
        as_printed: Exchange the soft capacities, as the paper's table has them; an audit's, it labels falsely.

    Returns:
        ``(N,)`` and ``(N,)`` float64: ``source`` and ``sink`` of ``min_cut``.

    Raises:
        ShapeError: If shapes disagree, ``probs`` is no probability, a seed array is not bool, or ``floor`` is off.

    Reference:
        [feng2021dgcn], table 1. Differs from the paper: the soft capacities are exchanged there, by which a node with
        H = 0.9 and no neighbours becomes background.
    """
    check_rank("probs", probs, 1, "(N,)")
    check_finite("probs", probs)
    if bool(((probs < 0) | (probs > 1)).any()) or not 0 < floor < 0.5:
        got = f"{probs.min():g} to {probs.max():g}, and {floor:g}"
        raise ShapeError(f"probs, floor: expected values in [0, 1] and in (0, 0.5), got {got}")
    for name, seeds in (("foreground_seeds", foreground_seeds), ("background_seeds", background_seeds)):
        check_same_size(name, tuple(seeds.shape), "probs", tuple(probs.shape))
        if seeds.dtype != torch.bool:
            raise ShapeError(f"{name}: expected bool, got {seeds.dtype}")
    check_same_size("probs", tuple(probs.shape), "a row of graph", graph.shape[1:])
    clipped = probs.detach().double().clamp(floor, 1 - floor)
    source, sink = -torch.log1p(-clipped), -torch.log(clipped)
    if as_printed:
        source, sink = sink, source
    hard = 1 - math.log(floor) + graph.row_sums().detach().double()
    fixed = foreground_seeds ^ background_seeds
    source = torch.where(fixed, torch.where(foreground_seeds, hard, 0.0), source)
    return source, torch.where(fixed, torch.where(background_seeds, hard, 0.0), sink)


def _integer_links(neighbors: csr_array, pull: NDArray[np.float64]) -> tuple[csr_array, float]:
    """Return the ``(N + 2, N + 2)`` int32 capacities, source N and sink N + 1, and what rounding may cost.

    Of the two links of a node to the terminals only the difference matters, ``pull``. Where that is more than twice the
    node's other links it decides the node in every minimum cut; so it is replaced by their integer sum plus one, which
    decides it just as well. All others are multiplied by the largest power of two that keeps them within 2^29.

    scipy works on int32 and keeps one residual a link: at most twice a neighbour's capacity, 2^30, or a terminal's,
    2^29 or 2^28 + N + 1. It adds up nothing else but the value of the flow, which is not used here.

    Two cuts differ by no more than the rounding of every link once, so the bound is the sum of the rounding errors.
    """
    degree, strength = neighbors.sum(axis=1), np.abs(pull)
    decided = strength > 2 * degree
    largest = max(neighbors.data.max(initial=0.0), np.where(decided, 2 * degree, strength).max(initial=0.0))
    shift = CAPACITY_BITS - math.frexp(largest)[1]
    integers = np.rint(np.ldexp(neighbors.data, shift))
    whole = csr_array((integers, neighbors.indices, neighbors.indptr), shape=neighbors.shape)
    terminal = np.where(decided, whole.sum(axis=1) + 1, np.rint(np.ldexp(np.where(decided, 0, strength), shift)))
    lost = np.abs(strength - np.ldexp(terminal, -shift))[~decided].sum()
    lost += np.abs(neighbors.data - np.ldexp(integers, -shift)).sum() / 2
    return _with_terminals(whole, terminal, pull), float(lost)


def _with_terminals(neighbors: csr_array, terminal: NDArray[np.float64], pull: NDArray[np.float64]) -> csr_array:
    """Return the matrix of all links: a node that is pulled up hangs on the source, else on the sink."""
    count = neighbors.shape[0]
    across, up, down = neighbors.tocoo(), np.flatnonzero(pull > 0), np.flatnonzero(pull < 0)
    rows = np.concatenate([across.row, np.full(len(up), count), down])
    columns = np.concatenate([across.col, up, np.full(len(down), count + 1)])
    values = np.concatenate([across.data, terminal[up], terminal[down]]).astype(np.int32)
    return coo_array((values, (rows, columns)), shape=(count + 2, count + 2)).tocsr()


def _source_side(links: csr_array) -> NDArray[np.bool_]:
    """Return the nodes that the source reaches where a maximum flow leaves capacity: the smallest minimum cut."""
    count = links.shape[0] - 2
    residual = links.astype(np.int64) - maximum_flow(links, count, count + 1, method="dinic").flow
    residual.eliminate_zeros()
    reached = np.zeros(count + 2, bool)
    reached[breadth_first_order(residual, count, return_predecessors=False)] = True
    return reached[:count]


def _neighbor_links(graph: SparseMatrix) -> csr_array:
    """Return the capacities between neighbours in float64, checked."""
    arrays = (graph.values.detach().double(), graph.pattern.columns, graph.pattern.row_starts)
    values, columns, starts = (array.cpu().numpy() for array in arrays)
    if graph.shape[0] != graph.shape[1]:
        raise ShapeError(f"graph: expected a square matrix, got {graph.shape}")
    links = csr_array((values, columns, starts), shape=graph.shape)
    if (values < 0).any() or links.diagonal().any() or (links - links.T).count_nonzero():
        raise ShapeError("graph: expected symmetric non-negative capacities and a zero diagonal; merge both directions")
    return links


def _terminal_costs(name: str, values: Tensor, count: int) -> NDArray[np.float64]:
    check_same_size(name, tuple(values.shape), "source", (count,))
    check_finite(name, values)
    if bool((values < 0).any()):
        raise ShapeError(f"{name}: expected non-negative capacities, got {float(values.min())}")
    costs: NDArray[np.float64] = values.detach().double().cpu().numpy()
    return costs
