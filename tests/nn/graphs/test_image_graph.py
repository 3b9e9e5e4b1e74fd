from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import dense_reference as dense
from cases import assert_exact, each
from tiled_graphs import noise
from weakseg.errors import ConfigError, ShapeError
from weakseg.graph.image_group import complete_edges, group_edges, stack_states
from weakseg.nn.graphs.image_graph import ImageGraph
from weakseg.settings.group import ImageGraphConfig, light, official, parameter_free

CHANNELS = 8
CONFIGS: tuple[ImageGraphConfig, ...] = (
    ImageGraphConfig(),
    light(),
    official(),
    ImageGraphConfig(aggregate="mean", gate=True),
    ImageGraphConfig(affinity="full", timing="previous"),
    ImageGraphConfig(reverse="transposed", projection_bias=True),
    ImageGraphConfig(messages="mean", gru_kernel=1, gate=True),
    ImageGraphConfig(messages="mean", aggregate="concatenate", senders=2),
    ImageGraphConfig(messages="none", gru_kernel=1),
    parameter_free(),
    ImageGraphConfig(pool=2),
    replace(parameter_free(), pool=3),
)


def graph(config: ImageGraphConfig, channels: int = CHANNELS, seed: int = 0, scale: float = 0.3) -> ImageGraph:
    """Return a graph of weights, and biases, that are far from zero."""
    network = ImageGraph(channels, config).double().eval()
    for index, weight in enumerate(network.parameters()):
        weight.data = scale * noise(*weight.shape, seed=seed + index)
    return network


def groups_of(*sizes: int) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


class TestImageGraph:
    @each("transposed", [False, True])
    def test_equals_the_dense_version(self, transposed: bool) -> None:
        # values and gradients by every weight: two groups, images of three sizes, an edge less than all
        network = graph(ImageGraphConfig(rounds=2, reverse="transposed" if transposed else "recomputed"))
        states = [noise(CHANNELS, 3, 4), noise(CHANNELS, 2, 5, seed=1), noise(CHANNELS, 4, 1, seed=2)] * 2
        edges = complete_edges(groups_of(3, 3))[:, :-1]
        stacked, mask = stack_states(states)
        found = network(stacked, edges, mask)
        names = dict(network.named_parameters())
        expected = dense.image_graph(states, list(zip(*edges.tolist(), strict=True)), names, 2, transposed=transposed)
        parts = [one[:, : own.shape[1], : own.shape[2]] for one, own in zip(found, expected, strict=True)]
        for one, own in zip(parts, expected, strict=True):
            assert_exact(one, own)
        assert mask is not None and not found.masked_fill(mask[:, None], 0).any()
        slopes = [noise(*own.shape, seed=3) for own in expected]
        grads = [
            torch.autograd.grad(sum((v * s).sum() for v, s in zip(values, slopes, strict=True)), list(names.values()))
            for values in (parts, expected)
        ]
        for name, one, own in zip(names, *grads, strict=True):
            assert own.any(), name
            assert_exact(one, own)

    @each("config", CONFIGS)
    def test_every_weight_learns(self, config: ImageGraphConfig) -> None:
        network = ImageGraph(CHANNELS, config).double()
        out = network(noise(3, CHANNELS, 3, 4).requires_grad_(), complete_edges(groups_of(3)))
        (out * noise(*out.shape, seed=1)).sum().backward()
        assert [
            name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()
        ] == []

    @each("config", CONFIGS)
    def test_order_of_members(self, config: ImageGraphConfig) -> None:
        # group-wsss.md, oracle 4; where the order of a group counts, that of whole groups does not
        network, states = graph(config), noise(5, CHANNELS, 3, 4)
        free = config.aggregate != "concatenate" and config.reverse == "recomputed"
        order = torch.tensor([4, 1, 3, 0, 2] if free else [3, 4, 0, 1, 2])
        groups = groups_of(3, 2)
        found = network(states, complete_edges(groups))
        assert_exact(network(states[order], complete_edges(groups[order])), found[order])

    def test_where_the_order_counts(self) -> None:
        for config in (official(), ImageGraphConfig(reverse="transposed")):
            network, states = graph(config), noise(3, CHANNELS, 3, 4)
            edges, order = complete_edges(groups_of(3)), torch.tensor([1, 0, 2])
            assert not torch.allclose(network(states[order], edges), network(states, edges)[order])

    @each("config", CONFIGS)
    def test_without_edges_images_are_alone(self, config: ImageGraphConfig) -> None:
        # group-wsss.md, oracles 5 and 6
        network, states = graph(config), noise(3, CHANNELS, 3, 4)
        none = group_edges(torch.eye(3), groups_of(3))
        found = network(states, none)
        for index in range(3):
            assert_exact(network(states[index : index + 1], none)[0], found[index])
        assert (config.messages == "none") == torch.equal(found, network(states, complete_edges(groups_of(3))))

    @each("config", CONFIGS)
    def test_images_of_several_sizes(self, config: ImageGraphConfig) -> None:
        # what lies beside an image, numbers that are none included, is neither sent nor mixed in
        network, states = graph(config), noise(3, CHANNELS, 3, 4)
        edges = complete_edges(groups_of(3))
        padded = torch.nn.functional.pad(states, (0, 2, 0, 3), value=float("nan"))
        mask = torch.zeros(3, 6, 6, dtype=torch.bool)
        mask[:, :3, :4] = True
        found = network(padded, edges, mask)
        assert_exact(found[:, :, :3, :4], network(states, edges))
        assert not found.masked_fill(mask[:, None], 0).any()

    def test_without_weights_states_are_halved_in_every_round(self) -> None:
        # group-wsss.md, oracle 6
        network, states = graph(ImageGraphConfig(rounds=3), scale=0.0), noise(2, CHANNELS, 3, 4)
        assert_exact(network(states, complete_edges(groups_of(2))), states / 8)

    @each(("messages", "per_cell"), [("attention", True), ("mean", False)])
    def test_what_neighbors_send(self, messages: Any, per_cell: bool) -> None:
        states, edges = noise(3, CHANNELS, 3, 4), complete_edges(groups_of(3))[:, :-1]  # node 2 hears node 0 alone
        network = graph(ImageGraphConfig(messages=messages))
        summed = network.neighbors(states, edges)
        assert (summed.std((2, 3)).max() > 1e-3) == per_cell
        mean = graph(ImageGraphConfig(messages=messages, aggregate="mean")).neighbors(states, edges)
        assert_exact(mean, summed / torch.tensor([2, 2, 1])[:, None, None, None])
        if not per_cell:
            means = states.mean((2, 3))
            assert_exact(summed[:, :, 1, 1], torch.stack([means[1] + means[2], means[0] + means[2], means[0]]))

    def test_messages_of_the_round_before(self) -> None:
        # equation 8: the first round gets none, the second what the first states sent
        config = ImageGraphConfig(rounds=2, timing="previous", self_edge=False)
        network, states, edges = graph(config), noise(3, CHANNELS, 3, 4), complete_edges(groups_of(3))
        first = network.gru(torch.zeros_like(states), states)
        assert_exact(network(states, edges), network.gru(network.neighbors(states, edges), first))

    def test_full_affinity(self) -> None:
        # equation 4: e = h_i W h_j^T
        network = graph(ImageGraphConfig(affinity="full"))
        states, edges = noise(2, CHANNELS, 2, 3), torch.tensor([[1], [0]])
        weight = network.query.weight[:, :, 0, 0].T
        receiving, sending = (state.flatten(1).T for state in states)
        expected = torch.softmax(receiving @ weight @ sending.T, -1) @ sending
        assert_exact(network.neighbors(states, edges)[0].flatten(1).T, expected)

    def test_nothing_to_learn(self) -> None:
        # the mean of a state and of the mean message, by cosines; who hears nobody stays as it is
        network, states = graph(parameter_free()), noise(3, CHANNELS, 2, 3)
        edges = torch.tensor([[1, 2, 0], [0, 0, 1]])
        cells = [state.flatten(1).T for state in states]
        unit = [one / one.norm(dim=1, keepdim=True) for one in cells]
        heard = [torch.softmax(30 * unit[r] @ unit[s].T, -1) @ cells[s] for s, r in edges.T.tolist()]
        expected = [(cells[0] + (heard[0] + heard[1]) / 2) / 2, (cells[1] + heard[2]) / 2, cells[2]]
        assert not list(network.parameters())
        assert_exact(network(states, edges).flatten(2).mT, torch.stack(expected))

    def test_official_messages(self) -> None:
        # gate, then a convolution of the messages side by side, in the order of senders
        network = graph(official())
        states, edges = noise(3, CHANNELS, 2, 3), complete_edges(groups_of(3))
        gate, conv = network.gate, network.mixing
        assert gate is not None and conv is not None
        sent = []
        for sender in (0, 2):
            maps = [layer(states)[node].flatten(1).T for layer, node in ((network.query, 1), (network.key, sender))]
            message = dense.co_attention_message(maps[0], maps[1], states[sender].flatten(1).T)
            gated = torch.sigmoid(message @ gate.weight[0])[:, None] * message
            sent.append(gated.T.reshape(states[0].shape))
        assert_exact(network.neighbors(states, edges)[1], conv.conv(torch.cat(sent)[None])[0])
        assert network.query.bias is not None and network.key.bias is None

    def test_gradient_by_finite_differences(self) -> None:
        # group-wsss.md, oracle 12: K = 3, C = 4, 3 x 3 cells, T = 2
        network = graph(ImageGraphConfig(rounds=2, self_edge=False), channels=4)
        states, edges = noise(3, 4, 3, 3), complete_edges(groups_of(3))
        slope = noise(*states.shape, seed=7)
        names = [name for name, _ in network.named_parameters()]

        def value(given: Tensor, *weights: Tensor) -> Tensor:
            found = torch.func.functional_call(network, dict(zip(names, weights, strict=True)), (given, edges))
            return (found * slope).sum()

        inputs = (states, *(weight.detach() for weight in network.parameters()))
        assert torch.autograd.gradcheck(value, [one.requires_grad_() for one in inputs], fast_mode=True)

    def test_mixed_precision(self) -> None:
        network, edges = ImageGraph(CHANNELS, ImageGraphConfig()).eval(), complete_edges(groups_of(3))
        states = noise(3, CHANNELS, 3, 4, dtype=torch.float32)
        exact = network(states, edges)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = network(states, edges)
        torch.testing.assert_close(found.float(), exact, rtol=2e-2, atol=2e-2)
        found.float().sum().backward()
        assert all(
            bool(torch.isfinite(weight.grad).all()) for weight in network.parameters() if weight.grad is not None
        )


class TestDropout:
    def test_how_often_cells_are_dropped(self) -> None:
        # group-wsss.md, oracle 9: 10,000 draws, one for each node and round
        network = graph(ImageGraphConfig(messages="none", rounds=2, gru_kernel=1, drop_output="product"), scale=0.0)
        assert network.gru is not None and network.gru.gates.bias is not None
        network.gru.gates.bias.data.fill_(-1000.0)  # no update
        torch.manual_seed(0)
        found = network.train()(torch.ones(5000, CHANNELS, 1, 2).double(), torch.empty(2, 0).long())
        # equal cells stand out, all of them: what no round has dropped is left
        assert abs(int((found == 0).all(1).sum()) / 2 - 5000 * (1 - 0.8**2)) < 3 * (5000 * 0.64 * 0.36) ** 0.5

    @each(("rounds", "expected"), [(1, [0.5, 0.0]), (2, [0.0, 0.0])])
    def test_every_round_draws(self, rounds: int, expected: list[float]) -> None:
        # each round halves the states and drops what stands out: of 1 and 4 first the 4, then the other
        network = graph(ImageGraphConfig(rounds=rounds, drop_probability=1.0, drop_output="product"), scale=0.0).train()
        states = torch.tensor([[1.0, 4.0]]).double().expand(1, CHANNELS, 1, 2)
        assert_exact(network(states, torch.empty(2, 0).long())[0, 0, 0], torch.tensor(expected).double())

    def test_only_while_training(self) -> None:
        network, states, edges = graph(ImageGraphConfig()), noise(3, CHANNELS, 3, 4), complete_edges(groups_of(3))
        assert torch.equal(network(states, edges), network(states, edges))
        torch.manual_seed(0)
        drawn = network.train()(states, edges)
        assert not torch.equal(drawn, network(states, edges))
        assert not torch.allclose(drawn, network.eval()(states, edges))
        plain = graph(ImageGraphConfig(dropout=False))
        assert torch.equal(plain.train()(states, edges), network(states, edges))


class TestAttention:
    @each("config", [c for c in CONFIGS if c.messages == "attention"])
    def test_it_is_what_messages_are_made_of(self, config: ImageGraphConfig) -> None:
        network = graph(config)
        states, mask = stack_states([noise(CHANNELS, 3, 4), noise(CHANNELS, 2, 5, seed=1)])
        edges, cell = complete_edges(groups_of(2)), (1, 2)
        rows = network.attention(states, edges, cell, mask)
        assert_exact(rows.sum((1, 2)), torch.ones(2).double())
        messages = network._messages(states, edges, mask)[:, cell[0] * states.shape[3] + cell[1]]
        assert_exact(torch.einsum("ehw,echw->ec", rows, states[edges[0]]), messages)

    def test_there_is_none(self) -> None:
        network, edges = graph(ImageGraphConfig(messages="mean")), complete_edges(groups_of(2))
        with pytest.raises(ConfigError, match="'mean' attend to nothing"):
            network.attention(noise(2, CHANNELS, 3, 4), edges, (0, 0))


class TestBadInput:
    def test_too_few_channels(self) -> None:
        for config, channels, name in (
            (official(), 1, "graph.reduction: 1 channels divided by 2 leave none"),
            (ImageGraphConfig(), 4, "graph.self_edge: 4 channels divided by 8 leave none"),
        ):
            with pytest.raises(ConfigError, match=name):
                ImageGraph(channels, config)

    def test_shapes(self) -> None:
        network, states, edges = graph(ImageGraphConfig()), noise(2, CHANNELS, 3, 4), complete_edges(groups_of(2))
        for given, mask, message in (
            (states[0], None, r"states: expected shape \(n, C, H, W\)"),
            (states, torch.ones(2, 3, 5, dtype=torch.bool), r"cell_mask is \(2, 3, 5\)"),
            (states, torch.arange(2)[:, None, None].expand(2, 3, 4) > 0, "has no cell that sends"),
            (states[:1], None, "expected nodes in 0..0, got 0 to 1"),
        ):
            with pytest.raises(ShapeError, match=message):
                network(given, edges, mask)

    def test_more_messages_than_room(self) -> None:
        with pytest.raises(ShapeError, match="an image gets 3 messages, there is room for 2"):
            graph(official())(noise(4, CHANNELS, 3, 4), complete_edges(groups_of(4)))
