"""Filtering along a tree: against the naive sum over all pairs, and the tree against its definition."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from weakseg.errors import ShapeError
from weakseg.ops.tree_filter import SpanningTree, minimum_spanning_tree, tree_filter

SHAPES = ((1, 1), (1, 5), (4, 1), (3, 4), (6, 7))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive(values: Tensor, distances: Tensor, tree: SpanningTree) -> Tensor:
    """Return the filter by its definition: ways between all pairs of nodes."""
    count = len(values)
    between = torch.full((count, count, values.shape[1]), torch.inf, dtype=values.dtype)
    root = int(tree.order[0])
    for node in range(count):
        between[node, node] = 0
        if node != root:
            between[node, tree.parents[node]] = between[tree.parents[node], node] = distances[node]
    for middle in range(count):  # Floyd and Warshall; in a tree there is one way
        between = torch.minimum(between, between[:, middle, None] + between[None, middle])
    weights = torch.exp(-between)
    return torch.einsum("ijg,jgc->igc", weights, values) / weights.sum(1)[..., None]


def kruskal(features: Tensor) -> float:
    """Return the length of the shortest tree over a grid."""
    _, height, width = features.shape
    edges = []
    for row, column in itertools.product(range(height), range(width)):
        for other in ((row, column + 1), (row + 1, column)):
            if other[0] < height and other[1] < width:
                length = float((features[:, row, column] - features[:, other[0], other[1]]).square().sum())
                edges.append((length, row * width + column, other[0] * width + other[1]))
    found, total = list(range(height * width)), 0.0
    for length, one, other in sorted(edges):
        if found[one] != found[other]:
            total += length
            found = [found[one] if f == found[other] else f for f in found]
    return total


class TestTree:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_it_joins_all_at_the_least_length(self, shape: tuple[int, int]) -> None:
        features = noise(3, *shape)
        tree = minimum_spanning_tree(features)
        flat = features.flatten(1).T
        nodes = tree.order[1:]
        assert sorted(tree.order.tolist()) == list(range(len(flat))) and sum(tree.sizes) == len(flat)
        steps = (tree.parents[nodes] - nodes).abs().tolist()
        assert set(steps) <= {1, shape[1]} and tree.parents[tree.order[0]] == tree.order[0]
        length = float((flat[nodes] - flat[tree.parents[nodes]]).square().sum())
        assert length == pytest.approx(kruskal(features), abs=1e-12)

    def test_parents_come_a_level_earlier(self) -> None:
        tree = minimum_spanning_tree(noise(2, 6, 7))
        depth = np.repeat(np.arange(len(tree.sizes)), tree.sizes)
        of = dict(zip(tree.order.tolist(), depth.tolist(), strict=True))
        assert all(of[int(tree.parents[n])] == of[n] - 1 for n in tree.order[1:].tolist())

    def test_equal_features_give_one_tree_always(self) -> None:
        first, second = (minimum_spanning_tree(torch.zeros(1, 4, 5)) for _ in range(2))
        assert first.parents.equal(second.parents) and len(first.order) == 20

    def test_it_does_not_cross_edges_more_than_it_must(self) -> None:
        """Two halves of like cells are joined by a single edge."""
        features = torch.zeros(1, 6, 8)
        features[..., 4:] = 9.0
        tree = minimum_spanning_tree(features)
        half = torch.arange(48) % 8 >= 4
        nodes = tree.order[1:]
        assert int((half[nodes] != half[tree.parents[nodes]]).sum()) == 1


class TestFilter:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_it_equals_the_sum_over_pairs(self, shape: tuple[int, int]) -> None:
        tree, count = minimum_spanning_tree(noise(2, *shape)), shape[0] * shape[1]
        values, distances = noise(count, 2, 3, seed=1), noise(count, 2, seed=2).abs()
        found = tree_filter(values, distances, tree)
        torch.testing.assert_close(found, naive(values, distances, tree), rtol=1e-12, atol=1e-12)

    def test_a_chain_by_hand(self) -> None:
        # Three nodes in a row, distances ln 2 and ln 4: S_01 = 1/2, S_12 = 1/4, S_02 = 1/8.
        tree = SpanningTree(torch.arange(3), torch.tensor([0, 0, 1]), (1, 1, 1))
        values = torch.tensor([1.0, 0.0, 8.0], dtype=torch.float64)[:, None, None]
        distances = torch.tensor([7.0, np.log(2), np.log(4)], dtype=torch.float64)[:, None]
        expected = [
            (1 + 8 / 8) / (1 + 1 / 2 + 1 / 8),
            (1 / 2 + 8 / 4) / (1 / 2 + 1 + 1 / 4),
            (1 / 8 + 8) / (1 / 8 + 1 / 4 + 1),
        ]
        assert tree_filter(values, distances, tree).flatten().tolist() == pytest.approx(expected)

    def test_no_distance_is_the_mean_and_great_distance_nothing(self) -> None:
        tree, values = minimum_spanning_tree(noise(1, 4, 5)), noise(20, 1, 2)
        found = tree_filter(values, torch.zeros(20, 1, dtype=torch.float64), tree)
        torch.testing.assert_close(found, values.mean(0, keepdim=True).expand(20, 1, 2))
        torch.testing.assert_close(tree_filter(values, torch.full((20, 1), 800.0).double(), tree), values)

    def test_constants_stay(self) -> None:
        tree = minimum_spanning_tree(noise(1, 4, 5))
        found = tree_filter(torch.full((20, 2, 1), 3.0).double(), noise(20, 2).abs(), tree)
        torch.testing.assert_close(found, torch.full((20, 2, 1), 3.0).double())

    def test_gradient(self) -> None:
        tree = minimum_spanning_tree(noise(1, 3, 4))
        inputs = noise(12, 2, 2).requires_grad_(), noise(12, 2, seed=1).abs().requires_grad_()
        assert torch.autograd.gradcheck(lambda x, d: tree_filter(x, d, tree), inputs)
        assert (
            torch.autograd.grad(tree_filter(*inputs, tree).square().sum(), inputs[1])[0][tree.order[0]].abs().max() == 0
        )

    def test_other_nodes_are_refused(self) -> None:
        tree = minimum_spanning_tree(noise(1, 3, 4))
        for values, distances in (
            (noise(11, 1, 1), noise(11, 1)),
            (noise(12, 2, 1), noise(12, 1)),
            (noise(12, 2), noise(12, 2)),
        ):
            with pytest.raises(ShapeError, match=r"tree filter: values .* a tree of 12 nodes"):
                tree_filter(values, distances, tree)
