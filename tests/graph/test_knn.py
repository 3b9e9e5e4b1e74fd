import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torch.nn import functional as F

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.knn import knn_graph, nearest_neighbors

# Few values: many ties and many equal nodes.
lattice = hnp.arrays(np.int64, st.tuples(st.integers(2, 60), st.integers(1, 4)), elements=st.integers(0, 3))


def normal(nodes: int, channels: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(nodes, channels, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def picked(nodes: int, kinds: Tensor) -> Tensor:
    """Return nodes that repeat the rows of ``kinds`` in random order."""
    return kinds[torch.randint(len(kinds), (nodes,), generator=torch.Generator().manual_seed(1))]


def assert_exact(features: Tensor, k: int, block: int = 1024) -> None:
    neighbors, distances = nearest_neighbors(features, k, block=block)
    expected, lengths = dense.nearest_nodes(features, k)
    assert torch.equal(neighbors, expected)
    torch.testing.assert_close(distances, lengths.to(features.dtype))


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.dtype]]:
    """The types of the matrix products that a search makes."""
    found: list[torch.dtype] = []

    def product(a: Tensor, b: Tensor, *, out: Tensor, real: Callable[..., Tensor] = torch.mm) -> Tensor:
        found.append(out.dtype)
        return real(a, b, out=out)

    monkeypatch.setattr(torch, "mm", product)
    yield found


class TestByHand:
    def test_points_on_a_line(self) -> None:
        # 0, 1, 3, 7; the second has 1 and 2 to go, the third 2 and 3.
        neighbors, distances = nearest_neighbors(torch.tensor([[0.0], [1.0], [3.0], [7.0]]), 2)
        assert neighbors.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
        assert distances.tolist() == [[1, 3], [1, 2], [2, 3], [4, 6]]
        assert (neighbors.dtype, distances.dtype) == (torch.int64, torch.float32)

    def test_a_tie_goes_to_the_lower_index(self) -> None:
        neighbors, _ = nearest_neighbors(torch.tensor([[1.0], [0.0], [-1.0]]), 1)
        assert neighbors.tolist() == [[1], [0], [1]]

    @pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
    def test_equal_nodes_are_ordered_by_index(self, value: float) -> None:
        neighbors, distances = nearest_neighbors(torch.full((5, 3), value), 2)
        assert neighbors.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]
        assert distances.count_nonzero() == 0

    def test_difference_beyond_float32(self) -> None:
        # In float32 the squared norms, 1e16 and so on, differ by nothing; by differences 1 < 2.
        features = 1e8 + torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
        assert nearest_neighbors(features, 1)[0].tolist() == [[1], [0], [1]]

    def test_two_nodes(self) -> None:
        neighbors, distances = nearest_neighbors(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), 1)
        assert (neighbors.tolist(), distances.tolist()) == ([[1], [0]], [[5], [5]])


class TestAgainstAllPairs:
    """Card, oracle 9: neighbours and their order are those of the slow version, to the last one."""

    @given(lattice, st.integers(1, 12), st.integers(1, 70), st.booleans())
    @settings(max_examples=60)
    def test_ties_and_equal_nodes(self, values: np.ndarray, k: int, block: int, double: bool) -> None:
        features = torch.from_numpy(values).to(torch.float64 if double else torch.float32)
        assert_exact(features, min(k, len(features) - 1), block)

    @given(lattice, st.floats(-1e3, 1e3, width=32), st.integers(0, 5))
    @settings(max_examples=40)
    def test_ties_far_from_zero(self, values: np.ndarray, scale: float, seed: int) -> None:
        offset = normal(1, values.shape[1], seed)
        assert_exact(offset * 100 + scale * torch.from_numpy(values).float(), 1 + seed % (len(values) - 1))

    @each("dtype", [torch.float32, torch.float64])
    @each(
        ("name", "features"),
        [
            ("normal", normal(250, 32)),
            ("far from zero", normal(200, 16) + 1000),
            ("grid of positions", torch.cartesian_prod(torch.arange(14.0), torch.arange(15.0))),
            ("binary codes", (normal(220, 10) > 0).float()),
            ("all at one distance", torch.eye(150)),
            ("few kinds", picked(200, normal(12, 8))),
            ("some twice", picked(200, normal(200, 8))),
            ("tight clusters", picked(200, normal(4, 8)) + 1e-6 * normal(200, 8, 2)),
            ("vanishing squares", torch.cat([torch.ones(150, 1), 1e-22 * normal(150, 4)], dim=1)),
            ("one far away", torch.cat([normal(200, 8), torch.full((1, 8), 1e6)])),
            ("smooth", F.interpolate(normal(64, 9).reshape(1, 64, 3, 3), (14, 14), mode="bicubic")[0].flatten(1).T),
        ],
    )
    def test_kinds_of_features(self, name: str, features: Tensor, dtype: torch.dtype) -> None:
        for k in (1, 9, 80):
            assert_exact(features.to(dtype), k, 64)

    def test_rows_are_tried_again_until_they_are_proved(self, products: list[torch.dtype]) -> None:
        assert_exact(normal(150, 16), 5)
        assert products == [torch.float32]
        assert_exact(picked(150, normal(4, 8)) + 1e-6 * normal(150, 8, 2), 5)
        assert products == [torch.float32, torch.float32, torch.float64]
        assert_exact(torch.eye(100), 5)  # 99 ties: more than are measured the second time
        assert products[3:] == [torch.float32, torch.float64, torch.float64]

    @pytest.mark.parametrize(
        ("features", "expected"),
        [
            (normal(150, 16) + 1000, [torch.float32]),  # centred first
            (torch.cat([normal(150, 16), torch.full((1, 16), 1e6)]), [torch.float32, torch.float64]),
            (torch.eye(6), [torch.float32]),  # all others are measured at once
            (torch.ones(150, 16), []),  # one set of equal nodes
            (picked(150, normal(7, 16)), [torch.float32]),
        ],
    )
    def test_products_that_are_needed(
        self, features: Tensor, expected: list[torch.dtype], products: list[torch.dtype]
    ) -> None:
        assert_exact(features, 5)
        assert products == expected

    @each("block", [1, 7, 299, 300, 301])
    def test_blocks_change_nothing(self, block: int) -> None:
        features = normal(300, 12)
        assert all(map(torch.equal, nearest_neighbors(features, 6, block=block), nearest_neighbors(features, 6)))

    def test_float32_numbers_as_float64(self) -> None:
        features = normal(400, 20)
        single, double = nearest_neighbors(features, 9), nearest_neighbors(features.double(), 9)
        assert torch.equal(single[0], double[0])
        torch.testing.assert_close(single[1], double[1].float(), rtol=0, atol=0)


class TestLaws:
    def test_permuted_nodes_have_permuted_neighbors(self) -> None:
        features, order = normal(120, 6), torch.randperm(120, generator=torch.Generator().manual_seed(3))
        neighbors, distances = nearest_neighbors(features[order], 7)
        assert torch.equal(order[neighbors], nearest_neighbors(features, 7)[0][order])
        torch.testing.assert_close(distances, nearest_neighbors(features, 7)[1][order], rtol=0, atol=0)

    @each("power", [-110, -60, 60, 110])
    def test_scaled_features_have_scaled_distances(self, power: int) -> None:
        features = normal(90, 5).clamp(-3, 3)
        features = torch.where(features.abs() < 0.1, 0.1, features)
        neighbors, distances = nearest_neighbors(features, 4)
        scaled = nearest_neighbors(features * 2.0**power, 4)
        assert torch.equal(scaled[0], neighbors)
        torch.testing.assert_close(scaled[1], distances * 2.0**power, rtol=1e-6, atol=0)

    @each("magnitude", [1e-320, 1e-300, 1e-200, 1e200, 1e307])
    def test_any_magnitude_of_float64(self, magnitude: float) -> None:
        features = torch.tensor([[0.0], [10.0], [30.0], [70.0]], dtype=torch.float64) / 10 * magnitude
        assert nearest_neighbors(features, 2)[0].tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]

    def test_itself_is_no_neighbor_and_all_others_are_with_the_largest_k(self) -> None:
        neighbors, distances = nearest_neighbors(picked(40, normal(9, 3)), 39)
        everyone = torch.cat([neighbors, torch.arange(40)[:, None]], dim=1).sort(1).values
        assert torch.equal(everyone, torch.arange(40).expand(40, 40))
        assert (distances.diff(dim=1) >= 0).all()

    def test_many_equal_nodes_need_no_more_than_their_number(self) -> None:
        # All pairs would be 3.2 GB in float64.
        neighbors, _ = nearest_neighbors(picked(20_000, normal(3, 4)), 9)
        assert (neighbors < 100).all()

    def test_no_gradient_flows_and_features_are_left_alone(self) -> None:
        features = picked(50, normal(30, 4)).requires_grad_()
        before = features.detach().clone()
        _, distances = nearest_neighbors(features, 3)
        assert not distances.requires_grad
        assert torch.equal(features, before)


class TestPrecisionOfProducts:
    """A training loop may allow products of float32 in bfloat16; the neighbours must not change."""

    FEATURES = picked(300, 10 * normal(5, 8)) + 0.05 * normal(300, 8, 2)  # in bfloat16 a cluster is one point

    @pytest.fixture
    def rough_products(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Products of float32 as bfloat16 hardware makes them."""
        real = torch.mm

        def product(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
            rounded = (x.bfloat16().float() if x.dtype == torch.float32 else x for x in (a, b))
            return real(*rounded, out=out)

        monkeypatch.setattr(torch, "mm", product)
        yield

    @pytest.mark.parametrize("precision", ["medium", "high"])
    def test_reduced_precision(self, precision: str, rough_products: None) -> None:
        try:
            torch.set_float32_matmul_precision(precision)
            assert_exact(self.FEATURES, 9)
        finally:
            torch.set_float32_matmul_precision("highest")

    def test_precision_that_cannot_be_asked(self, rough_products: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse() -> str:
            raise RuntimeError("mix of the legacy and new APIs")

        monkeypatch.setattr(torch, "get_float32_matmul_precision", refuse)
        assert_exact(self.FEATURES, 9)

    def test_autocast(self) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_exact(self.FEATURES, 9)


class TestRefusals:
    @each("bad", [math.nan, math.inf, -math.inf])
    @each("function", [nearest_neighbors, knn_graph])
    def test_non_finite(self, function: Callable[[Tensor, int], object], bad: float) -> None:
        features = normal(20, 3)
        features[4, 1] = bad
        with pytest.raises(ShapeError, match="features: holds NaN or infinite"):
            function(features, 3)

    @each(
        "features",
        [
            torch.zeros(3),
            torch.zeros(0, 4),
            torch.zeros(4, 0),
            torch.zeros(4, 2, dtype=torch.bfloat16),
            torch.zeros(4, 2, dtype=torch.int64),
        ],
    )
    def test_shapes_and_types(self, features: Tensor) -> None:
        with pytest.raises(ShapeError, match="features: expected"):
            nearest_neighbors(features, 1)

    @pytest.mark.parametrize(("k", "block"), [(0, 8), (-1, 8), (2, 0)])
    def test_counts(self, k: int, block: int) -> None:
        with pytest.raises(ShapeError, match="k, block: expected at least 1"):
            nearest_neighbors(normal(5, 2), k, block=block)

    @pytest.mark.parametrize("k", [4, 5, 100])
    def test_more_neighbors_than_nodes(self, k: int) -> None:
        with pytest.warns(UserWarning, match=f"k = {k} for 4 nodes"):
            neighbors, _ = nearest_neighbors(normal(4, 2), k)
        assert torch.equal(neighbors, nearest_neighbors(normal(4, 2), 3)[0])

    def test_more_neighbors_than_equal_nodes(self) -> None:
        with pytest.warns(UserWarning, match="k = 9 for 4 nodes"):
            neighbors, _ = nearest_neighbors(torch.ones(4, 2), 9)
        assert neighbors.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]

    def test_no_warning_where_k_fits(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nearest_neighbors(normal(4, 2), 3)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_one_node(self, dtype: torch.dtype) -> None:
        with pytest.warns(UserWarning, match="k = 9 for 1 nodes"):
            neighbors, distances = nearest_neighbors(torch.ones(1, 3, dtype=dtype), 9)
        assert (neighbors.shape, distances.shape) == ((1, 0), (1, 0))
        assert (neighbors.dtype, distances.dtype) == (torch.int64, dtype)


class TestGraph:
    @given(lattice, st.integers(1, 9))
    @settings(max_examples=40)
    def test_it_is_the_union_of_both_directions(self, values: np.ndarray, k: int) -> None:
        features = torch.from_numpy(values).double()
        k = min(k, len(features) - 1)
        one_way = torch.zeros(len(features), len(features), dtype=torch.float64)
        one_way.scatter_(1, dense.nearest_nodes(features, k)[0], 1.0)
        weights = knn_graph(features, k).to_dense()
        torch.testing.assert_close(weights, torch.maximum(one_way, one_way.T), rtol=0, atol=0)

    def test_card_oracle_9(self) -> None:
        graph = knn_graph(normal(300, 8), 9)
        weights = graph.to_dense()
        assert torch.equal(weights, weights.T)
        assert graph.diagonal().count_nonzero() == 0
        assert weights.sum(1).min() == 9  # some node is in no other node's list
        assert 9 < weights.sum(1).mean() < 18
        assert torch.equal(graph.values, torch.ones(graph.pattern.num_entries))

    def test_equal_nodes_are_mutual_neighbors(self) -> None:
        # Card, oracle 8.
        features = normal(30, 4)
        features[17] = features[5]
        neighbors, distances = nearest_neighbors(features, 1)
        assert (neighbors[5].item(), neighbors[17].item()) == (17, 5)
        assert distances[[5, 17]].tolist() == [[0], [0]]

    def test_complete_graph(self) -> None:
        with pytest.warns(UserWarning, match="every other node"):
            graph = knn_graph(normal(6, 2), 9)
        assert torch.equal(graph.to_dense(), 1 - torch.eye(6))

    def test_one_node_has_no_links(self) -> None:
        with pytest.warns(UserWarning, match="k = 2 for 1 nodes"):
            graph = knn_graph(torch.zeros(1, 2), 2)
        assert graph.shape == (1, 1)
        assert graph.pattern.num_entries == 0

    def test_distinct_clusters_are_not_joined(self) -> None:
        features = torch.cat([normal(20, 3), normal(20, 3, 1) + 100])
        assert knn_graph(features, 5).to_dense()[:20, 20:].count_nonzero() == 0
