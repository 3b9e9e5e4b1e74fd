import torch

import dense_reference as dense
from cases import assert_exact, each
from tiled_graphs import noise
from weakseg.nn.graphs.conv_gru import ConvGru


def unit(kernel: int, scale: float) -> ConvGru:
    gru = ConvGru(3, kernel).double()
    for index, weight in enumerate(gru.parameters()):
        weight.data = scale * noise(*weight.shape, seed=index)
    return gru


class TestConvGru:
    @each("kernel", [1, 3])
    def test_equals_its_formula(self, kernel: int) -> None:
        gru = unit(kernel, 1.0)
        message, state = noise(2, 3, 4, 5, seed=8), noise(2, 3, 4, 5, seed=9)
        weights = dict(gru.named_parameters())
        expected = torch.stack([dense.conv_gru(m, h, weights) for m, h in zip(message, state, strict=True)])
        assert_exact(gru(message, state), expected)

    def test_without_weights_states_are_halved(self) -> None:
        # group-wsss.md, oracle 6
        state = noise(2, 3, 4, 5)
        assert_exact(unit(3, 0.0)(torch.zeros_like(state), state), state / 2)

    @each("scale", [0.1, 1.0, 100.0])
    def test_bound(self, scale: float) -> None:
        # group-wsss.md, oracle 7
        message, state = 10 * noise(2, 3, 4, 5, seed=8), 3 * noise(2, 3, 4, 5, seed=9)
        assert bool((unit(3, scale)(message, state).abs() <= state.abs().clamp(min=1) + 1e-12).all())
