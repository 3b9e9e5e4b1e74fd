import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.graph.knn import knn_graph
from weakseg.ops.growing import (
    Thresholds,
    accepted,
    cell_seeds,
    cut_claims,
    harmonic_claims,
    node_features,
    region_labels,
)
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges

DGCN, DSRG = Thresholds(0.7, 1.0), Thresholds(0.85, 0.99)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linked(*pairs: tuple[int, int], nodes: int, weight: float = 1.0) -> SparseMatrix:
    edges = torch.tensor([*pairs, *((q, p) for p, q in pairs)]).T
    return matrix_from_edges(edges, torch.full((edges.shape[1],), weight, dtype=torch.float64), (nodes, nodes))


def random_image(seed: int, nodes: int = 8, labels: int = 3) -> tuple[SparseMatrix, Tensor, Tensor]:
    """Return a graph of features, probabilities, and seeds of background and the classes at the first nodes."""
    source = generator(seed)
    graph = knn_graph(torch.rand(nodes, 3, generator=source, dtype=torch.float64), 2)
    probs = torch.rand(labels, nodes, generator=source, dtype=torch.float64).mul(3).softmax(0)
    seeds = torch.full((nodes,), 255)
    seeds[:labels] = torch.arange(labels)
    return SparseMatrix(graph.pattern, graph.values * 0.3), probs, seeds


class TestFeatures:
    def levels(self) -> list[Tensor]:
        return [100 * torch.rand(2, 3, 8, 12, generator=generator(0)), torch.rand(2, 5, 4, 6, generator=generator(1))]

    @each(("norm", "position"), [("per_stage", 0.0), ("none", 0.0), ("global", 0.0), ("per_stage", 2.0)])
    def test_they_are_what_the_card_says(self, norm: str, position: float) -> None:
        levels = self.levels()
        found = node_features(levels, (4, 6), norm=norm, position_weight=position)  # type: ignore[arg-type]
        assert found.shape == (2, 24, 10 if position else 8)
        reduced = levels[0].unflatten(3, (6, 2)).unflatten(2, (4, 2)).mean((3, 5))  # bilinear at half the size
        for image, row, column in ((0, 0, 0), (0, 3, 1), (1, 1, 4), (1, 3, 5)):
            own = [reduced[image, :, row, column], levels[1][image, :, row, column]]
            if norm == "per_stage":
                own = [part / part.norm() for part in own]
            vector = torch.cat(own)
            vector = vector / vector.norm() if norm == "global" else vector
            place = torch.tensor([column, row]) * position / 6 if position else torch.zeros(0)
            torch.testing.assert_close(found[image, 6 * row + column], torch.cat([vector, place]))

    def test_no_gradient_flows(self) -> None:
        assert not node_features([torch.rand(1, 2, 3, 3, requires_grad=True)], (3, 3)).requires_grad

    def test_cells_of_nothing_are_finite(self) -> None:
        assert node_features([torch.zeros(1, 2, 3, 3)], (3, 3)).isfinite().all()


class TestCellSeeds:
    @each("size", [(3, 4), (5, 7), (12, 17)])
    def test_most_pixels_of_a_cell_decide(self, size: tuple[int, int]) -> None:
        labels = torch.tensor([0, 1, 255])[torch.randint(0, 3, (12, 17), generator=generator(3))]
        expected = torch.from_numpy(dense.cell_seeds(labels.numpy(), size))
        found = cell_seeds(labels, size)
        kept = set(expected.unique().tolist()) - {255}
        assert kept <= set(found.unique().tolist())
        if kept == {0, 1}:
            assert found.equal(expected)

    def test_a_small_seed_keeps_its_best_cell(self) -> None:
        labels = torch.zeros(8, 8, dtype=torch.int64)
        labels[0, 0], labels[5, 5:7], labels[6, 5] = 1, 1, 2
        labels[4:, :4] = 255
        found = cell_seeds(labels, (2, 2))  # the rarer class 2 takes the cell on the lower right, class 1 the other
        assert found.tolist() == [[1, 0], [255, 2]]

    def test_two_seeds_that_want_one_cell(self) -> None:
        # the rarer one has it; the other is lost, which the caller counts
        labels = torch.zeros(4, 4, dtype=torch.int64)
        labels[0, 0], labels[1, :2] = 1, 2
        assert cell_seeds(labels, (1, 1)).tolist() == [[1]]

    def test_corner_cells_of_aligned_heads(self) -> None:
        # 17 pixels, 3 cells at pixels 0, 8, 16: the first has pixels 0 to 3, the last 12 to 16
        labels = torch.full((1, 17), 255)
        labels[0, :4], labels[0, 4:12], labels[0, 12:] = 1, 2, 3
        assert cell_seeds(labels, (1, 3), corners=True).tolist() == [[1, 2, 3]]

    def test_mirrored_images_have_mirrored_seeds(self) -> None:
        labels = torch.tensor([0, 1, 2, 255])[torch.randint(0, 4, (16, 24), generator=generator(5))]
        assert cell_seeds(labels.flip(1), (4, 6)).equal(cell_seeds(labels, (4, 6)).flip(1))


class TestCuts:
    def test_equal_to_trying_all_labellings(self) -> None:
        # Cards, 2.4 and 2.5. Images whose second best labelling is as good are no test of it.
        told = 0
        for seed in range(12):
            graph, probs, seeds = random_image(seed, nodes=7)
            expected, unique = dense.dgcn_labels(graph.to_dense(), probs, seeds, (1, 2), 0.4)
            found = accepted(cut_claims(graph, probs, seeds, (1, 2)), probs, seeds, Thresholds(0.4, 1.0))
            if unique:
                told += not found.equal(seeds)
                assert found.equal(expected)
        assert told >= 4  # images where something grows

    def test_no_neighbours_no_price(self) -> None:
        # Card, oracle 4.
        graph, probs, seeds = random_image(1)
        free = SparseMatrix(graph.pattern, graph.values * 0)
        claims = cut_claims(free, probs, seeds, (1, 2))
        for label in (1, 2):
            expected = ((probs[label] > 0.5) | (seeds == label)) & ((seeds == 255) | (seeds == label))
            assert claims[label].equal(expected)

    def test_a_high_price_makes_all_one(self) -> None:
        # Card, oracle 5: seeds of one kind only.
        chain = linked(*((i, i + 1) for i in range(7)), nodes=8, weight=1e3)
        seeds = torch.full((8,), 255)
        seeds[3] = 1
        probs = torch.tensor([0.9, 0.1], dtype=torch.float64)[:, None].expand(2, 8)
        assert cut_claims(chain, probs, seeds, (1,))[1].all()

    def test_equal_cells_get_equal_labels(self) -> None:
        # Card, oracle 8.
        features = torch.rand(6, 4, generator=generator(2)).repeat_interleave(2, 0)
        graph = knn_graph(features, 3)
        assert all(graph.to_dense()[i, i ^ 1] == 1 for i in range(12))
        probs = torch.rand(2, 12, generator=generator(3), dtype=torch.float64).softmax(0)
        seeds = torch.full((12,), 255)
        seeds[0], seeds[10] = 1, 0
        claimed = cut_claims(SparseMatrix(graph.pattern, graph.values * 50), probs, seeds, (1,))[1]
        assert claimed[::2].equal(claimed[1::2])

    def test_thresholds(self) -> None:
        # Card, oracle 6.
        graph, probs, seeds = random_image(4)
        claims = cut_claims(graph, probs, seeds, (1, 2))
        before = torch.ones(8, dtype=torch.bool)
        for threshold in (0.0, 0.3, 0.5, 0.7, 0.9, 1.0):
            labels = accepted(claims, probs, seeds, Thresholds(threshold, 1.0))
            assert labels[:3].equal(seeds[:3])
            decided = labels != 255
            assert (before | ~decided).all()
            before = decided
        assert before.equal(seeds != 255)

    def test_of_two_claims_the_more_confident_counts(self) -> None:
        probs = torch.tensor([[0.1, 0.1, 0.8], [0.4, 0.5, 0.1], [0.5, 0.4, 0.1]])
        every = torch.ones(3, dtype=torch.bool)
        labels = accepted({1: every, 2: every}, probs, torch.full((3,), 255), Thresholds(0.2, 1.0))
        assert labels.tolist() == [2, 1, 255]

    def test_a_seed_that_another_class_claims_keeps_its_label(self) -> None:
        probs = torch.tensor([[0.1], [0.1], [0.8]])
        assert accepted({2: torch.tensor([True])}, probs, torch.tensor([1]), DGCN).tolist() == [1]

    def test_the_printed_table_labels_falsely(self) -> None:
        graph = linked((0, 1), (1, 2), (2, 3), nodes=4)
        probs = torch.tensor([[0.4, 0.4, 0.7, 0.9], [0.6, 0.6, 0.3, 0.1]], dtype=torch.float64)
        seeds = torch.tensor([1, 255, 255, 0])
        found = [cut_claims(graph, probs, seeds, (1,), as_printed=printed)[1].tolist() for printed in (False, True)]
        assert found == [[True, True, False, False], [True, True, True, False]]

    def test_a_label_without_seed_is_refused(self) -> None:
        graph, probs, _ = random_image(0)
        with pytest.raises(ShapeError, match="seeds: label 2 has none, so nothing holds its side of the cut"):
            cut_claims(graph, probs, torch.tensor([0, 1, *[255] * 6]), (1, 2))


class TestPropagation:
    def test_the_walk_that_meets_a_seed_first(self) -> None:
        # On a chain from label 1 to label 0 a walk from node i meets node 0 first with probability 1 - i / 5.
        chain = linked(*((i, i + 1) for i in range(5)), nodes=6)
        seeds = torch.tensor([1, 255, 255, 255, 255, 0])
        claims = harmonic_claims(chain, seeds)
        assert claims[1].tolist() == [True, True, True, False, False, False]
        assert claims[0].tolist() == [False, False, False, True, True, True]

    def test_equal_to_the_dense_solution(self) -> None:
        graph, _, seeds = random_image(7, nodes=20)
        weights = graph.to_dense() + 1e-4 * (graph.to_dense() > 0)
        laplacian = torch.diag(weights.sum(1)) - weights
        known = seeds != 255
        one_hot = F.one_hot(seeds[known], 3).double()
        solved = torch.linalg.solve(laplacian[~known][:, ~known], weights[~known][:, known] @ one_hot)
        claims = harmonic_claims(graph, seeds)
        for label in range(3):
            assert claims[label][~known].equal(solved.argmax(1) == label)

    def test_parts_without_a_seed_are_nobodys(self) -> None:
        graph = linked((0, 1), (2, 3), (3, 4), nodes=5)
        claims = harmonic_claims(graph, torch.tensor([255, 255, 2, 255, 255]))
        assert list(claims) == [2] and claims[2].tolist() == [False, False, True, True, True]


class TestRegions:
    def test_by_hand(self) -> None:
        # Card, oracle 13.
        refined = torch.full((2, 3, 3), 0.4)
        for y, x in ((0, 0), (0, 1), (2, 0)):
            refined[1, y, x] = 0.9
        refined[0, 2, 1], refined[0, 2, 2] = 0.995, 0.5
        seeds = torch.full((3, 3), 255)
        seeds[0, 0], seeds[2, 2] = 1, 0
        found = region_labels(refined, seeds, (1,), DSRG)
        assert found.tolist() == [[1, 1, 255], [255, 255, 255], [255, 0, 0]]

    def test_equal_to_growing_cell_by_cell(self) -> None:
        told = 0
        for seed in range(10):
            source = generator(seed)
            refined = (4 * torch.rand(4, 7, 9, generator=source)).softmax(0)
            seeds = torch.tensor([0, 1, 2, 255, 255, 255, 255])[torch.randint(0, 7, (7, 9), generator=source)]
            limits = Thresholds(0.3, 0.35)
            found = region_labels(refined, seeds, (1, 2), limits)
            assert found.equal(torch.from_numpy(dense.dsrg_labels(refined, seeds, (1, 2), limits)))
            told += not found.equal(seeds)
        assert told == 10

    def test_it_is_idempotent_monotone_and_keeps_seeds(self) -> None:
        # Card, oracle 14; where seeds are of the most probable label. Others are overruled below a threshold, and hold
        # a region together above it.
        refined = (3 * torch.rand(3, 6, 6, generator=generator(1))).softmax(0)
        seeds = refined.argmax(0).where(torch.rand(6, 6, generator=generator(2)) < 0.4, 255)
        before = torch.ones(6, 6, dtype=torch.bool)
        for limit in (0.3, 0.5, 0.7, 0.9):
            found = region_labels(refined, seeds, (1, 2), Thresholds(limit, limit))
            assert region_labels(refined, found, (1, 2), Thresholds(limit, limit)).equal(found)
            assert found[seeds != 255].equal(seeds[seeds != 255])
            assert (before | (found == 255)).all()
            before = found != 255

    def test_absent_classes_do_not_grow(self) -> None:
        refined = torch.tensor([0.05, 0.9, 0.05])[:, None, None].expand(3, 2, 2)
        seeds = torch.tensor([[2, 255], [255, 255]])
        assert region_labels(refined, seeds, (2,), DSRG).equal(seeds)


def test_a_mirrored_image_has_mirrored_labels() -> None:
    # Card, oracle 15.
    source = generator(0)
    features = torch.rand(1, 5, 6, 8, generator=source)
    probs = (3 * torch.rand(3, 6, 8, generator=source, dtype=torch.float64)).softmax(0)
    seeds = torch.tensor([0, 1, 2, 255, 255, 255])[torch.randint(0, 6, (6, 8), generator=source)]

    def grown(features: Tensor, probs: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        graph = knn_graph(node_features([features], (6, 8))[0], 5)
        cut = cut_claims(SparseMatrix(graph.pattern, graph.values * 0.2), probs.flatten(1), seeds.flatten(), (1, 2))
        limits = Thresholds(0.3, 1.0)
        walked = harmonic_claims(graph, seeds.flatten())
        labels = [accepted(c, probs.flatten(1), seeds.flatten(), limits).reshape(6, 8) for c in (cut, walked)]
        return labels[0], labels[1], region_labels(probs, seeds, (1, 2), limits)

    plain, turned = grown(features, probs, seeds), grown(features.flip(3), probs.flip(2), seeds.flip(1))
    assert all(one.flip(1).equal(other) and not one.equal(seeds) for one, other in zip(plain, turned, strict=True))


def test_swapping_sides_complements_the_cut() -> None:
    # Card, oracle 7: where the minimum is unique.
    graph, probs, _ = random_image(3, labels=2)
    seeds = torch.tensor([0, 1, *[255] * 6])
    one = cut_claims(graph, probs, seeds, (0, 1))
    clipped = probs[1].clamp(1e-4, 1 - 1e-4)
    assert math.isclose(float((probs[0] + probs[1]).sum()), 8)
    assert clipped.equal(probs[1]) and one[0].equal(~one[1])
