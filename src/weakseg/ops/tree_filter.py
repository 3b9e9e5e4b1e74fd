"""Filtering along the minimum spanning tree of a grid: means over all cells, those on alike ways count most."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.errors import ShapeError


class SpanningTree(NamedTuple):
    """A tree that joins all nodes of a grid; the first node is its root.

    Attributes:
        order: ``(N,)`` int64 nodes, row-major cells, by their distance to the root in edges.
        parents: ``(N,)`` int64 parent of each node; of the root the root itself.
        sizes: How many nodes there are at each distance.
    """

    order: Tensor
    parents: Tensor
    sizes: tuple[int, ...]


def minimum_spanning_tree(features: Tensor) -> SpanningTree:
    """Return the tree of a grid of four neighbours whose edges are shortest: squared distances of features.

    Args:
        features: ``(D, h, w)`` finite float; nothing is derived from them. Of equal edges those come first that begin
            in earlier cells, those to the right before those below.

    Returns:
        The tree over ``h w`` nodes, on the device of the features.

    Reference:
        [song2019treefilter], section 3.1.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order
    from scipy.sparse.csgraph import minimum_spanning_tree as shortest

    ends, lengths = _edges(features.detach().double().cpu().numpy())
    count = features.shape[1] * features.shape[2]
    ranks = np.empty(len(lengths))
    ranks[np.argsort(lengths, kind="stable")] = np.arange(1, len(lengths) + 1)  # 0 would be no edge
    tree = shortest(csr_array((ranks, (ends[0], ends[1])), shape=(count, count)))
    order, before = breadth_first_order(tree, 0, directed=False)
    parents = np.where(before < 0, 0, before).astype(np.int64)
    depths = np.zeros(count, np.int64)
    for node in order[1:]:
        depths[node] = depths[parents[node]] + 1
    nodes, above = (torch.from_numpy(x.astype(np.int64)).to(features.device) for x in (order, parents))
    return SpanningTree(nodes, above, tuple(np.bincount(depths).tolist()))


def tree_filter(values: Tensor, distances: Tensor, tree: SpanningTree) -> Tensor:
    """Return ``y_i = sum_j S_ij x_j / sum_j S_ij`` with ``S_ij = exp(-D_ij)``, in time linear in the nodes.

    ``D_ij`` is the sum of distances along the way from i to j. With ``w = exp(-distance)`` sums of subtrees are
    collected from the leaves, ``A_i = x_i + sum over children c of w_c A_c``, and spread from the root, ``Y_c = w_c
    Y_parent + (1 - w_c^2) A_c``.

    Args:
        values: ``(N, G, C)`` float: C channels of each of G groups.
        distances: ``(N, G)`` float, >= 0: from each node to its parent; that of the root counts nothing.
        tree: Over the N nodes.

    Returns:
        ``(N, G, C)``; each value is within the range of its channel.

    Raises:
        ShapeError: If values, distances and tree are not of the same nodes and groups.

    Reference:
        [song2019treefilter], equations 2 to 5.
    """
    if values.ndim != 3 or distances.shape != values.shape[:2] or len(tree.order) != len(values):
        raise ShapeError(
            f"tree filter: values {tuple(values.shape)}, distances {tuple(distances.shape)} and a tree of "
            f"{len(tree.order)} nodes; expected (N, G, C), (N, G) and N"
        )
    place = torch.empty_like(tree.order)
    place[tree.order] = torch.arange(len(tree.order), device=tree.order.device)
    with_ones = torch.cat([values, torch.ones_like(values[..., :1])], dim=-1)[tree.order]
    sizes = list(tree.sizes)
    sums = torch.split(with_ones, sizes)
    weights = torch.split(torch.exp(-distances)[tree.order][..., None], sizes)
    starts = np.cumsum([0, 0, *tree.sizes])  # of the level above each
    parents = [
        one - int(start)
        for one, start in zip(torch.split(place[tree.parents[tree.order]], sizes), starts, strict=False)
    ]
    spread = torch.cat(_spread(_collected(list(sums), weights, parents), weights, parents))[place]
    return spread[..., :-1] / spread[..., -1:]


def _collected(sums: list[Tensor], weights: tuple[Tensor, ...], parents: list[Tensor]) -> list[Tensor]:
    """Return for each level ``A``, from the leaves up."""
    for level in range(len(sums) - 1, 0, -1):
        sums[level - 1] = sums[level - 1].index_add(0, parents[level], weights[level] * sums[level])
    return sums


def _spread(sums: list[Tensor], weights: tuple[Tensor, ...], parents: list[Tensor]) -> list[Tensor]:
    """Return for each level ``Y``, from the root down."""
    found = [sums[0]]
    for own, weight, parent in zip(sums[1:], weights[1:], parents[1:], strict=True):
        found.append(weight * found[-1][parent] + (1 - weight.square()) * own)
    return found


def _edges(features: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ``(2, E)`` neighbours to the right and below, in order of the first, and squared distances."""
    _, height, width = features.shape
    cells = np.arange(height * width).reshape(height, width)
    right = np.stack([cells[:, :-1].ravel(), cells[:, 1:].ravel()])
    below = np.stack([cells[:-1].ravel(), cells[1:].ravel()])
    ends = np.concatenate([right, below], axis=1)
    ends = ends[:, np.argsort(ends[0], kind="stable")]
    flat = features.reshape(len(features), -1)
    lengths: NDArray[np.float64] = ((flat[:, ends[0]] - flat[:, ends[1]]) ** 2).sum(0)
    return ends, lengths
