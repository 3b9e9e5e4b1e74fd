import pytest
import torch

from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.image_group import complete_edges, group_edges, stack_states, unstack_maps

NAN = float("nan")


def pairs(edges: torch.Tensor) -> list[tuple[int, ...]]:
    assert edges.dtype == torch.int64 and edges.shape[0] == 2
    return [tuple(pair) for pair in edges.T.tolist()]


class TestEdges:
    def test_both_ways_where_a_class_is_shared_within_a_group(self) -> None:
        targets = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]], dtype=torch.float32)
        edges = group_edges(targets, torch.tensor([0, 0, 0, 0, 1, 1]))
        assert pairs(edges) == [(1, 0), (0, 1), (2, 1), (1, 2), (5, 4), (4, 5)]

    def test_of_the_card(self) -> None:
        # group-wsss.md, oracle 11: who shares no class with the others has no edge
        targets = torch.eye(3)
        assert group_edges(targets, torch.zeros(3, dtype=torch.int64)).shape == (2, 0)

    def test_unknown_classes_are_not_shared(self) -> None:
        targets = torch.tensor([[NAN, 0], [NAN, 1], [1, 1], [1, NAN]])
        assert pairs(group_edges(targets, torch.zeros(4, dtype=torch.int64))) == [(2, 1), (1, 2), (3, 2), (2, 3)]

    def test_one_class(self) -> None:
        # L = 1: every pair shares it
        groups = torch.tensor([4, 7, 4, 7, 4])
        assert torch.equal(group_edges(torch.ones(5, 1), groups), complete_edges(groups))
        assert pairs(complete_edges(groups)) == [(2, 0), (4, 0), (3, 1), (0, 2), (4, 2), (1, 3), (0, 4), (2, 4)]

    def test_any_class_joins_all_that_show_one(self) -> None:
        targets = torch.tensor([[1, 0], [0, 1], [0, 0], [NAN, 0], [1, NAN]])
        found = group_edges(targets, torch.tensor([0, 0, 0, 0, 1]), any_class=True)
        assert pairs(found) == [(1, 0), (0, 1)]

    def test_single_images(self) -> None:
        assert complete_edges(torch.tensor([0, 1, 2])).shape == (2, 0)

    def test_bad_input(self) -> None:
        with pytest.raises(ShapeError, match=r"targets: expected shape \(n, K\)"):
            group_edges(torch.ones(3), torch.zeros(3))
        with pytest.raises(ShapeError, match=r"groups is \(2,\) but images is \(3,\)"):
            group_edges(torch.ones(3, 2), torch.zeros(2))
        with pytest.raises(ShapeError, match=r"groups: expected shape \(n,\)"):
            complete_edges(torch.zeros(3, 2))


class TestStackStates:
    def test_one_size_needs_no_mask(self) -> None:
        states = [torch.rand(2, 3, 4) for _ in range(3)]
        stacked, mask = stack_states(states)
        assert mask is None and torch.equal(stacked, torch.stack(states))

    def test_several_sizes(self) -> None:
        states = [torch.rand(2, 3, 1), torch.rand(2, 1, 4), torch.rand(2, 2, 2)]
        stacked, mask = stack_states(states)
        assert mask is not None and stacked.shape == (3, 2, 3, 4) and mask.shape == (3, 3, 4)
        for index, state in enumerate(states):
            assert torch.equal(stacked[index][:, mask[index]].reshape(state.shape), state)
            assert int(mask[index].sum()) == state[0].numel()
        assert not stacked.masked_fill(mask[:, None], 0).any()

    @each("states", [[], [torch.rand(2, 3, 3), torch.rand(3, 3, 3)], [torch.rand(3, 3)]])
    def test_bad_input(self, states: list[torch.Tensor]) -> None:
        with pytest.raises(ShapeError, match=r"states: expected \(C, h, w\) with one C"):
            stack_states(states)


def test_images_come_back_as_they_were() -> None:
    states = [torch.rand(2, height, width) for height, width in ((3, 5), (4, 2), (1, 1))]
    stacked, mask = stack_states(states)
    assert all(one.equal(state) for one, state in zip(unstack_maps(stacked, mask), states, strict=True))
    flat = unstack_maps(stacked[:, 0], mask)
    assert all(one.equal(state[0]) for one, state in zip(flat, states, strict=True))
    alike, none = stack_states(states[:1] * 2)
    assert none is None and all(one.equal(states[0]) for one in unstack_maps(alike, none))
