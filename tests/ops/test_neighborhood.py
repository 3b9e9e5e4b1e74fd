import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

import dense_reference as dense
from cases import each
from sparse_graphs import close, noise, value_and_gradients
from weakseg.errors import ShapeError
from weakseg.ops.neighborhood import edge_cosine, edge_softmax, neighborhood_attention
from weakseg.ops.normalize import normalize_rows
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, block_diagonal, matrix_from_edges
from weakseg.ops.stencil import half_square, stencil_pattern

FLOATS = st.sampled_from([torch.float32, torch.float64])
CHANNELS = st.integers(1, 4)


def square_masks(smallest: int = 0) -> st.SearchStrategy[Tensor]:
    return st.integers(smallest, 8).flatmap(lambda n: hnp.arrays(np.bool_, (n, n))).map(torch.from_numpy)


def pattern_of(mask: Tensor) -> Pattern:
    edges = mask.nonzero().T
    return matrix_from_edges(edges, torch.ones(edges.shape[1]), (mask.shape[0], mask.shape[1])).pattern


def spread(pattern: Pattern, values: Tensor) -> Tensor:
    return SparseMatrix(pattern, values).to_dense()


def dense_scores(mask: Tensor, scores: Tensor) -> Tensor:
    return torch.zeros(mask.shape, dtype=scores.dtype).index_put(tuple(mask.nonzero().T), scores)


def affinity_attention(pattern: Pattern, features: Tensor, edges: Tensor | float, *, w: float, beta: float) -> Tensor:
    """Return the ``(M,)`` attention ``softmax(w cos + beta [cos > 0] E)`` of a2gnn.md, 2.5; AGNN where beta is 0."""
    cosines = edge_cosine(pattern, features)
    return edge_softmax(pattern, w * cosines + beta * (cosines > 0) * edges)


def grid() -> Pattern:
    """Return the window of 5 x 5 cells in a grid of 8 x 11, its centre included."""
    return stencil_pattern((8, 11), half_square(2), "cpu")[0]


def scattered() -> Pattern:
    """Return a directed graph of 130 nodes with about two neighbours, some with none."""
    return pattern_of(noise(130, 130) > 2)


every_graph = each("build", [grid, scattered])
PAIR = pattern_of(torch.ones(2, 2, dtype=torch.bool))
ORTHONORMAL = torch.eye(2, dtype=torch.float64)


class TestTwoNodes:
    """Full graph with self-loops."""

    @each(
        ("features", "edge", "w", "beta", "row"),
        [
            (((1, 0), (0, 1)), 0.5, 1, 0, (0.7311, 0.2689)),  # a2gnn.md, 7.3, and AGNN: graph-baselines.md, 7.5
            (((1, 0), (0, 1)), 0.5, 2, 0, (0.8808, 0.1192)),
            (((1, 0), (0, 1)), 0.5, 1, 10, (0.99998, 0.00002)),  # the gate closes the edge of the pair
            (((3, 4), (4, 3)), 0.9, 1, 10, (0.7389, 0.2611)),  # a2gnn.md, 7.4
            (((3, 4), (4, 3)), 0.9, 0, 0, (0.5, 0.5)),
        ],
    )
    def test_affinity_attention(
        self, features: tuple[tuple[int, int], ...], edge: float, w: float, beta: float, row: tuple[float, float]
    ) -> None:
        edges = torch.tensor([1, edge, edge, 1], dtype=torch.float64)
        probs = affinity_attention(PAIR, torch.tensor(features).double(), edges, w=w, beta=beta)
        expected = torch.tensor([*row, *row[::-1]], dtype=torch.float64)
        torch.testing.assert_close(probs, expected, rtol=0, atol=6e-5)

    def test_scores_of_the_edges(self) -> None:
        # a2gnn.md, 7.4: cos = 24 / 25; 1 + 10 and .96 + 9.
        cosines = edge_cosine(PAIR, torch.tensor([[3.0, 4.0], [4.0, 3.0]]).double())
        torch.testing.assert_close(cosines, torch.tensor([1, 0.96, 0.96, 1]).double())

    @pytest.mark.parametrize(
        ("scores", "probs"),
        [
            ((11, 5, 5, 11), (0.9975, 0.0025, 0.0025, 0.9975)),  # a2gnn.md, 7.3, without the gate
            ((1, 2, 0, 1), (0.2689, 0.7311, 0.2689, 0.7311)),  # GAT: graph-baselines.md, 7.4
            ((0, 0, 0, 0), (0.5, 0.5, 0.5, 0.5)),
        ],
    )
    def test_softmax(self, scores: tuple[float, ...], probs: tuple[float, ...]) -> None:
        found = edge_softmax(PAIR, torch.tensor(scores, dtype=torch.float64))
        torch.testing.assert_close(found, torch.tensor(probs, dtype=torch.float64), rtol=0, atol=6e-5)


class TestThreeNodes:
    """Node 0 looks at 1 and 2, node 1 at itself, node 2 at nothing."""

    PATTERN = pattern_of(torch.tensor([[0, 1, 1], [0, 1, 0], [0, 0, 0]], dtype=torch.bool))

    def test_softmax(self) -> None:
        probs = edge_softmax(self.PATTERN, torch.tensor([0.0, math.log(3), -50.0]))
        torch.testing.assert_close(probs, torch.tensor([0.25, 0.75, 1.0]))

    def test_attention(self) -> None:
        scores = torch.tensor([0.0, math.log(3), -50.0])
        found = neighborhood_attention(self.PATTERN, scores, torch.tensor([[100.0], [4.0], [8.0]]))
        torch.testing.assert_close(found, torch.tensor([[7.0], [4.0], [0.0]]))

    def test_gradients(self) -> None:
        # h_0 = p v_1 + (1 - p) v_2 with p = 1/4: by s_01 p (1 - p) (v_1 - v_2) = -3/4; one neighbour is always sure.
        scores = torch.tensor([0.0, math.log(3), -50.0], requires_grad=True)
        values = torch.tensor([[100.0], [4.0], [8.0]], requires_grad=True)
        neighborhood_attention(self.PATTERN, scores, values).sum().backward()
        torch.testing.assert_close(scores.grad, torch.tensor([-0.75, 0.75, 0.0]))
        torch.testing.assert_close(values.grad, torch.tensor([[0.0], [1.25], [0.75]]))

    def test_cosine(self) -> None:
        found = edge_cosine(self.PATTERN, torch.tensor([[2.0, 0.0], [3.0, 3.0], [-5.0, 0.0]]))
        torch.testing.assert_close(found, torch.tensor([0.5**0.5, -1.0, 1.0]))

    def test_cosine_with_a_zero_vector_is_zero(self) -> None:
        found = edge_cosine(self.PATTERN, torch.tensor([[2.0, 0.0], [0.0, 0.0], [1.0, 0.0]]))
        torch.testing.assert_close(found, torch.tensor([0.0, 1.0, 0.0]))


class TestLaws:
    """a2gnn.md, 7.1, 2, 5 and 6; graph-baselines.md, 7.3, 5, 7 and 8."""

    @every_graph
    def test_rows_are_probabilities(self, build: Callable[[], Pattern]) -> None:
        pattern = build()
        probs = edge_softmax(pattern, 5 * noise(pattern.num_entries))
        assert probs.min() >= 0
        expected = (pattern.row_starts.diff() > 0).double()
        torch.testing.assert_close(SparseMatrix(pattern, probs).row_sums(), expected)

    @every_graph
    def test_a_constant_on_all_scores_of_a_row_changes_nothing(self, build: Callable[[], Pattern]) -> None:
        pattern = build()
        scores, shift = noise(pattern.num_entries), 10 * noise(pattern.num_rows, seed=1)
        torch.testing.assert_close(edge_softmax(pattern, scores + shift[pattern.rows]), edge_softmax(pattern, scores))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_large_scores_do_not_overflow(self, dtype: torch.dtype) -> None:
        scores = torch.tensor([1e4, 1e4 - 1, -1e4, -1e4 - 1], dtype=dtype)
        expected = torch.tensor([0.7311, 0.2689] * 2, dtype=dtype)
        torch.testing.assert_close(edge_softmax(PAIR, scores), expected, rtol=0, atol=6e-5)

    @pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
    def test_scores_must_be_finite(self, bad: float) -> None:
        with pytest.raises(ShapeError, match=r"scores: holds NaN or infinite"):  # a cut edge is no entry of the pattern
            edge_softmax(PAIR, torch.tensor([0.0, bad, 0.0, 0.0]))

    @every_graph
    def test_equal_scores_give_the_mean_of_the_neighbours(self, build: Callable[[], Pattern]) -> None:
        pattern, features = build(), noise(build().num_rows, 3)
        mean = normalize_rows(SparseMatrix(pattern, torch.ones(pattern.num_entries, dtype=torch.float64)))
        found = neighborhood_attention(pattern, torch.full((pattern.num_entries,), 0.7).double(), features)
        torch.testing.assert_close(found, mean @ features)
        torch.testing.assert_close(affinity_attention(pattern, features, 1.0, w=0, beta=0), mean.values)

    def test_large_weight_of_the_cosine_leaves_the_most_similar(self) -> None:
        angles = torch.tensor([0.0, 0.3, 1.5, 1.6], dtype=torch.float64)
        features = torch.stack([angles.cos(), angles.sin()], dim=1)
        full = torch.ones(4, 4, dtype=torch.bool)
        itself = affinity_attention(pattern_of(full), features, 0.0, w=1e6, beta=0).reshape(4, 4)
        torch.testing.assert_close(itself, torch.eye(4, dtype=torch.float64))
        others = pattern_of(~torch.eye(4, dtype=torch.bool))
        nearest = spread(others, affinity_attention(others, features, 0.0, w=1e6, beta=0))
        assert nearest.argmax(1).tolist() == [1, 0, 3, 2]
        torch.testing.assert_close(nearest.amax(1), torch.ones(4, dtype=torch.float64))

    def test_affinities_without_weight_leave_the_cosines_alone(self) -> None:
        # graph-baselines.md, 7.6: bit for bit.
        pattern, features = grid(), noise(88, 3)
        found = affinity_attention(pattern, features, noise(pattern.num_entries).abs(), w=1.7, beta=0)
        assert torch.equal(found, edge_softmax(pattern, 1.7 * edge_cosine(pattern, features)))

    def test_loops_alone_give_back_the_values(self) -> None:
        pattern, values = pattern_of(torch.eye(5, dtype=torch.bool)), noise(5, 3)
        torch.testing.assert_close(neighborhood_attention(pattern, noise(5), values), values)

    def test_equal_values_stay(self) -> None:
        pattern = grid()
        values = noise(1, 3).expand(pattern.num_rows, 3)
        torch.testing.assert_close(neighborhood_attention(pattern, noise(pattern.num_entries), values), values)

    def test_between_the_smallest_and_the_largest_neighbour(self) -> None:
        pattern, values = grid(), noise(88, 3)
        found = neighborhood_attention(pattern, 3 * noise(pattern.num_entries), values)
        for node, row in enumerate(found):
            near = values[pattern.columns[pattern.rows == node].long()]
            assert (row >= near.amin(0) - 1e-12).all()
            assert (row <= near.amax(0) + 1e-12).all()

    @every_graph
    def test_cosines_are_symmetric_scale_free_and_within_one(self, build: Callable[[], Pattern]) -> None:
        pattern, features = build(), noise(build().num_rows, 3)
        found = edge_cosine(pattern, features)
        assert found.abs().max() <= 1 + 1e-12
        scales = noise(pattern.num_rows, 1, seed=1).exp()
        torch.testing.assert_close(edge_cosine(pattern, scales * features), found)
        backwards, order = pattern.transposed
        torch.testing.assert_close(edge_cosine(backwards, features), found[order])

    @every_graph
    def test_permutation_equivariance(self, build: Callable[[], Pattern]) -> None:
        pattern, features = build(), noise(build().num_rows, 3)
        order = torch.randperm(pattern.num_rows, generator=torch.Generator().manual_seed(0))
        mask = spread(pattern, torch.ones(pattern.num_entries)) > 0
        permuted = pattern_of(mask[order][:, order])

        def attend(pattern: Pattern, features: Tensor) -> Tensor:
            return neighborhood_attention(pattern, 3 * edge_cosine(pattern, features), features)

        torch.testing.assert_close(attend(permuted, features[order]), attend(pattern, features)[order])

    def test_an_isolated_node_does_not_change_the_others(self) -> None:
        mask, features = noise(9, 9) > 0, noise(10, 3)
        more = pattern_of(torch.nn.functional.pad(mask, (0, 1, 0, 1)))
        scores = edge_cosine(more, features)
        found = neighborhood_attention(more, scores, features)
        torch.testing.assert_close(found[:9], neighborhood_attention(pattern_of(mask), scores, features[:9]))
        assert found[9].tolist() == [0, 0, 0]

    def test_an_edge_named_twice_weighs_once(self) -> None:
        edges = torch.tensor([[0, 0, 0], [1, 0, 1]])
        matrix = matrix_from_edges(edges, torch.zeros(3), (2, 2))
        assert edge_softmax(matrix.pattern, matrix.values).tolist() == [0.5, 0.5]

    def test_several_graphs_at_once(self) -> None:
        masks = [torch.zeros(1, 1, dtype=torch.bool), noise(80, 80) > 1, torch.ones(1, 1, dtype=torch.bool)]
        patterns = [pattern_of(mask) for mask in masks] + [grid(), scattered()]
        together = block_diagonal([SparseMatrix(p, torch.zeros(p.num_entries)) for p in patterns]).pattern
        scores, values = noise(together.num_entries), noise(together.num_rows, 3, seed=1)
        parts = list(
            zip(
                patterns,
                scores.split([p.num_entries for p in patterns]),
                values.split([p.num_rows for p in patterns]),
                strict=True,
            )
        )
        expected = torch.cat([neighborhood_attention(p, s, v) for p, s, v in parts])
        torch.testing.assert_close(neighborhood_attention(together, scores, values), expected)
        cosines = torch.cat([edge_cosine(p, v) for p, _, v in parts])
        torch.testing.assert_close(edge_cosine(together, values), cosines)


class TestAgainstTheDenseVersion:
    """Value and gradient."""

    @staticmethod
    def check(mask: Tensor, channels: int, dtype: torch.dtype) -> None:
        pattern = pattern_of(mask)
        scores, values = noise(pattern.num_entries, dtype=dtype), noise(len(mask), channels, dtype=dtype, seed=1)
        found = value_and_gradients(lambda s: spread(pattern, edge_softmax(pattern, s)), scores)
        close(found, value_and_gradients(lambda s: dense.masked_softmax(dense_scores(mask, s), mask), scores))
        found = value_and_gradients(lambda s, v: neighborhood_attention(pattern, s, v), scores, values)
        close(
            found,
            value_and_gradients(lambda s, v: dense.masked_softmax(dense_scores(mask, s), mask) @ v, scores, values),
        )
        assert found[0].dtype == dtype

    @settings(max_examples=60)
    @given(mask=square_masks(), channels=st.integers(0, 4), dtype=FLOATS)
    def test_attention_on_random_graphs(self, mask: Tensor, channels: int, dtype: torch.dtype) -> None:
        self.check(mask, channels, dtype)

    @each("count", [1, 9])
    @each("loops", [True, False])
    def test_attention_to_every_other_node(self, count: int, loops: bool) -> None:
        self.check(torch.ones(count, count, dtype=torch.bool).fill_diagonal_(loops), 3, torch.float64)

    @every_graph
    def test_attention_on_real_graphs(self, build: Callable[[], Pattern]) -> None:
        pattern = build()
        self.check(spread(pattern, torch.ones(pattern.num_entries)) > 0, 3, torch.float64)

    @settings(max_examples=60)
    @given(mask=square_masks(1), channels=CHANNELS, dtype=FLOATS)
    def test_cosine_on_random_graphs(self, mask: Tensor, channels: int, dtype: torch.dtype) -> None:
        # Features of length 1/2 and more: near zero a gradient is large, and so is its rounding.
        features = noise(len(mask), channels, dtype=dtype)
        features = features * (1 + 0.5 / features.norm(dim=1, keepdim=True))
        found = value_and_gradients(lambda x: edge_cosine(pattern_of(mask), x), features)
        close(found, value_and_gradients(lambda x: dense.cosines(x)[mask], features))

    def test_gradients_flow_through_cosines_and_values_together(self) -> None:
        pattern, features, weight = grid(), noise(88, 3), torch.tensor(0.8, dtype=torch.float64)
        mask = spread(pattern, torch.ones(pattern.num_entries)) > 0
        found = value_and_gradients(
            lambda x, w: neighborhood_attention(pattern, w * edge_cosine(pattern, x), x), features, weight
        )
        expected = value_and_gradients(
            lambda x, w: dense.masked_softmax(w * dense.cosines(x), mask) @ x, features, weight
        )
        close(found, expected)


class TestGradcheck:
    PATTERN = pattern_of(torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]], dtype=torch.bool))

    def test_softmax(self) -> None:
        inputs = (noise(7).requires_grad_(),)
        assert torch.autograd.gradcheck(lambda s: edge_softmax(self.PATTERN, s), inputs)

    def test_attention(self) -> None:
        inputs = noise(7).requires_grad_(), noise(4, 2, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(lambda s, v: neighborhood_attention(self.PATTERN, s, v), inputs)

    def test_cosine(self) -> None:
        inputs = (noise(4, 3).requires_grad_(),)
        assert torch.autograd.gradcheck(lambda x: edge_cosine(self.PATTERN, x), inputs)


class TestErrors:
    @each("shape", [(3,), (5,), (4, 1), (2, 2)])
    def test_scores_that_are_not_one_an_edge(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match=r"scores: expected one an edge \(4\)"):
            edge_softmax(PAIR, torch.ones(shape))
        with pytest.raises(ShapeError, match=r"scores: expected one an edge \(4\)"):
            neighborhood_attention(PAIR, torch.ones(shape), torch.ones(2, 1))

    @pytest.mark.parametrize("values", [torch.ones(3, 1), torch.ones(2), torch.ones(2, 1).double()])
    def test_values_of_another_shape_or_type(self, values: Tensor) -> None:
        with pytest.raises(ShapeError, match="expected"):
            neighborhood_attention(PAIR, torch.ones(4), values)

    @pytest.mark.parametrize("shape", [(3, 2), (1, 2)])
    def test_features_that_are_not_one_a_node(self, shape: tuple[int, int]) -> None:
        with pytest.raises(ShapeError, match="expected"):
            edge_cosine(PAIR, torch.ones(shape))
