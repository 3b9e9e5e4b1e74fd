import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.region_graph import majority_labels, region_affinity, select_edges
from weakseg.graph.superpixel import region_adjacency

CHECKERBOARD = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestRegionGraph:
    def test_checkerboard(self) -> None:
        # graph-baselines.md, oracle 10: diagonals touch; equal features have weight 1.
        adjacency = region_adjacency(CHECKERBOARD)
        assert adjacency.to_dense().equal(1 - torch.eye(4))
        assert region_affinity(torch.ones(4, 3), adjacency).to_dense().equal(1 - torch.eye(4))
        for rule in ("threshold", "helper"):
            assert select_edges(region_affinity(torch.ones(4, 3), adjacency), rule).to_dense().equal(torch.ones(4, 4))  # type: ignore[arg-type]

    def test_weights(self) -> None:
        # graph-baselines.md, 2.5: exp(-|f_i - f_j|_1 / 2 D)
        features = torch.tensor([[0.0, 1], [1, 1], [0, 0], [0, 1]])
        found = region_affinity(features, region_adjacency(CHECKERBOARD)).to_dense()
        assert found[0].tolist() == pytest.approx([0, np.exp(-1 / 4), np.exp(-1 / 4), 1])

    @settings(max_examples=30, deadline=None)
    @given(
        hnp.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.integers(0, 4)),
        st.integers(0, 9),
    )
    def test_helper_rule_on_the_full_matrix(self, drawn: NDArray[np.int64], seed: int) -> None:
        _, regions = np.unique(drawn, return_inverse=True)
        areas = torch.from_numpy(regions.reshape(drawn.shape))
        count = int(areas.max()) + 1
        features = 3 * uniform(count, 2, seed=seed)
        weights = dense.touching_regions(areas.numpy())
        for i, j in zip(*np.nonzero(weights), strict=True):
            weights[i, j] = float(torch.exp(-(features[i] - features[j]).abs().sum() / 4))
        kept = (weights >= abs(weights.mean() - weights.std())) | (weights == weights.max(1, keepdims=True))
        kept &= weights > 0
        expected = np.maximum(np.maximum(kept, kept.T), np.eye(count))
        found = select_edges(region_affinity(features, region_adjacency(areas)), "helper").to_dense()
        np.testing.assert_array_equal(found.numpy(), expected)

    @each(("least", "edges"), [(0.0, 12), (0.75, 12), (0.8, 4)])
    def test_threshold(self, least: float, edges: int) -> None:
        features = torch.tensor([[0.0, 1], [1, 1], [1, 1], [0, 1]])
        found = select_edges(region_affinity(features, region_adjacency(CHECKERBOARD)), least=least).to_dense()
        assert int(found.sum()) == edges + 4 and found.equal(found.T)

    def test_other_sizes_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="adjacency"):
            region_affinity(torch.zeros(3, 2), region_adjacency(CHECKERBOARD))


class TestMajority:
    @each(
        ("labels", "expected"),
        [([2, 2, 2, 0], (2, 3)), ([2, 2, 0, 0], (255, 0)), ([255] * 4, (255, 0)), ([255, 255, 255, 1], (1, 1))],
    )
    def test_of_a_superpixel(self, labels: list[int], expected: tuple[int, int]) -> None:
        # graph-baselines.md, oracle 11
        pixels = torch.tensor([[*labels, 255, 255, 0]], dtype=torch.uint8)
        found, counts = majority_labels(torch.tensor([[0] * 6 + [1]]), pixels)
        assert (int(found[0]), int(counts[0])) == expected and (int(found[1]), int(counts[1])) == (0, 1)

    def test_other_labels_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="labels"):
            majority_labels(CHECKERBOARD, torch.zeros(4, 4))
