import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import dense_reference as dense
from generated import draw
from weakseg.artifacts import LabelMap, PixelGraph, Scores
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, ShapeError
from weakseg.methods.wsgcn import gcn
from weakseg.methods.wsgcn.batch import GcnBatch, GcnProblem
from weakseg.methods.wsgcn.complete import (
    GcnTask,
    build_gcn_problem,
    choose_batches,
    complete_by_gcn,
    gcn_memory,
    smoothness_matrix,
)
from weakseg.methods.wsgcn.config import GcnConfig, PropagationConfig, PropagationKind, SmoothnessConfig, WsgcnConfig
from weakseg.methods.wsgcn.gcn import GcnSolution, gcn_weights, train_gcn
from weakseg.methods.wsgcn.graphs import AFFINITY, BOUNDARY, GraphSource
from weakseg.methods.wsgcn.jobs import GcnCompletion, GcnJob
from weakseg.methods.wsgcn.losses import GcnObjective, GcnTerms, build_gcn_objective, node_weights
from weakseg.methods.wsgcn.propagation import DenseBlocks, build_propagation, max_symmetrized
from weakseg.nn.backbones import build_backbone
from weakseg.nn.graphs.per_image import kept_units
from weakseg.nn.pairs.affinity import AffinityNet
from weakseg.nn.pairs.boundary import BoundaryNet
from weakseg.nn.weights import save_model
from weakseg.ops.normalize import laplacian
from weakseg.ops.sparse import SparseMatrix, block_diagonal, matrix_from_edges
from weakseg.ops.stencil import half_square
from weakseg.pipeline.units import Unit
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.graph import GraphConfig
from wsgcn_problems import boundary_graph, problem, uniform

KINDS: tuple[PropagationKind, ...] = ("affinity", "affinity_plain", "walk", "walk_maxsym")
EXACT = {kind: PropagationConfig(kind, walk_error=0) for kind in KINDS}
STEPS = GcnConfig(steps=20, dropout=0)
TERMS = ("foreground", "background", "entropy", "laplacian")


def from_dense(matrix: Tensor) -> SparseMatrix:
    edges = matrix.nonzero().T
    return matrix_from_edges(edges, matrix[edges[0], edges[1]], (len(matrix), len(matrix)))


def matrix_of(affinity: SparseMatrix, config: PropagationConfig) -> Tensor:
    eye = torch.eye(affinity.shape[0], dtype=affinity.values.dtype)
    return build_propagation(affinity, config).apply(eye)


def weights_of(one: GcnProblem, config: GcnConfig) -> list[Tensor]:
    found = gcn_weights([one], one.graph.features.shape[1], one.num_labels, config.hidden)
    return [weight[0].double() for weight in found]


def reference(one: GcnProblem, config: GcnConfig, kept: list[Tensor | None]) -> tuple[Tensor, dict[str, float]]:
    steps = config.propagation.walk_steps
    return dense.train_wsgcn(
        dense.wsgcn_propagation(one.graph.affinity.to_dense().double(), config.propagation.kind, steps, "once"),
        one.graph.features.double(),
        one.labels,
        one.smoothness.to_dense().double(),
        weights_of(one, config),
        biases=config.biases,
        kept=kept,
        scales={"foreground": 1, "background": 1, "entropy": config.entropy, "laplacian": config.laplacian},
        smoothed=config.smoothed,
    )


def assert_same(found: GcnSolution, expected: GcnSolution, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(found.probs, expected.probs, rtol=0, atol=tolerance)
    assert found.losses == pytest.approx(expected.losses, abs=tolerance)


def terms_of(
    labels: Tensor, log_probs: Tensor, smoothness: SparseMatrix | None = None, *, of_probs: bool = False
) -> GcnTerms:
    """Return the terms of one image of ``(N,)`` labels and ``(N, C)`` log-probabilities."""
    nodes, num_labels = log_probs.shape
    matrix = laplacian(smoothness) if smoothness else from_dense(torch.zeros(nodes, nodes, dtype=log_probs.dtype))
    counts = node_weights(labels[None], torch.tensor([nodes]), num_labels, log_probs.dtype)
    return counts.terms(log_probs[None], matrix, of_probs=of_probs)


def total(losses: dict[str, float], config: GcnConfig) -> float:
    scales = (1, 1, config.entropy, config.laplacian)
    return sum(scale * losses[name] for scale, name in zip(scales, TERMS, strict=True))


class Sizes(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that is made meanwhile."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        found = out if isinstance(out, tuple | list) else (out,)
        self.largest = max([self.largest, *(part.numel() for part in found if isinstance(part, Tensor))])
        return out


class TestPropagation:
    def test_adjacency(self) -> None:
        # wsgcn.md, oracle 1
        found = max_symmetrized(torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
        torch.testing.assert_close(found, torch.tensor([[0.8, 0.2], [0.2, 0.8]]))

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 6)])
    def test_equals_the_dense_version(self, kind: PropagationKind, size: tuple[int, int]) -> None:
        # wsgcn.md, 2.2 and 4
        affinity = boundary_graph(0.7 * uniform(*size)).affinity
        for config in (EXACT[kind], *([] if kind.startswith("walk") else [replace(EXACT[kind], diagonal="twice")])):
            expected = dense.wsgcn_propagation(affinity.to_dense(), kind, 256, config.diagonal)
            torch.testing.assert_close(matrix_of(affinity, config), expected)

    def test_the_diagonal_counts_once_or_twice(self) -> None:
        # two cells of affinity a: A + I is [[1, a], [a, 1]], or with A's own diagonal [[2, a], [a, 2]].
        affinity = from_dense(torch.tensor([[1.0, 0.5], [0.5, 1.0]], dtype=torch.float64))
        for diagonal, ones in (("once", 1), ("twice", 2)):
            looped = torch.tensor([[ones, 0.5], [0.5, ones]], dtype=torch.float64)
            plain = PropagationConfig("affinity_plain", diagonal=diagonal)  # type: ignore[arg-type]
            torch.testing.assert_close(matrix_of(affinity, plain), looped)
            torch.testing.assert_close(matrix_of(affinity, replace(plain, kind="affinity")), looped / (ones + 0.5))

    @pytest.mark.parametrize("kind", ["affinity", "walk", "walk_maxsym"])
    def test_rows_are_means(self, kind: PropagationKind) -> None:
        # wsgcn.md, oracle 2
        found = matrix_of(boundary_graph(uniform(5, 6)).affinity, EXACT[kind])
        assert float(found.min()) >= 0
        torch.testing.assert_close(found.sum(1), torch.ones(30, dtype=torch.float64), rtol=0, atol=1e-6)

    @pytest.mark.parametrize("kind", ["affinity", "walk", "walk_maxsym"])
    def test_isolated_nodes(self, kind: PropagationKind) -> None:
        # wsgcn.md, oracle 2: B = 1 everywhere gives the identity.
        walls = boundary_graph(torch.ones(3, 4, dtype=torch.float64)).affinity
        torch.testing.assert_close(matrix_of(walls, EXACT[kind]), torch.eye(12, dtype=torch.float64), rtol=0, atol=0)

    def test_an_endless_walk(self) -> None:
        # wsgcn.md, oracle 2: rows of R^t become s / sum(s).
        affinity = boundary_graph(torch.zeros(5, 6, dtype=torch.float64)).affinity
        walked = 2 * matrix_of(affinity, PropagationConfig("walk", 5000, 0)) - torch.eye(30, dtype=torch.float64)
        sums = affinity.row_sums()
        torch.testing.assert_close(walked, (sums / sums.sum()).expand(30, 30))

    @pytest.mark.parametrize("kind", KINDS)
    def test_walls_part_regions(self, kind: PropagationKind) -> None:
        # wsgcn.md, oracle 2
        boundary = 0.5 * uniform(5, 7)
        boundary[:, 3] = 1
        found = matrix_of(boundary_graph(boundary).affinity, EXACT[kind])
        side = torch.arange(7).sub(3).sign().expand(5, 7).flatten()
        assert float(found[side[:, None] != side].abs().max()) == 0
        assert float(found[(side == 1)][:, side == 1].min()) > 0 or kind.startswith("affinity")

    def test_detailed_balance(self) -> None:
        # wsgcn.md, oracle 3: max(G, G^T)_ij = (M^256)_ij exp(|ln s_i - ln s_j| / 2).
        affinity = boundary_graph(0.6 * uniform(5, 5)).affinity
        sums = affinity.row_sums()
        power = torch.linalg.matrix_power(affinity.to_dense() / (sums[:, None] * sums).sqrt(), 256)
        looped = power * torch.exp((sums.log()[:, None] - sums.log()).abs() / 2) + torch.eye(25, dtype=torch.float64)
        expected = looped / looped.sum(1, keepdim=True)
        torch.testing.assert_close(matrix_of(affinity, EXACT["walk_maxsym"]), expected, rtol=0, atol=1e-6)

    def test_both_walks_agree_on_regions(self) -> None:
        # wsgcn.md, section 6, 4: equal on signals that are constant within regions.
        boundary = torch.zeros(6, 7, dtype=torch.float64)
        boundary[:, 3] = 1
        affinity, signal = boundary_graph(boundary).affinity, (uniform(1, 7) > 0.5).double().clone()
        signal[:, :3], signal[:, 3], signal[:, 4:] = 0.2, 0.5, 0.9
        values = signal.expand(6, 7).reshape(-1, 1)
        one, other = (build_propagation(affinity, EXACT[kind]).apply(values) for kind in ("walk", "walk_maxsym"))
        torch.testing.assert_close(one, values)
        torch.testing.assert_close(other, values)

    @pytest.mark.parametrize("kind", KINDS)
    def test_several_graphs(self, kind: PropagationKind) -> None:
        graphs = [boundary_graph(uniform(4, 5, seed=seed)).affinity for seed in range(3)]
        found = build_propagation(block_diagonal(graphs), EXACT[kind], images=3).apply(uniform(60, 2))
        alone = [
            build_propagation(g, EXACT[kind]).apply(x) for g, x in zip(graphs, uniform(60, 2).split(20), strict=True)
        ]
        torch.testing.assert_close(found, torch.cat(alone))

    def test_dense_matrices_of_many_graphs_are_not_one(self) -> None:
        affinity = block_diagonal([boundary_graph(uniform(4, 5, seed=seed)).affinity for seed in range(8)])
        with Sizes() as made:
            build_propagation(affinity, EXACT["walk_maxsym"], images=8)
        assert 8 * 20**2 <= made.largest < 2 * 8 * 20**2

    def test_dense_matrices_are_bounded(self) -> None:
        affinity = boundary_graph(uniform(4, 5)).affinity
        with pytest.raises(ShapeError, match=r"'walk_maxsym': 20 nodes .* use 'walk'"):
            build_propagation(affinity, PropagationConfig("walk_maxsym", max_nodes=19))
        assert isinstance(build_propagation(affinity, PropagationConfig("walk_maxsym", max_nodes=20)), DenseBlocks)

    @pytest.mark.parametrize(
        "change",
        [{"kind": "walks"}, {"walk_steps": -1}, {"walk_error": 1.0}, {"diagonal": "thrice"}, {"diagonal": "twice"},
         {"kind": "walk_maxsym", "diagonal": "twice"}],
    )  # fmt: skip
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="propagation"):
            PropagationConfig(**change)


def flat_graph(*size: int) -> PixelGraph:
    return boundary_graph(torch.zeros(*size, dtype=torch.float64))


class TestSmoothness:
    @pytest.mark.parametrize(("of_probs", "expected"), [(False, 4.592341), (True, 0.608787)])
    def test_two_cells(self, of_probs: bool, expected: float) -> None:
        # wsgcn.md, oracle 4
        probs = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64)
        weights = smoothness_matrix(np.zeros((1, 2, 3), np.uint8), flat_graph(1, 2), SmoothnessConfig())
        found = terms_of(torch.tensor([255, 255]), probs.log(), weights, of_probs=of_probs).laplacian
        assert found.tolist() == [pytest.approx(expected, abs=5e-7)]

    def test_published_weights(self) -> None:
        # wsgcn.md, 2.5: interior degree on a flat image, and black beside white; 12 and 20 in the code, 6 and 200 not.
        paper = SmoothnessConfig(color_denominator=6, position_denominator=200)
        image = np.zeros((5, 5, 3), np.uint8)
        edge = np.array([[[0] * 3, [255] * 3]], np.uint8)
        for config, degree, contrast in ((SmoothnessConfig(), 19.6109, 0.740818), (paper, 23.5067, 0.603506)):
            sums = smoothness_matrix(image, flat_graph(5, 5), config).row_sums()
            assert float(sums[12]) == pytest.approx(degree, abs=5e-5)
            beside = smoothness_matrix(edge, flat_graph(1, 2), config).to_dense()[0, 1]
            assert float(beside) == pytest.approx(contrast, abs=5e-7)

    @pytest.mark.parametrize("size", [(6, 7), (1, 1), (1, 4), (2, 2)])
    def test_equals_the_dense_version(self, size: tuple[int, int]) -> None:
        # wsgcn.md, oracle 7: value, zero for constants, L symmetric, PSD, rows sum to zero.
        image, nodes = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8), math.prod(size)
        window, colors = half_square(2), torch.from_numpy(image).permute(2, 0, 1).double() / 255
        weights = dense.color_position_weights(colors, window, 12, 20)
        expected = dense.stencil_matrix(weights, window, torch.zeros(size, dtype=torch.float64))
        smoothness = smoothness_matrix(image, flat_graph(*size), SmoothnessConfig())
        full = laplacian(smoothness).to_dense()
        torch.testing.assert_close(full, torch.diag(expected.sum(1)) - expected)
        torch.testing.assert_close(full, full.T)
        assert float(torch.linalg.eigvalsh(full).min()) > -1e-12
        values, unknown = torch.log_softmax(3 * uniform(nodes, 3), -1), torch.full((nodes,), 255)
        energy = terms_of(unknown, values, smoothness).laplacian[0]
        torch.testing.assert_close(energy, torch.trace(values.T @ full @ values) / nodes, rtol=1e-6, atol=1e-12)
        constants = uniform(1, 3)
        moved = terms_of(unknown, values + constants, smoothness).laplacian[0]
        torch.testing.assert_close(moved, energy, rtol=0, atol=1e-12)
        assert abs(float(terms_of(unknown, constants.expand(nodes, 3), smoothness).laplacian)) < 1e-12

    def test_affinity_as_source(self) -> None:
        graph = boundary_graph(uniform(3, 4))
        found = smoothness_matrix(np.zeros((3, 4, 3), np.uint8), graph, SmoothnessConfig("affinity"))
        torch.testing.assert_close(found.to_dense(), graph.affinity.to_dense())

    @pytest.mark.parametrize("reduced", ["lanczos", "bilinear"])
    def test_how_the_image_is_reduced(self, reduced: Any) -> None:
        # wsgcn.md, section 4: LANCZOS in the code, bilinear in the paper
        image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        small = np.array(Image.fromarray(image).resize((8, 6), Image.Resampling[reduced.upper()]))
        expected = smoothness_matrix(small, flat_graph(6, 8), SmoothnessConfig())
        found = smoothness_matrix(image, flat_graph(6, 8), SmoothnessConfig(reduced=reduced))
        torch.testing.assert_close(found.values, expected.values, rtol=0, atol=0)
        other = SmoothnessConfig(reduced="bilinear" if reduced == "lanczos" else "lanczos")
        assert not found.values.equal(smoothness_matrix(image, flat_graph(6, 8), other).values)

    @pytest.mark.parametrize(
        "change", [{"source": "colour"}, {"window_cells": 0}, {"color_denominator": 0.0}, {"reduced": "nearest"}]
    )
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="smoothness"):
            SmoothnessConfig(**change)


class TestTerms:
    def test_entropy(self) -> None:
        # wsgcn.md, oracle 5: ln 21 summed over classes; the card's .144977 is the mean over 21 classes.
        flat = terms_of(torch.tensor([255]), torch.log_softmax(torch.zeros(1, 21, dtype=torch.float64), -1)).entropy
        assert flat.tolist() == [pytest.approx(3.044522, abs=5e-7)]
        assert float(flat) / 21 == pytest.approx(0.144977, abs=5e-7)
        assert GcnConfig().entropy * float(flat) == pytest.approx(10 * 0.144977, abs=5e-6)

    def test_equals_the_dense_version(self) -> None:
        for seed in range(5):
            labels = torch.from_numpy(np.random.default_rng(seed).choice([0, 1, 2, 255], 7))
            log_probs = torch.log_softmax(3 * uniform(7, 3, seed=seed), 1)
            expected = dense.wsgcn_losses(log_probs, labels, torch.zeros(7, 7).double(), "probs")
            for name, term in terms_of(labels, log_probs)._asdict().items():
                torch.testing.assert_close(term[0], expected[name], rtol=0, atol=1e-12)

    def test_padding_does_not_count(self) -> None:
        labels = torch.tensor([[0, 1, 255, 255], [1, 255, 0, 1]])
        log_probs = torch.log_softmax(uniform(2, 4, 2), -1)
        nothing = from_dense(torch.zeros(8, 8, dtype=torch.float64))
        both = node_weights(labels, torch.tensor([3, 4]), 2, torch.float64).terms(log_probs, nothing)
        for found, alone in zip(both, terms_of(labels[0, :3], log_probs[0, :3]), strict=True):
            torch.testing.assert_close(found[:1], alone)


class TestObjective:
    sizes, num_labels = ((2, 3), (1, 4), (1, 1)), (2, 3, 3)

    def build(self, *, of_probs: bool, weights: tuple[float, float] = (0.7, 0.3)) -> tuple[GcnBatch, GcnObjective]:
        """Return images of other sizes and other numbers of labels, and their objective."""
        images = enumerate(zip(self.sizes, self.num_labels, strict=True))
        batch = GcnBatch([problem(size, count, seed=seed, dtype=torch.float64) for seed, (size, count) in images])
        matrix = laplacian(batch.blocks([one.smoothness for one in batch.problems]))
        counts = node_weights(batch.labels, batch.sizes, batch.num_labels, torch.float64)
        return batch, build_gcn_objective(counts, matrix, batch.possible, weights=weights, of_probs=of_probs)

    @pytest.mark.parametrize("of_probs", [False, True])
    @pytest.mark.parametrize("weights", [(0.7, 0.3), (10.0, 0.0), (0.0, 5.0)])
    def test_value_and_derivative_equal_the_dense_version(self, of_probs: bool, weights: tuple[float, float]) -> None:
        # wsgcn.md, oracles 7 and 15
        batch, objective = self.build(of_probs=of_probs, weights=weights)
        logits = (4 * uniform(len(batch.problems) * batch.num_nodes, 3) - 2).requires_grad_()
        expected = logits.new_zeros(())
        for index, one in enumerate(batch.problems):
            own = logits[index * batch.num_nodes :][: one.num_nodes, : one.num_labels]
            smoothed = "probs" if of_probs else "log_probs"
            full = one.smoothness.to_dense()
            terms = dense.wsgcn_losses(torch.log_softmax(own, 1), one.labels, full, smoothed)
            scales = dict(zip(TERMS, (1, 1, *weights), strict=True))
            expected = expected + sum(scales[name] * term for name, term in terms.items())
        found = objective.value(logits)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        slopes = [torch.autograd.grad(3 * value, logits)[0] for value in (found, expected)]
        torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("of_probs", [False, True])
    def test_derivative_by_finite_differences(self, of_probs: bool) -> None:
        batch, objective = self.build(of_probs=of_probs)
        logits = uniform(len(batch.problems) * batch.num_nodes, 3).requires_grad_()
        assert torch.autograd.gradcheck(objective.value, (logits,))

    @pytest.mark.parametrize("of_probs", [False, True])
    def test_certainty_has_no_entropy(self, of_probs: bool) -> None:
        # wsgcn.md, oracle 5: x ln x at 0 is 0, and has a slope.
        counts = node_weights(torch.tensor([[255]]), torch.tensor([1]), 3)
        nothing, possible = from_dense(torch.zeros(1, 1)), torch.ones(1, 1, 3, dtype=torch.bool)
        objective = build_gcn_objective(counts, nothing, possible, weights=(1, 1), of_probs=of_probs)
        logits = torch.tensor([[0, 1e4, 0]]).requires_grad_()
        found = objective.value(logits)
        assert float(found.detach()) == 0
        assert float(torch.autograd.grad(found, logits)[0].abs().max()) == 0

    def test_log_probs(self) -> None:
        batch, objective = self.build(of_probs=False)
        logits = uniform(len(batch.problems) * batch.num_nodes, 3)
        found = objective.log_probs(logits)
        own = torch.log_softmax(logits[:6, :2], 1)
        torch.testing.assert_close(found[:2, :6], own.T)
        assert float(found[2, :6].abs().max()) == 0  # an impossible label
        torch.testing.assert_close(found[:, 6:10], torch.log_softmax(logits[6:10], 1).T)


class TestNetwork:
    @pytest.mark.parametrize(("entropy", "expected"), [(10 / 21, 7.538817), (10.0, 36.534269)])
    def test_zero_weights(self, monkeypatch: pytest.MonkeyPatch, entropy: float, expected: float) -> None:
        # wsgcn.md, oracle 6
        config = GcnConfig(steps=0, entropy=entropy)
        monkeypatch.setattr(gcn, "gcn_weights", lambda *args: [0 * weight for weight in gcn_weights(*args)])
        (found,) = train_gcn([problem(num_labels=21, labels=(0, 3, 20, 255), dtype=torch.float64)], config)
        assert found.losses["foreground"] == pytest.approx(math.log(21), abs=1e-6)
        assert found.losses["background"] == pytest.approx(math.log(21), abs=1e-6)
        assert abs(found.losses["laplacian"]) < 1e-12
        assert total(found.losses, config) == pytest.approx(expected, abs=2e-6)

    @pytest.mark.parametrize("kind", KINDS)
    def test_nodes_in_another_order(self, kind: PropagationKind) -> None:
        # wsgcn.md, oracle 8
        one, config = problem(dtype=torch.float64), replace(STEPS, propagation=EXACT[kind])
        order = torch.randperm(20, generator=torch.Generator().manual_seed(0))

        def moved(matrix: SparseMatrix) -> SparseMatrix:
            return from_dense(matrix.to_dense()[order][:, order])

        graph = PixelGraph(one.graph.features[order], one.graph.size, moved(one.graph.affinity))
        other = replace(one, graph=graph, smoothness=moved(one.smoothness), labels=one.labels[order])
        before, after = train_gcn([one, other], config)
        assert_same(after, replace(before, probs=before.probs[order]), 1e-9)

    def test_classes_in_another_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # wsgcn.md, oracle 8; the background stays the first label.
        one, order = problem(num_labels=4, dtype=torch.float64), torch.tensor([0, 3, 1, 2])
        (before,) = train_gcn([one], STEPS)
        new = torch.where(one.labels == 255, 255, order.argsort()[one.labels.clamp(max=3)])

        def moved(*args: Any) -> list[Tensor]:
            first, first_bias, second, second_bias = gcn_weights(*args)
            return [first, first_bias, second[..., order], second_bias[..., order]]

        monkeypatch.setattr(gcn, "gcn_weights", moved)
        (after,) = train_gcn([replace(one, labels=new)], STEPS)
        assert_same(after, replace(before, probs=before.probs[:, order]), 1e-9)

    @pytest.mark.parametrize("kind", KINDS)
    def test_features_are_propagated_once(self, kind: PropagationKind) -> None:
        # wsgcn.md, oracle 9: (P X) W1 = P (X W1), and so are the derivatives in W1.
        one = problem(dtype=torch.float64)
        propagation = build_propagation(one.graph.affinity, EXACT[kind])
        weight = (uniform(6, 16) - 0.5).requires_grad_()
        before = propagation.apply(one.graph.features) @ weight
        after = propagation.apply(one.graph.features @ weight)
        torch.testing.assert_close(before, after)
        slopes = [torch.autograd.grad(found.square().sum(), weight)[0] for found in (before, after)]
        torch.testing.assert_close(slopes[0], slopes[1])

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("smoothed", ["log_probs", "probs"])
    def test_gradient_by_finite_differences(
        self, monkeypatch: pytest.MonkeyPatch, kind: PropagationKind, smoothed: Any
    ) -> None:
        # wsgcn.md, oracle 15: the whole loss, as the optimiser sees it, at N = 6, D = 3, C = 3.
        one = problem((2, 3), 3, channels=3, labels=(0, 1, 2, 255), seed=3, dtype=torch.float64)
        config = GcnConfig(EXACT[kind], hidden=4, dropout=0, steps=1, laplacian=0.5, smoothed=smoothed)
        weights, seen = gcn_weights([one], 3, 3, 4), []

        class Spy(gcn.Adam):
            def step(self) -> None:
                seen.extend(weight.grad.clone() for weight in self.weights)

        def loss() -> float:
            return total(train_gcn([one], replace(config, steps=0))[0].losses, config)

        weights = [weight.double() for weight in weights]
        monkeypatch.setattr(gcn, "gcn_weights", lambda *_: [weight.clone() for weight in weights])
        monkeypatch.setattr(gcn, "Adam", Spy)
        train_gcn([one], config)
        for weight, slope in zip(weights, seen, strict=True):
            for index in range(weight.numel()):
                value, sides = float(weight.flatten()[index]), []
                for change in (1e-5, -1e-5):
                    weight.view(-1)[index] = value + change
                    sides.append(loss())
                weight.view(-1)[index] = value
                assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(float(slope.flatten()[index]), abs=2e-7, rel=1e-5)

    def test_initial_weights(self) -> None:
        # wsgcn.md, 2.4: uniform in +-1 / sqrt(outputs), biases too; other seeds, other weights.
        one = problem(channels=200, num_labels=3, labels=(0, 1, 255))
        found = gcn_weights([one, replace(one, seed=1), replace(one, num_labels=2)], 200, 3, 16)
        assert [tuple(weight.shape) for weight in found] == [(3, 200, 16), (3, 1, 16), (3, 16, 3), (3, 1, 3)]
        for weight, outputs in zip(found, (16, 16, 3, 3), strict=True):
            assert (0.9 if weight[0].numel() > 16 else 0) < float(weight[:2].abs().max()) * outputs**0.5 <= 1
            assert not weight[0].equal(weight[1])
        assert float(found[0].abs().max()) > 0.249 and abs(float(found[0].mean())) < 0.01
        assert found[0][0].equal(found[0][2])
        assert float(found[2][2, :, 2].abs().max()) == 0


class TestTraining:
    @pytest.mark.parametrize("kind", KINDS)
    def test_equals_the_dense_version(self, kind: PropagationKind) -> None:
        config = replace(STEPS, propagation=PropagationConfig(kind, walk_error=1e-6))
        for seed, size in ((0, (4, 5)), (1, (5, 6))):
            one = problem(size, 3, seed=seed)
            probs, losses = reference(one, config, [None] * 20)
            (found,) = train_gcn([one], config)
            assert_same(found, GcnSolution(probs.float(), losses))
            before = train_gcn([one], replace(config, steps=0))[0].losses
            assert total(found.losses, config) < total(before, config)

    @pytest.mark.parametrize(
        "change",
        [{"smoothed": "probs", "laplacian": 1.0}, {"entropy": 10.0}, {"laplacian": 0.0}, {"hidden": 3},
         {"biases": False}],
    )  # fmt: skip
    def test_other_settings_equal_the_dense_version(self, change: dict[str, Any]) -> None:
        one, config = problem(dtype=torch.float64), replace(STEPS, propagation=EXACT["affinity"], **change)
        probs, losses = reference(one, config, [None] * 20)
        assert_same(train_gcn([one], config)[0], GcnSolution(probs, losses), 1e-6)

    def test_dropout_equals_the_dense_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one, masks = problem(dtype=torch.float64), []

        def noted(*args: Any) -> Tensor | None:
            masks.append(kept_units(*args))
            return masks[-1]

        monkeypatch.setattr(gcn, "kept_units", noted)
        config = replace(STEPS, dropout=0.3, propagation=EXACT["affinity"])
        (found,) = train_gcn([one], config)
        assert len(masks) == 20 and not masks[0].equal(masks[1])
        assert_same(found, GcnSolution(*reference(one, config, [mask[0] for mask in masks])), 1e-6)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    @pytest.mark.parametrize("sizes", [((4, 5), (6, 5), (1, 1), (3, 3)), ((4, 5), (5, 4), (2, 10), (20, 1))])
    def test_several_images_equal_each_alone(
        self, kind: PropagationKind, dropout: float, sizes: tuple[tuple[int, int], ...]
    ) -> None:
        # wsgcn.md, oracle 10; other sizes, other numbers of labels, in any order.
        config = replace(STEPS, dropout=dropout, propagation=EXACT[kind])
        images = enumerate(zip(sizes, (2, 4, 1, 3), strict=True))
        problems = [problem(size, labels, seed=seed) for seed, (size, labels) in images]
        together = train_gcn(problems, config)
        for one, found in zip(problems, together, strict=True):
            assert found.probs.shape == (one.num_nodes, one.num_labels)
            assert_same(found, train_gcn([one], config)[0])
        for found, expected in zip(train_gcn(problems[::-1], config)[::-1], together, strict=True):
            assert_same(found, expected, 1e-5)

    @pytest.mark.parametrize("kind", KINDS)
    def test_two_runs_are_equal_bit_for_bit(self, kind: PropagationKind) -> None:
        problems = [problem(seed=seed) for seed in range(3)]
        config = GcnConfig(PropagationConfig(kind), steps=10)
        for found, expected in zip(train_gcn(problems, config), train_gcn(problems, config), strict=True):
            assert found.probs.equal(expected.probs)
            assert found.losses == expected.losses

    def test_seeds_differ(self) -> None:
        one, other = train_gcn([problem(), replace(problem(), seed=1)], replace(STEPS, steps=1))
        assert not one.probs.equal(other.probs)

    def test_seeds_differ_in_dropout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gcn, "gcn_weights", lambda p, *more: gcn_weights([p[0]] * len(p), *more))
        one, other, same = train_gcn(
            [problem(), replace(problem(), seed=1), problem()], replace(STEPS, dropout=0.3, steps=3)
        )
        assert not one.probs.equal(other.probs)
        assert_same(same, one, 1e-6)

    @pytest.mark.parametrize(
        ("labels", "zero"),
        [((0, 255), ("foreground",)), ((1, 255), ("background",)), ((0, 1), ("entropy",)),
         ((255,), ("foreground", "background")), ((1,), ("background", "entropy"))],
    )  # fmt: skip
    @pytest.mark.parametrize("size", [(1, 1), (3, 4)])
    def test_sets_without_nodes_count_nothing(
        self, labels: tuple[int, ...], zero: tuple[str, ...], size: tuple[int, int]
    ) -> None:
        # wsgcn.md, section 8
        (found,) = train_gcn([problem(size, 2, labels=labels)], replace(STEPS, dropout=0.3))
        assert all(found.losses[name] == 0 for name in zero)
        assert all(math.isfinite(value) for value in found.losses.values())
        torch.testing.assert_close(found.probs.sum(1), torch.ones(math.prod(size)))

    def test_one_label(self) -> None:
        (found,) = train_gcn([problem(num_labels=1, labels=(0, 255))], STEPS)
        assert found.probs.equal(torch.ones(20, 1))
        assert found.losses == dict.fromkeys(TERMS, 0)

    @pytest.mark.parametrize("kind", ["walk", "walk_maxsym"])
    def test_seeds_spread_within_walls(self, kind: PropagationKind) -> None:
        # wsgcn.md, oracle 14: two regions, two seeds each, cross-entropies alone.
        boundary = torch.zeros(12, 12)
        boundary[:, 6] = 1
        graph, image = boundary_graph(boundary, beta=10), np.zeros((12, 12, 3), np.uint8)
        right = (torch.arange(12) > 6).expand(12, 12).flatten()
        noise = 0.3 * graph.features[:, 2:]
        graph = replace(graph, features=torch.cat([torch.stack([~right, right], 1).float(), noise], 1))
        partial = torch.full((12, 12), 255, dtype=torch.uint8)
        for row, column, label in ((1, 1, 0), (9, 4, 0), (3, 8, 1), (10, 11, 1)):
            partial[row, column] = label
        config = GcnConfig(PropagationConfig(kind), entropy=0, laplacian=0)
        one = build_gcn_problem(partial, image, graph, (0, 1), SmoothnessConfig())
        inside = (boundary == 0).flatten()
        found = train_gcn([one], config)[0].probs.argmax(1)
        assert found[inside].equal(right.long()[inside])

    def test_without_edges_noise_is_labelled_by_chance(self) -> None:
        # wsgcn.md, oracle 14: it is the propagation that carries the labels.
        graph = boundary_graph(torch.ones(12, 12))
        right = (torch.arange(12) > 5).expand(12, 12).flatten().long()
        partial = torch.full((12, 12), 255, dtype=torch.uint8)
        for row, column, label in ((1, 1, 0), (9, 4, 0), (3, 8, 1), (10, 11, 1)):
            partial[row, column] = label
        one = build_gcn_problem(partial, np.zeros((12, 12, 3), np.uint8), graph, (0, 1), SmoothnessConfig())
        found = train_gcn([one], GcnConfig(EXACT["affinity"], entropy=0, laplacian=0))[0]
        known = one.labels != 255
        assert found.probs.argmax(1)[known].equal(right[known])
        accuracy = float((found.probs.argmax(1) == right)[~known].double().mean())
        assert 0.35 < accuracy < 0.65

    @pytest.mark.parametrize(
        "change",
        [{"hidden": 0}, {"steps": -1}, {"dropout": 0.991}, {"dropout": -0.1}, {"dropout": float("nan")},
         {"lr": 0.0}, {"entropy": -1.0}, {"smoothed": "logits"}],
    )  # fmt: skip
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="gcn"):
            GcnConfig(**change)


class TestProblems:
    def test_labels_are_indices(self) -> None:
        graph, image = boundary_graph(uniform(1, 4)), np.zeros((4, 16, 3), np.uint8)
        partial = torch.tensor([[0, 3, 7, 255]], dtype=torch.uint8)
        found = build_gcn_problem(partial, image, graph, (0, 3, 7), SmoothnessConfig())
        assert found.labels.tolist() == [0, 1, 2, 255] and found.num_labels == 3

    def test_grids_that_differ_are_both_named(self) -> None:
        # wsgcn.md, section 8
        graph, image = boundary_graph(uniform(3, 4)), np.zeros((12, 16, 3), np.uint8)
        with pytest.raises(ShapeError, match=r"\(3, 5\).*\(3, 4\)"):
            build_gcn_problem(torch.zeros(3, 5, dtype=torch.uint8), image, graph, (0,), SmoothnessConfig())

    @pytest.mark.parametrize(
        "change",
        [{"labels": torch.zeros(19, dtype=torch.int64)}, {"labels": torch.full((20,), 3)}, {"num_labels": 0},
         {"labels": torch.full((20,), -1)}, {"labels": torch.zeros(20)},
         {"smoothness": from_dense(torch.eye(19))}],
    )  # fmt: skip
    def test_parts_that_do_not_fit_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ShapeError):
            replace(problem(), **change)

    def test_scores_of_some_labels_are_those_of_all(self) -> None:
        # wsgcn.md, 2.6: probabilities of background and tags, which no longer sum to one
        one, config = problem(num_labels=4), WsgcnConfig(gcn=STEPS, labels="all")
        tasks = [GcnTask(one, (0, 3, 5, 7), (16, 20), decoded) for decoded in (None, (0, 5))]
        every, some = complete_by_gcn(tasks, config)
        assert every.label_ids == (0, 3, 5, 7) and some.label_ids == (0, 5)
        torch.testing.assert_close(some.values, every.values[[0, 2]])
        torch.testing.assert_close(every.values.sum(0), torch.ones(4, 5))
        assert float(some.values.sum(0).max()) < 0.99

    def test_batches_hold_what_fits(self) -> None:
        problems = [problem((rows, 5), seed=rows) for rows in (2, 6, 3, 6, 1)]
        largest = gcn_memory(problems[1], STEPS)
        assert choose_batches(problems, STEPS, 1e-9) == [[1], [3], [2], [0], [4]]
        assert choose_batches(problems, STEPS, 1e9) == [[1, 3, 2, 0, 4]]
        two = choose_batches(problems, STEPS, 2.5 * largest)
        assert two[0] == [1, 3]
        assert sorted(index for members in two for index in members) == [0, 1, 2, 3, 4]
        assert choose_batches([], STEPS, 1) == []

    @pytest.mark.parametrize("change", [{"labels": "some"}, {"memory_mb": 0}, {"decoded": "some"}, {"decoded": "all"}])
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="completion"):
            WsgcnConfig(**change)


class TestGcnJob:
    @pytest.mark.parametrize(("labels", "decoded"), [("tagged", "tagged"), ("all", "tagged"), ("all", "all")])
    @pytest.mark.parametrize("source", [BOUNDARY, AFFINITY])
    def test_images_and_partial_labels_to_scores(
        self, tmp_path: Path, source: GraphSource, labels: Any, decoded: Any
    ) -> None:
        torch.manual_seed(0)
        backbone, stride = BackboneConfig("resnet10t", 16, "none"), 4 if source is BOUNDARY else 8
        model = (BoundaryNet if source is BOUNDARY else AffinityNet)(build_backbone(backbone))
        header = {"kind": source.step, "backbone": vars(backbone), "pad": 64}
        save_model(tmp_path / "model.safetensors", model, header)
        samples, sizes = [], {0: (48, 64), 1: (41, 50), 2: (48, 64), 3: (9, 30), 5: (41, 41)}
        for index, (height, width) in sizes.items():
            top = (48 - height) // 2
            image, mask = (np.ascontiguousarray(whole[top : top + height, :width]) for whole in draw(index))
            Image.fromarray(image).save(tmp_path / f"{index}.png")
            LabelMap(np.where(np.indices(mask.shape)[1] // stride % 2, mask, 255).astype(np.uint8)).save(
                tmp_path / "partial" / f"{index}.png"
            )
            tags = Tags(frozenset(np.unique(mask).tolist()) - {0})
            samples.append(WeakSample(str(index), tmp_path / f"{index}.png", tags))
        config = WsgcnConfig(gcn=GcnConfig(steps=10, dropout=0), labels=labels, decoded=decoded)
        how = GcnCompletion(source, GraphConfig(), config, 3, 0)
        job = GcnJob(tmp_path / "model.safetensors", tmp_path / "partial", tmp_path / "one", how)
        assert [len(unit.samples) for unit in job.units(samples)] == [1] * len(samples)
        assert [len(unit.samples) for unit in replace(job, device="cuda").units(samples)] == [len(samples)]
        for sample in samples:
            job.run(Unit((sample,)))
        together = replace(job, out=tmp_path / "all")
        together.run(Unit(tuple(samples)))
        for sample, size in zip(samples, sizes.values(), strict=True):
            found = Scores.load(job.output(sample.id))
            expected = (0, *sorted(sample.tags.present)) if decoded == "tagged" else (0, 1, 2, 3)
            assert found.label_ids == (expected if sample.tags.present else (0,))
            assert found.image_size == size
            if sample.tags.present:
                assert found.values.shape[1:] == (-(-size[0] // stride), -(-size[1] // stride))
            if labels == decoded or not sample.tags.present:
                torch.testing.assert_close(found.values.sum(0), torch.ones(found.values.shape[1:]), rtol=0, atol=2e-3)
            other = Scores.load(together.output(sample.id))
            torch.testing.assert_close(other.values, found.values, rtol=0, atol=2e-3)
