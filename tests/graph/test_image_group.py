import torch

from weakseg.graph.image_group import stack_states, unstack_maps


def test_images_come_back_as_they_were() -> None:
    states = [torch.rand(2, height, width) for height, width in ((3, 5), (4, 2), (1, 1))]
    stacked, mask = stack_states(states)
    assert all(one.equal(state) for one, state in zip(unstack_maps(stacked, mask), states, strict=True))
    flat = unstack_maps(stacked[:, 0], mask)
    assert all(one.equal(state[0]) for one, state in zip(flat, states, strict=True))
    alike, none = stack_states(states[:1] * 2)
    assert none is None and all(one.equal(states[0]) for one in unstack_maps(alike, none))
