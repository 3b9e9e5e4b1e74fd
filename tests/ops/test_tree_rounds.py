"""Trees spanned and filtered in rounds are those that are spanned edge by edge and filtered level by level."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from weakseg.errors import ShapeError
from weakseg.ops.tree_filter import minimum_spanning_tree, tree_filter
from weakseg.ops.tree_rounds import filter_in_rounds, spanning_parents

SHAPES = [(1, 1), (1, 2), (2, 1), (1, 9), (11, 1), (3, 3), (7, 5), (16, 12)]


def spiral(side: int) -> Tensor:
    """Features whose tree is one long way: cells along a spiral differ by one, others by much."""
    features, place, step = torch.full((side, side), -1.0), (0, 0), (0, 1)
    for number in range(side * side):
        features[place] = float(number)
        ahead = (place[0] + step[0], place[1] + step[1])
        if not (0 <= ahead[0] < side and 0 <= ahead[1] < side and features[ahead] < 0):
            step = (step[1], -step[0])
            ahead = (place[0] + step[0], place[1] + step[1])
        place = ahead
    return features[None]


def expected(features: Tensor) -> Tensor:
    count = features.shape[2] * features.shape[3]
    return torch.cat([minimum_spanning_tree(one).parents + number * count for number, one in enumerate(features)])


@settings(max_examples=40)
@given(st.sampled_from(SHAPES), st.integers(0, 2**16), st.sampled_from(["random", "ties", "flat"]))
def test_parents_and_filter(shape: tuple[int, int], seed: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, *shape, generator=generator)
    features = {"random": features, "ties": features.round(), "flat": features * 0}[kind]
    parents, count = spanning_parents(features), shape[0] * shape[1]
    torch.testing.assert_close(parents, expected(features), rtol=0, atol=0)
    values, distances = (torch.rand(2 * count, 4, *more, generator=generator) for more in ((3,), ()))
    wanted = [
        tree_filter(values[part], distances[part], minimum_spanning_tree(one))
        for one, part in zip(features, (slice(count), slice(count, None)), strict=True)
    ]
    torch.testing.assert_close(filter_in_rounds(values, distances, parents), torch.cat(wanted))


def test_a_tree_that_is_one_long_way() -> None:
    """Its depth is the number of cells less one: the most rounds that a grid can need."""
    features = spiral(20)[None]
    parents = spanning_parents(features)
    tree = minimum_spanning_tree(features[0])
    assert len(tree.sizes) == 400
    torch.testing.assert_close(parents, tree.parents, rtol=0, atol=0)
    values, distances = torch.rand(400, 1, 2), torch.full((400, 1), 1e-3)
    found = filter_in_rounds(values, distances, parents)
    torch.testing.assert_close(found, tree_filter(values, distances, tree), rtol=1e-5, atol=1e-6)


def test_what_is_no_batch_of_grids() -> None:
    with pytest.raises(ShapeError, match=r"\(3, 4, 4\); expected \(B, D, h, w\)"):
        spanning_parents(torch.rand(3, 4, 4))
