import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.feature_affinity import color_position_weights, feature_affinity
from weakseg.ops.stencil import Offset, half_disc, half_square, stencil_matrix

FIVE, WINDOW = half_disc(5), half_square(2)
WSGCN_CODE, WSGCN_PAPER = (12.0, 20.0), (6.0, 200.0)  # denominators of colour and position; wsgcn.md, 2.5
GATED = (2 * 0.1**2, 2 * 6.0**2)  # a2gnn.md, 2.3


def random_features(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights_of(image: Tensor, offsets: tuple[Offset, ...], denominators: tuple[float, float]) -> Tensor:
    return color_position_weights(
        image, offsets, color_denominator=denominators[0], position_denominator=denominators[1]
    )


def kept_numbers(function: Callable[[Tensor], Tensor], features: Tensor) -> int:
    """Return how many numbers are kept for the way back."""
    kept = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = function(features.clone().requires_grad_())
    assert result.requires_grad
    return sum(kept.values())


class TestFeatureAffinity:
    def test_by_hand(self) -> None:
        # psa.md, oracle 1: mean of |0 - 1| and |0 - 3| is 2.
        features = torch.tensor([[[0.0, 1.0]], [[0.0, 3.0]]], dtype=torch.float64)
        assert float(feature_affinity(features, ((0, 1),))[0, 0, 0]) == pytest.approx(0.135335, abs=5e-7)

    def test_equal_features(self) -> None:
        affinity = feature_affinity(torch.ones(3, 1, 4, dtype=torch.float64), ((0, 1),))
        torch.testing.assert_close(affinity, torch.tensor([[[1.0, 1.0, 1.0, 0.0]]]).double(), rtol=0, atol=0)

    def test_laws(self) -> None:
        # psa.md, oracle 1: in (0, 1], unchanged by a constant, k times the features is the k-th power.
        features = random_features(4, 5, 6)
        affinity = feature_affinity(features, FIVE)
        inside = torch.zeros_like(affinity, dtype=torch.bool)
        for plane, (row, column), _ in dense.neighbor_pairs((5, 6), FIVE):
            inside[plane, row, column] = True
        assert float(affinity[inside].min()) > 0
        assert float(affinity.max()) <= 1
        assert float(affinity[~inside].abs().max()) == 0
        shifted = feature_affinity(features + random_features(4, 1, 1, seed=1), FIVE)
        torch.testing.assert_close(shifted, affinity)
        torch.testing.assert_close(feature_affinity(3 * features, FIVE), affinity**3)

    def test_number_of_pairs(self) -> None:
        # psa.md, oracle 2: 93,314 complete pairs on 47 x 63; sources of the official code (h - 4)(w - 8) 34 = 80,410.
        affinity = feature_affinity(torch.zeros(1, 47, 63), FIVE)
        assert len(FIVE) == 34
        assert int(affinity.sum()) == 93_314
        assert int(affinity[:, :-4, 4:-4].sum()) == 80_410
        degrees = stencil_matrix(affinity, FIVE).row_sums().reshape(47, 63)
        assert [int(degrees[cell]) for cell in ((20, 30), (0, 30), (20, 0), (0, 0))] == [68, 38, 38, 21]

    @settings(max_examples=15)
    @given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
    def test_equals_the_dense_version(self, channels: int, height: int, width: int, seed: int) -> None:
        features = random_features(channels, height, width, seed).requires_grad_()
        found, expected = feature_affinity(features, FIVE), dense.feature_affinity(features, FIVE)
        torch.testing.assert_close(found, expected)
        pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        (by_found,) = torch.autograd.grad((found * pull).sum(), features)
        nothing = 0 * features.sum()  # where there is no pair
        (by_expected,) = torch.autograd.grad((expected * pull).sum() + nothing, features)
        torch.testing.assert_close(by_found, by_expected)

    def test_gradient(self) -> None:
        # psa.md, oracle 11: features further apart than the step of the finite differences.
        order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
        features = (order.double() / 7).reshape(2, 3, 4).requires_grad_()
        assert torch.autograd.gradcheck(lambda f: feature_affinity(f, half_disc(3)), (features,))

    def test_gradient_at_ties_is_zero(self) -> None:
        features = torch.tensor([[[1.0, 1.0, 2.0]]], dtype=torch.float64, requires_grad=True)
        feature_affinity(features, ((0, 1),)).sum().backward()
        pull = math.exp(-1)  # of the pair that differs alone
        torch.testing.assert_close(features.grad, torch.tensor([[[0.0, pull, -pull]]]).double())

    def test_flipped_features_give_the_flipped_graph(self) -> None:
        # psa.md, oracle 12, with the complete stencil.
        features = random_features(3, 6, 7)
        graph = stencil_matrix(feature_affinity(features, FIVE), FIVE).to_dense()
        mirrored = stencil_matrix(feature_affinity(features.flip(-1), FIVE), FIVE).to_dense()
        order = torch.arange(42).reshape(6, 7).flip(-1).flatten()
        torch.testing.assert_close(mirrored, graph[order][:, order], rtol=0, atol=0)

    def test_several_maps_at_once(self) -> None:
        maps = torch.stack([random_features(2, 4, 5, seed) for seed in range(3)]).requires_grad_()
        together = feature_affinity(maps, FIVE)
        alone = torch.stack([feature_affinity(features, FIVE) for features in maps])
        torch.testing.assert_close(together, alone, rtol=0, atol=0)
        pull = torch.arange(together.numel(), dtype=torch.float64).reshape(together.shape)
        (first,) = torch.autograd.grad((together * pull).sum(), maps)
        (second,) = torch.autograd.grad((alone * pull).sum(), maps)
        torch.testing.assert_close(first, second)

    def test_memory_does_not_grow_with_channels_times_offsets(self) -> None:
        features = random_features(50, 8, 9)
        assert kept_numbers(lambda f: feature_affinity(f, FIVE), features) == (50 + len(FIVE)) * 8 * 9

    @pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 2)])
    def test_grids_smaller_than_the_window(self, size: tuple[int, int]) -> None:
        features = random_features(2, *size)
        torch.testing.assert_close(feature_affinity(features, FIVE), dense.feature_affinity(features, FIVE))

    @pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
    def test_non_finite_features_are_refused(self, bad: float) -> None:
        features = random_features(2, 3, 3)
        features[1, 1, 1] = bad
        with pytest.raises(ShapeError, match="features"):
            feature_affinity(features, FIVE)

    @pytest.mark.parametrize("shape", [(3, 3), (0, 3, 3)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match="features"):
            feature_affinity(torch.zeros(shape), FIVE)


class TestColorPositionWeights:
    @pytest.mark.parametrize(
        ("denominators", "same_color", "black_white", "degree"),
        [
            # wsgcn.md, 2.5: squared distances 1, 2, 4, 5, 8; black and white at distance 1; degree on a flat image.
            (WSGCN_CODE, (0.951229, 0.904837, 0.818731, 0.778801, 0.670320), 0.740818, 19.6109),
            (WSGCN_PAPER, (0.995012, 0.990050, 0.980199, 0.975310, 0.960789), 0.603506, 23.5067),
        ],
    )
    def test_values_of_the_card(
        self, denominators: tuple[float, float], same_color: tuple[float, ...], black_white: float, degree: float
    ) -> None:
        flat = torch.zeros(3, 5, 5, dtype=torch.float64)
        weights = weights_of(flat, WINDOW, denominators)
        offsets = ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
        found = [float(weights[WINDOW.index(offset), 0, 0]) for offset in offsets]
        assert found == pytest.approx(same_color, abs=5e-7)
        assert float(stencil_matrix(weights, WINDOW).row_sums()[12]) == pytest.approx(degree, abs=5e-5)
        pair = torch.tensor([0.0, 1.0], dtype=torch.float64).expand(3, 1, 2)
        assert float(weights_of(pair, WINDOW, denominators)[0, 0, 0]) == pytest.approx(black_white, abs=5e-7)

    @pytest.mark.parametrize(("difference", "expected"), [(0.0, 0.986207), (0.1, 0.598165)])
    def test_gated_crf_kernel(self, difference: float, expected: float) -> None:
        # a2gnn.md, oracle 11
        image = torch.zeros(3, 1, 2, dtype=torch.float64)
        image[1, 0, 1] = difference
        assert float(weights_of(image, half_square(5), GATED)[0, 0, 0]) == pytest.approx(expected, abs=5e-7)

    @settings(max_examples=10)
    @given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
    def test_equals_the_dense_version(self, height: int, width: int, seed: int) -> None:
        image = random_features(3, height, width, seed)
        expected = dense.color_position_weights(image, WINDOW, 2.5, 7.0)
        torch.testing.assert_close(weights_of(image, WINDOW, (2.5, 7.0)), expected)

    def test_gradient(self) -> None:
        image = random_features(3, 3, 3).requires_grad_()
        assert torch.autograd.gradcheck(lambda i: weights_of(i, WINDOW, (2.5, 7.0)), (image,))

    def test_several_images_at_once(self) -> None:
        images = torch.stack([random_features(3, 4, 5, seed) for seed in range(2)])
        alone = torch.stack([weights_of(image, WINDOW, WSGCN_CODE) for image in images])
        torch.testing.assert_close(weights_of(images, WINDOW, WSGCN_CODE), alone, rtol=0, atol=0)

    def test_a_single_cell_has_no_neighbour(self) -> None:
        assert float(weights_of(torch.ones(3, 1, 1), half_square(5), GATED).abs().sum()) == 0

    @each("denominators", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, math.nan)])
    def test_denominators_must_be_positive(self, denominators: tuple[float, float]) -> None:
        with pytest.raises(ShapeError, match="denominators"):
            weights_of(torch.zeros(3, 2, 2), WINDOW, denominators)

    def test_a_non_finite_image_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="image"):
            weights_of(torch.full((3, 2, 2), torch.nan), WINDOW, WSGCN_CODE)
