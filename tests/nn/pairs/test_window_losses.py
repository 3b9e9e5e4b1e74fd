"""A2GNN's losses of pairs within a window, against lists of pairs and the values of its card."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import assert_exact
from weakseg.graph.feature_affinity import color_position_weights, feature_affinity, feature_distance
from weakseg.nn.pairs.pair_losses import Pairs, affinity_loss, label_pairs, own_pairs, similarity_loss
from weakseg.nn.pairs.window_affinity import node_colors
from weakseg.ops.stencil import half_square
from weakseg.settings.window_affinity import PairLossConfig
from weakseg.stages.window_affinity import pair_loss

KERNEL = {"color_denominator": 2 * 0.1**2, "position_denominator": 2 * 6.0**2}
sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels_of(*shape: int, seed: int = 0) -> Tensor:
    return torch.tensor([0, 1, 2, 255])[torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(seed))]


def pairs_of(kind: str) -> Pairs:
    yes, no = torch.ones(1, 1, 1, 1, dtype=torch.bool), torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    return Pairs(*(yes if name == kind else no for name in Pairs._fields))


class TestOracles:
    def test_affinity(self) -> None:
        # a2gnn.md, oracle 9: exp(-(.5 + .25) / 2)
        features = torch.tensor([[[1.0, 0.5]], [[0.0, 0.25]]])
        assert float(feature_affinity(features, half_square(1))[0, 0, 0]) == pytest.approx(0.687289, abs=1e-6)
        assert float(feature_distance(features, half_square(1))[0, 0, 0]) == pytest.approx(0.375)

    @pytest.mark.parametrize(
        ("kind", "value", "expected"),
        [("foreground", 0.8, 0.22313 / 4), ("different", 0.3, 0.35666 / 2), ("nothing", 0.5, 0.0)],
    )
    def test_contrast_of_explicit_pairs(self, kind: str, value: float, expected: float) -> None:
        # a2gnn.md, oracle 10
        found = float(affinity_loss(torch.full((1, 1, 1, 1), value), pairs_of(kind)))
        assert found == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize(("difference", "expected"), [(0.1, 0.598165), (0.0, 0.986207)])
    def test_kernel(self, difference: float, expected: float) -> None:
        # a2gnn.md, oracle 11
        colors = torch.zeros(3, 1, 2, dtype=torch.float64)
        colors[1, 0, 1] = difference
        weights = color_position_weights(colors, half_square(1), **KERNEL)
        assert float(weights[0, 0, 0]) == pytest.approx(expected, abs=1e-6)

    def test_own_pairs_dilute_the_positive_means(self) -> None:
        # Two cells of a class, D = .8: four ordered pairs, of which two are perfect.
        labels = torch.ones(1, 1, 2, dtype=torch.long)
        affinity = torch.tensor([0.8, 0.0], dtype=torch.float64).reshape(1, 1, 1, 2)
        pairs = label_pairs(labels, ((0, 1),))
        found = float(affinity_loss(affinity, pairs, own=own_pairs(labels)))
        assert found == pytest.approx(float(affinity_loss(affinity, pairs)) / 2, rel=1e-4)
        assert [int(count) for count in own_pairs(torch.tensor([[[0, 0, 3, 255, 1]]]))] == [2, 2]


class TestAgainstTheList:
    @settings(max_examples=20)
    @given(sizes, st.integers(1, 3), st.booleans(), st.integers(0, 99))
    def test_values_and_derivatives(self, size: tuple[int, int], radius: int, own: bool, seed: int) -> None:
        features = numbers(2, 3, *size, seed=seed).requires_grad_()
        labels, inside = labels_of(2, *size, seed=seed), numbers(2, *size, seed=seed + 1) > -0.8
        images = 120 + 20 * numbers(2, 3, 8 * size[0], 8 * size[1], seed=seed)
        config = PairLossConfig(own_pairs=own)
        found = pair_loss(features, (images, labels, inside), half_square(radius), config)
        colors = node_colors(images.float()).double()
        contrast, regular = dense.window_affinity_losses(features, labels, colors, inside, radius, own_pairs=own)
        assert_exact(found.double(), contrast + 3 * regular, rtol=1e-4, atol=1e-4)
        slopes = [torch.autograd.grad(loss, features)[0] for loss in (found, contrast + 3 * regular)]
        assert_exact(*slopes, rtol=1e-3, atol=1e-4)

    def test_without_similarity(self) -> None:
        features, labels = numbers(1, 2, 3, 3), labels_of(1, 3, 3)
        inside, images = torch.ones(1, 3, 3, dtype=torch.bool), torch.zeros(1, 3, 24, 24)
        found = pair_loss(features, (images, labels, inside), half_square(1), PairLossConfig(similarity=0))
        contrast, _ = dense.window_affinity_losses(features, labels, torch.zeros(1, 3, 3, 3), inside, 1)
        assert float(found) == pytest.approx(float(contrast), rel=1e-4)


class TestSimilarity:
    offsets = half_square(2)

    def weights(self, *shape: int) -> Tensor:
        return color_position_weights(0.1 * numbers(*shape, seed=7), self.offsets, **KERNEL)

    def test_gradient(self) -> None:
        weights, inside = self.weights(2, 3, 4, 4), numbers(2, 4, 4, seed=3) > -0.5

        def loss(features: Tensor) -> Tensor:
            return similarity_loss(feature_distance(features, self.offsets), weights, self.offsets, inside)

        assert torch.autograd.gradcheck(loss, numbers(2, 3, 4, 4).requires_grad_())

    def test_equal_features_cost_nothing(self) -> None:
        distance = feature_distance(torch.ones(1, 2, 3, 4), self.offsets)
        assert (
            float(similarity_loss(distance, self.weights(1, 3, 3, 4).float(), self.offsets, torch.ones(1, 3, 4) > 0))
            == 0
        )

    def test_what_lies_outside_does_not_count(self) -> None:
        # The loss of a padded grid is that of the grid, with other values in the padding and over its border.
        features, weights = numbers(1, 2, 3, 3), self.weights(1, 3, 3, 3)
        whole = similarity_loss(
            feature_distance(features, self.offsets), weights, self.offsets, torch.ones(1, 3, 3) > 0
        )
        padded = torch.nn.functional.pad(features, (2, 1, 0, 3), value=50.0)
        colors = torch.nn.functional.pad(0.1 * numbers(1, 3, 3, 3, seed=7), (2, 1, 0, 3), value=0.3)
        inside = torch.nn.functional.pad(torch.ones(1, 3, 3), (2, 1, 0, 3)) > 0
        found = similarity_loss(
            feature_distance(padded, self.offsets),
            color_position_weights(colors, self.offsets, **KERNEL),
            self.offsets,
            inside,
        )
        assert_exact(found, whole)

    def test_nothing_inside(self) -> None:
        features = numbers(1, 2, 3, 3).requires_grad_()
        loss = similarity_loss(
            feature_distance(features, self.offsets), self.weights(1, 3, 3, 3), self.offsets, torch.zeros(1, 3, 3) > 0
        )
        (slope,) = torch.autograd.grad(loss, features)
        assert float(loss.detach()) == 0 and float(slope.abs().max()) == 0

    def test_distant_features_give_no_nan(self) -> None:
        # exp(-1000) is 0 in float32: the distance is taken itself, not as -log of the affinity.
        features = torch.tensor([[[[0.0, 1000.0]]]], requires_grad=True)
        distance = feature_distance(features, ((0, 1),))
        weights = torch.ones(1, 1, 1, 2)
        loss = similarity_loss(distance, weights, ((0, 1),), torch.ones(1, 1, 2) > 0)
        (slope,) = torch.autograd.grad(loss, features)
        assert float(loss.detach()) == pytest.approx(500) and slope.flatten().tolist() == pytest.approx([-0.5, 0.5])


def test_distances_are_infinite_where_there_is_no_neighbour() -> None:
    distance = feature_distance(numbers(2, 3, 4), half_square(1))
    assert math.isinf(float(distance[0, 0, 3])) and int(distance.isinf().sum()) == 3 + 2 * (3 + 4 - 1) + 4
