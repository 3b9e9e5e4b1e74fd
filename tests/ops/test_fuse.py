import pytest
import torch
from torch import Tensor

from cases import each
from weakseg.errors import ShapeError
from weakseg.ops.fuse import fuse_scores
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.stencil import stencil_matrix
from weakseg.ops.walk import walk_maps


def values(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64).reshape(-1, 1, 1)


class TestFuseScores:
    def test_by_hand(self) -> None:
        # a2gnn.md, 2.9: (.6 + 3 * .1, .4 + 3 * .3) / (.9 + 1.3)
        assert fuse_scores(values(0.6, 0.4), values(0.1, 0.3)).flatten().tolist() == pytest.approx(
            [0.9 / 2.2, 1.3 / 2.2]
        )

    def test_without_weight_it_is_the_network(self) -> None:
        probs = torch.rand(3, 4, 5, dtype=torch.float64).softmax(0)
        torch.testing.assert_close(fuse_scores(probs, torch.rand(3, 4, 5), weight=0), probs, rtol=0, atol=1e-10)

    def test_labels_sum_to_one(self) -> None:
        found = fuse_scores(torch.rand(4, 3, 3), torch.rand(4, 3, 3))
        torch.testing.assert_close(found.sum(0), torch.ones(3, 3))

    def test_nothing_speaks_for_any(self) -> None:
        assert fuse_scores(values(0, 0), values(0, 0)).flatten().tolist() == pytest.approx([0.5, 0.5])

    @each(
        ("probs", "scores", "weight"),
        [(values(1), values(1, 0), 3), (values(-1), values(1), 3), (values(1), values(float("nan")), 3),
         (values(1), values(1), -1)],
    )  # fmt: skip
    def test_refusals(self, probs: Tensor, scores: Tensor, weight: float) -> None:
        with pytest.raises(ShapeError):
            fuse_scores(probs, scores, weight=weight)


class TestWalkMaps:
    """a2gnn.md, oracle 18."""

    pair = stencil_matrix(torch.tensor([[[0.5, 0.0]]], dtype=torch.float64), ((0, 1),), diagonal=1.0)

    def walked(self, *scores: float) -> list[float]:
        maps = torch.tensor(scores, dtype=torch.float64).reshape(1, 1, 2)
        found: list[float] = walk_maps(maps, self.pair, beta=8, steps=64).flatten().tolist()
        return found

    def test_two_nodes(self) -> None:
        assert self.walked(1, 0) == pytest.approx([0.8033, 0.1967], abs=5e-5)
        assert self.walked(0, 1) == pytest.approx([0.1967, 0.8033], abs=5e-5)

    def test_constants_stay(self) -> None:
        assert self.walked(0.3, 0.3) == pytest.approx([0.3, 0.3], abs=1e-12)

    def test_products_equal_the_squared_matrix(self) -> None:
        generator = torch.Generator().manual_seed(0)
        affinity = stencil_matrix(torch.rand(2, 3, 4, generator=generator).double(), ((0, 1), (1, 0)), diagonal=1.0)
        weights = affinity.to_dense() ** 8
        transition = weights / weights.sum(0)
        torch.testing.assert_close(transition.sum(0), torch.ones(12, dtype=torch.float64))
        for _ in range(6):
            transition = transition @ transition
        scores = torch.rand(3, 3, 4, generator=generator).double()
        expected = (scores.flatten(1) @ transition).reshape(3, 3, 4)
        torch.testing.assert_close(walk_maps(scores, affinity, beta=8, steps=64), expected)

    def test_negative_affinities_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="affinity"):
            walk_maps(
                torch.zeros(1, 1, 2).double(), SparseMatrix(self.pair.pattern, -self.pair.values), beta=8, steps=1
            )
