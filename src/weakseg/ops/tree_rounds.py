"""The tree filter in rounds over all nodes at once: as many as the largest grid may need, whatever is in the image.

Exporters write down what is done, and cannot follow a tree edge by edge or level by level. Here nothing depends on
values but which numbers are picked.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.errors import ShapeError

ROUNDS = 16  # of which each doubles how far is seen
MOST_CELLS = 2**ROUNDS  # of a grid
SIDES = 4  # of a cell: to the right, below, to the left, above; the reverse of a side is two further


class Sides(NamedTuple):
    """Edges of grids, seen from both of their cells.

    Attributes:
        cells: ``(M, 4)`` int64 neighbours of the M cells of all grids; a cell itself where there is none.
        ranks: ``(M, 4)`` int64 place of each edge among all, the shortest first; 2 M where there is none.
        order: ``(2 M + 1,)`` int64: which edge has a place; edges ``2 n`` and ``2 n + 1`` begin in cell n.
    """

    cells: Tensor
    ranks: Tensor
    order: Tensor


def spanning_parents(features: Tensor) -> Tensor:
    """Return the parents in the trees that ``ops.tree_filter.minimum_spanning_tree`` spans, of a batch of grids.

    Trees are joined as Boruvka does: in each round every part takes its shortest edge to another part. Ranks of edges
    are unique, so that the tree is. It is rooted by walking around it: of the two ways along an edge the first leads
    away from the root.

    Args:
        features: ``(B, D, h, w)`` finite float, of at most ``MOST_CELLS`` cells each.

    Returns:
        ``(B h w,)`` int64: the parent of each cell, counted over the batch; the first cell of a grid is its own.

    Raises:
        ShapeError: If features are no grids.
    """
    if features.ndim != 4:
        raise ShapeError(f"spanning parents: features of shape {tuple(features.shape)}; expected (B, D, h, w)")
    sides = _sides(features.detach().double())
    roots = torch.arange(features.shape[0], device=features.device) * (features.shape[2] * features.shape[3])
    return _rooted(sides.cells, _joined(sides, features.shape[3]), roots)


def filter_in_rounds(values: Tensor, distances: Tensor, parents: Tensor) -> Tensor:
    """Return what ``ops.tree_filter.tree_filter`` does, of all trees of a batch, up to rounding.

    Sums of subtrees are ``(I - W)^-1 x`` with ``W`` from nodes to parents; its powers of two lead from a node to one
    ancestor, so that ``(I - W)^-1 = prod_k (I + W^(2^k))`` takes a round a factor. The way back is the
    same, transposed.

    Args:
        values: ``(M, G, C)`` float.
        distances: ``(M, G)`` float, >= 0, to the parent.
        parents: ``(M,)`` int64, of ``spanning_parents``.

    Returns:
        ``(M, G, C)``.
    """
    places = torch.arange(parents.shape[0], device=parents.device)
    below = parents != places
    weights = torch.exp(-distances) * below[:, None]
    rounds = _ancestors(parents, weights, below)
    sums = F.pad(values, (0, 1), value=1.0)
    for nodes, above, weight in rounds:
        sums = sums.index_add(0, above, weight * at(sums, nodes))
    spread = (1 - weights.square())[..., None] * sums
    for nodes, above, weight in rounds:
        spread = spread.index_add(0, nodes, weight * at(spread, above))
    return spread[..., :-1] / spread[..., -1:]


def at(values: Tensor, places: Tensor) -> Tensor:
    """Return ``values[places]``, of ``(n,)`` places: exporters have an operator for that, and for indices several."""
    return values.index_select(0, places)


def _ancestors(parents: Tensor, weights: Tensor, below: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return for 1, 2, 4 ... steps which nodes have an ancestor so far up, which one, and the product of weights."""
    found = []
    for _ in range(ROUNDS):
        nodes = below.nonzero()[:, 0]
        found.append((nodes, at(parents, nodes), at(weights, nodes)[..., None]))
        weights, below, parents = weights * at(weights, parents), below & at(below, parents), at(parents, parents)
    return found


def _sides(features: Tensor) -> Sides:
    """Return the edges between cells and their neighbours, and the order of their squared distances."""
    batch, _, height, width = features.shape
    right = F.pad((features[..., 1:] - features[..., :-1]).square().sum(1), (0, 1), value=torch.inf)
    down = F.pad((features[:, :, 1:] - features[:, :, :-1]).square().sum(1), (0, 0, 0, 1), value=torch.inf)
    lengths = torch.stack([right, down], -1).flatten()
    shortest, order = lengths.sort(stable=True)
    places = torch.arange(lengths.shape[0], device=lengths.device)
    none = torch.full_like(order[:1], 2 * batch * height * width)
    ranked = torch.where(shortest.isinf(), none, places)
    ranks = torch.zeros_like(places).scatter(0, order, ranked).reshape(batch, height, width, 2)
    back = F.pad(ranks[:, :, :-1, 0] + 1, (1, 0)), F.pad(ranks[:, :-1, :, 1] + 1, (0, 0, 1, 0))
    around = torch.stack([ranks[..., 0], ranks[..., 1], *(torch.where(x == 0, none, x - 1) for x in back)], -1)
    around = around.reshape(-1, SIDES)
    cells = torch.arange(batch * height * width, device=order.device)[:, None]
    steps = torch.tensor([1, 0, -1, 0], device=order.device) + torch.tensor([0, 1, 0, -1], device=order.device) * width
    there = torch.where(around == none, cells, cells + steps)
    return Sides(there, around, torch.cat([order, torch.zeros_like(none)]))


def _joined(sides: Sides, width: int) -> Tensor:
    """Return ``(M, 4)`` bool: which sides the trees are made of."""
    count = sides.cells.shape[0]
    parts = torch.arange(count, device=sides.cells.device)
    none = torch.full_like(parts, 2 * count)
    taken = torch.zeros_like(sides.order)
    first = sides.order // 2
    second = torch.where(sides.order % 2 == 0, first + 1, first + width).clamp(max=count - 1)
    for done in range(ROUNDS):
        leaving = torch.where(
            at(parts, sides.cells.flatten()).reshape(-1, SIDES) != parts[:, None], sides.ranks, none[:, None]
        ).amin(1)
        best = none.scatter_reduce(0, parts, leaving, "amin")
        taken = taken.scatter_reduce(0, best, torch.ones_like(best), "amax")
        own = torch.arange(count, device=parts.device)
        target = torch.where(best == none, own, at(parts, at(first, best)) + at(parts, at(second, best)) - own)
        target = torch.where((at(target, target) == own) & (own < target), own, target)  # of two that want each other
        for _ in range(ROUNDS - done):
            target = at(target, target)
        parts = at(target, parts)
    return (at(taken, sides.ranks.flatten()).reshape(-1, SIDES) > 0) & (sides.ranks < 2 * count)


def _rooted(cells: Tensor, joined: Tensor, roots: Tensor) -> Tensor:
    """Return the parent of each cell: a walk around each tree, from its root, goes along every edge twice.

    Ways are numbered ``4 n + side``; a walk that arrives at a cell leaves it by the next side that is an edge.
    """
    count = cells.shape[0]
    ways = torch.arange(SIDES * count, device=cells.device).reshape(count, SIDES)
    backward = (cells * SIDES + (torch.arange(SIDES, device=cells.device) + 2) % SIDES).flatten()
    turned = ways
    for further in range(SIDES - 1, 0, -1):
        turned = torch.where(joined.roll(-further, 1), ways.roll(-further, 1), turned)
    following = torch.where(joined.flatten(), at(turned.flatten(), backward), ways.flatten())
    start = roots * SIDES + at(joined.long(), roots).argmax(1)
    begins = torch.zeros_like(following).scatter(0, start, torch.ones_like(start))
    goes_on = joined.flatten() & (at(begins, following) == 0)
    following = torch.where(goes_on, following, ways.flatten())
    left = goes_on.long()  # steps to the end of the walk
    for _ in range(ROUNDS + 1):
        left, following = left + at(left, following), at(following, following)
    up = joined & (at(left, backward) > left).reshape(count, SIDES)
    return torch.where(up.any(1), (cells * up).sum(1), ways[:, 0] // SIDES)
