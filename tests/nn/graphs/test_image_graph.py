import torch
from torch import Tensor

import dense_reference as dense
from cases import assert_exact, each
from tiled_graphs import noise
from weakseg.graph.image_group import complete_edges, stack_states
from weakseg.nn.graphs.image_graph import ImageGraph
from weakseg.settings.group import ImageGraphConfig, light, official

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
        out = network(noise(3, CHANNELS, 3, 4), complete_edges(groups_of(3)))
        (out * noise(*out.shape, seed=1)).sum().backward()
        assert [
            name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()
        ] == []
