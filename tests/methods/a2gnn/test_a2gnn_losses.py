import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import assert_exact, each
from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Box
from weakseg.methods.a2gnn.batch import A2gnnBatch, box_losses, consistent_seeds
from weakseg.methods.a2gnn.boxes import BoxWindows, PickedPoints, agreement, build_windows, inside_boxes
from weakseg.methods.a2gnn.config import A2gnnConfig, KernelConfig
from weakseg.methods.a2gnn.losses import gated_crf, image_sums, log_partition, mean_weights, pull, row_cross_entropy
from weakseg.methods.a2gnn.problem import A2gnnProblem, ProblemSeeds, crf_kernel, normalized_colors, pixel_seeds
from weakseg.nn.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD
from weakseg.nn.graphs.graph_layers import Output
from weakseg.ops.readout import GridReadout, Readout, RegionReadout
from weakseg.ops.sparse import SparseMatrix, block_diagonal, matrix_from_edges
from weakseg.stages.decode import keep_to_boxes

DOUBLE = torch.float64
EXACT = A2gnnConfig()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def diagonal(nodes: int) -> SparseMatrix:
    index = torch.arange(nodes)
    return matrix_from_edges(torch.stack([index, index]), torch.ones(nodes, dtype=DOUBLE), (nodes, nodes))


def problem(
    readout: Readout, labels: Any = None, boxes: tuple[Box, ...] = (), num_labels: int = 2, image_id: str = "a"
) -> A2gnnProblem:
    """Return a problem without edges; ``labels`` are those of pixels, none by default."""
    label_ids = tuple(range(num_labels))
    values = np.full(readout.image_size, 255, np.uint8) if labels is None else np.asarray(labels, np.uint8)
    seeds = pixel_seeds(LabelMap(values), label_ids, readout, DOUBLE)
    nodes = readout.num_nodes
    return A2gnnProblem(
        image_id, torch.zeros(nodes, 1, dtype=DOUBLE), diagonal(nodes), readout, label_ids, seeds, boxes
    )


def windows_of(*problems: A2gnnProblem) -> BoxWindows:
    found = build_windows(problems, DOUBLE)
    assert found is not None
    return found


def losses_of(
    one: A2gnnProblem, logits: Tensor, hidden: Tensor | None = None, **config: Any
) -> tuple[float, float, PickedPoints]:
    """Return the two losses of the boxes of one image, and the points."""
    windows, settings_ = windows_of(one), A2gnnConfig(**config)
    points = windows.pick(logits, settings_)
    out = Output(torch.ones(len(logits), 1, dtype=DOUBLE) if hidden is None else hidden, logits)
    of_points, apart = box_losses(A2gnnBatch([one]), windows, points, out)
    return float(of_points), float(apart), points


def kernel_of(colors: Tensor, **config: Any) -> SparseMatrix:
    """Return the kernel of ``(3, h, w)`` normalised colours of cells."""
    return crf_kernel(colors, GridReadout((colors.shape[1], colors.shape[2]), 1), KernelConfig(**config))


def crf_of(probs: Tensor, kernel: SparseMatrix) -> Tensor:
    return gated_crf(probs, kernel, torch.zeros(len(probs), dtype=torch.int64), 1)[0]


class TestKernel:
    @pytest.mark.parametrize(("difference", "expected"), [(0.1, 0.598165), (0.0, 0.986207)])
    def test_two_cells(self, difference: float, expected: float) -> None:
        # a2gnn.md, oracle 11
        colors = torch.zeros(3, 1, 2, dtype=DOUBLE)
        colors[1, 0, 1] = difference
        kernel = kernel_of(colors).to_dense()
        assert float(kernel[0, 1]) == pytest.approx(expected, abs=5e-7)
        assert kernel.equal(kernel.T) and not kernel.diagonal().any()

    def test_window(self) -> None:
        found = kernel_of(torch.zeros(3, 13, 13, dtype=DOUBLE), radius_cells=5).to_dense()
        assert int((found[6 * 13 + 6] > 0).sum()) == 120 and int((found[0] > 0).sum()) == 35

    def test_equals_the_dense_version(self) -> None:
        colors = 0.1 * noise(3, 4, 6)
        offsets = tuple((y, x) for y in range(3) for x in range(-2, 3) if (y, x) > (0, 0))
        weights = dense.color_position_weights(colors, offsets, 2 * 0.1**2, 2 * 6.0**2)
        expected = dense.stencil_matrix(weights, offsets, torch.zeros(4, 6, dtype=DOUBLE))
        assert_exact(kernel_of(colors, radius_cells=2).to_dense(), expected)

    def test_cut_cells_are_filled_with_the_mean_colour(self) -> None:
        # a2gnn.md, 2.1: an image that is padded by hand has the same kernel.
        colors = 0.1 * noise(3, 13, 18)
        padded = torch.nn.functional.pad(colors, (0, 6, 0, 3))
        for sampling in ("mean", "bilinear"):
            config = KernelConfig(sampling=sampling)  # type: ignore[arg-type]
            one, other = (
                crf_kernel(colors, GridReadout((13, 18)), config),
                crf_kernel(padded, GridReadout((16, 24)), config),
            )
            assert one.values.equal(other.values)

    def test_sampling(self) -> None:
        # a2gnn.md, section 4, 35: without antialiasing a cell sees its four middle pixels.
        colors = torch.zeros(3, 8, 16, dtype=DOUBLE)
        colors[:, 3:5, 3:5] = 0.1
        by_mean, by_points = (
            float(crf_kernel(colors, GridReadout((8, 16)), KernelConfig(sampling=s)).to_dense()[0, 1])  # type: ignore[arg-type]
            for s in ("mean", "bilinear")
        )
        assert by_points == pytest.approx(math.exp(-1 / 72 - 3 * 0.1**2 / 0.02))
        assert by_mean == pytest.approx(math.exp(-1 / 72 - 3 * (0.1 / 16) ** 2 / 0.02))

    def test_colours(self) -> None:
        # a2gnn.md, 2.3: 0.1 normalised unit is 5.7 to 5.8 grey levels.
        image = np.array([[[0, 0, 0], [58, 58, 58]]], np.uint8)
        found = normalized_colors(image)
        assert found[:, 0, 0].tolist() == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])
        assert (found[:, 0, 1] - found[:, 0, 0]).tolist() == pytest.approx([1.0, 1.0, 1.0], abs=0.02)
        exact = normalized_colors(image, DOUBLE)[:, 0, 1].tolist()
        assert exact == [(58 / 255 - m) / d for m, d in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]


class TestGatedCrf:
    PAIR = torch.tensor([[[0.0, 0.1]], [[0, 0]], [[0, 0]]], dtype=DOUBLE)

    def test_two_cells(self) -> None:
        # a2gnn.md, oracle 12
        probs = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=DOUBLE)
        assert float(crf_of(probs, kernel_of(self.PAIR))) == pytest.approx(0.442642, abs=5e-7)

    def test_equal_labels_cost_nothing(self) -> None:
        kernel = kernel_of(0.1 * noise(3, 5, 6))
        assert float(crf_of(torch.eye(3, dtype=DOUBLE)[[1] * 30], kernel)) == pytest.approx(0, abs=1e-12)

    def test_equal_probabilities(self) -> None:
        kernel = kernel_of(0.1 * noise(3, 5, 6))
        found = crf_of(torch.full((30, 4), 0.25, dtype=DOUBLE), kernel)
        assert float(found) == pytest.approx(0.75 * float(kernel.values.sum()) / 30)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(0, 99))
    def test_equals_the_dense_version(self, height: int, width: int, labels: int, seed: int) -> None:
        # value >= 0 and gradient -(2/N) sum_j k_ij p_j
        kernel = kernel_of(0.1 * noise(3, height, width, seed=seed), radius_cells=2)
        probs = noise(height * width, labels, seed=seed).softmax(1).requires_grad_()
        found = crf_of(probs, kernel)
        expected = dense.gated_crf_energy(kernel.to_dense(), probs.T[:, None])
        assert_exact(found, expected)
        assert found.item() >= -1e-12
        (slope,) = torch.autograd.grad(found, probs)
        assert_exact(slope, -2 / len(probs) * kernel.to_dense() @ probs.detach())

    def test_of_several_images(self) -> None:
        probs, kernels = noise(7, 3).softmax(1).requires_grad_(), [kernel_of(noise(3, 1, n)) for n in (3, 4)]
        image = torch.tensor([0] * 3 + [1] * 4)
        found = gated_crf(probs, block_diagonal(kernels), image, 2)
        alone = [crf_of(part, kernel) for part, kernel in zip(probs.split([3, 4]), kernels, strict=True)]
        assert_exact(found, torch.stack(alone))
        weighted = [(values * torch.tensor([1.0, 5.0])).sum() for values in (found, torch.stack(alone))]
        slopes = [torch.autograd.grad(value, probs)[0] for value in weighted]
        assert_exact(*slopes)

    def test_as_printed_it_is_constant(self) -> None:
        # a2gnn.md, oracle 17: equation 22 over all pairs of labels has no gradient; so it is not used.
        kernel = kernel_of(0.1 * noise(3, 3, 3)).to_dense()
        logits = noise(9, 4).requires_grad_()
        probs = logits.softmax(1)
        total = sum(
            kernel[i, j] * probs[i, a] * probs[j, b]
            for i in range(9)
            for j in range(9)
            for a in range(4)
            for b in range(4)
        )
        (slope,) = torch.autograd.grad(total, logits)  # type: ignore[arg-type]
        assert float(slope.abs().max()) < 1e-12


class TestSeeds:
    def test_cross_entropy(self) -> None:
        logits = noise(6, 3).requires_grad_()
        labels = torch.tensor([0, 1, 2, 2, 1, 0])
        found, expected = (
            row_cross_entropy(logits, labels),
            torch.nn.functional.cross_entropy(logits, labels, reduction="none"),
        )
        assert_exact(found, expected)
        slope = noise(6)
        one, other = (torch.autograd.grad((values * slope).sum(), logits)[0] for values in (found, expected))
        assert_exact(one, other)

    @pytest.mark.parametrize("others", [0, 1, 3])
    def test_partition_is_that_of_logits_less_the_first(self, others: int) -> None:
        above = 30 * noise(7, others)
        above.requires_grad_()
        found = log_partition(above)
        expected = torch.logsumexp(torch.cat([above.new_zeros(7, 1), above], 1), 1)
        assert_exact(found, expected)
        if others:
            assert_exact(*(torch.autograd.grad(v.sum(), above)[0] for v in (found, expected)))

    def test_sums_of_images(self) -> None:
        values = torch.tensor([1.0, 2, 4])
        assert image_sums(values, torch.tensor([0, 0, 0]), 1).tolist() == [7]
        assert image_sums(values, torch.tensor([2, 0, 2]), 3).tolist() == [2, 0, 5]

    def test_seeds_that_do_not_count_are_as_if_they_were_not_there(self) -> None:
        seeds = np.random.default_rng(0).choice((0, 1, 2, 255), (9, 12)).astype(np.uint8)
        one, logits = problem(GridReadout((9, 12)), seeds, num_labels=3), noise(4, 3)
        kept = torch.rand(len(one.seeds.labels), generator=torch.Generator().manual_seed(0)) < 0.5
        row, column = one.seeds.pixels[~kept].T.numpy()
        fewer = seeds.copy()
        fewer[row, column] = 255
        alone = A2gnnBatch([problem(GridReadout((9, 12)), fewer, num_labels=3)]).seeds.loss(logits)
        assert_exact(A2gnnBatch([one]).seeds.loss(logits, kept), alone)

    def test_weights_of_means(self) -> None:
        found = mean_weights(torch.tensor([1.0, 3, 0, 5, 0]), torch.tensor([0, 0, 0, 3, 1]), 4)
        assert found.tolist() == [0.25, 0.75, 0, 1, 0]

    @each("labels", [(0, 1, 2, 255), (1, 2, 255), (0, 255), (255,)])
    def test_equals_the_dense_version(self, labels: tuple[int, ...]) -> None:
        # a2gnn.md, 2.6; oracle 16: without background the term of the foreground alone, without seeds 0.
        seeds = np.random.default_rng(0).choice(labels, (13, 18)).astype(np.uint8)
        one = problem(GridReadout((13, 18)), seeds, num_labels=3)
        logits = noise(6, 3).requires_grad_()
        found = A2gnnBatch([one]).seeds.loss(logits)[0]
        pixels = dense.pixel_matrix((2, 3), 8)[:13, :18]
        expected = dense.a2gnn_terms(logits, logits, pixels, seeds.astype(np.int64), [], torch.zeros(6, 6).double())[
            "seeds"
        ]
        assert_exact(found, expected)
        if labels == (255,):
            assert float(found) == 0
        else:
            assert_exact(*(torch.autograd.grad(v, logits)[0] for v in (found, expected)))

    def test_several_images_have_means_of_their_own(self) -> None:
        rng, readouts = np.random.default_rng(0), [GridReadout((9, 9)), GridReadout((8, 20))]
        problems = [problem(r, rng.choice([0, 1, 255], r.image_size)) for r in readouts]
        logits = noise(4 + 3, 2)
        found = A2gnnBatch(problems).seeds.loss(logits)
        alone = [A2gnnBatch([p]).seeds.loss(part)[0] for p, part in zip(problems, logits.split([4, 3]), strict=True)]
        assert_exact(found, torch.stack(alone))

    def test_weights_of_nodes(self) -> None:
        # graph-baselines.md, 2.6: weighted by the number of labelled pixels.
        one = problem(GridReadout((1, 3), 1))
        own = ProblemSeeds(
            torch.tensor([1, 1]),
            one.readout.at(torch.tensor([0, 0]), torch.tensor([0, 2]), DOUBLE),
            torch.tensor([3.0, 1], dtype=DOUBLE),
        )
        logits = noise(3, 2)
        each = row_cross_entropy(logits[[0, 2]], own.labels)
        found = A2gnnBatch([replace(one, seeds=own)]).seeds.loss(logits)[0]
        assert_exact(found, 0.75 * each[0] + 0.25 * each[1])


class TestPoints:
    def test_published_example(self) -> None:
        # a2gnn.md, oracle 13: a box of 3 x 2 pixels, nodes being pixels.
        probs = torch.tensor([0.9, 0.2, 0.3, 0.8, 0.6, 0.5], dtype=DOUBLE)
        one = problem(GridReadout((3, 2), 1), boxes=(Box(1, 0, 0, 3, 2),))
        logits = torch.stack([1 - probs, probs], 1).log()
        found, _, points = losses_of(one, logits)
        assert found == pytest.approx(0.233567, abs=5e-7)
        assert points.pixels.tolist() == [0, 3, 4, 0, 3] and len(points.pixels.unique()) == 3

    @pytest.mark.parametrize(("score", "chosen"), [("logit", 0), ("probability", 1)])
    def test_logit_or_probability(self, score: str, chosen: int) -> None:
        # a2gnn.md, oracle 14
        logits = torch.tensor([[0, 2, 5], [0, 1.5, -5]], dtype=DOUBLE)
        one = problem(GridReadout((1, 2), 1), boxes=(Box(1, 0, 0, 1, 2),), num_labels=3)
        points = losses_of(one, logits, point_score=score)[2]
        assert points.pixels.tolist() == [chosen, 0, 1]  # one row, two columns
        assert logits.softmax(1)[:, 1].tolist() == pytest.approx([0.047, 0.817], abs=1e-3)

    def test_ties_go_to_the_first(self) -> None:
        one = problem(GridReadout((3, 4), 1), boxes=(Box(1, 0, 0, 3, 4),))
        points = losses_of(one, torch.zeros(12, 2, dtype=DOUBLE))[2]
        assert points.pixels.tolist() == [0, 4, 8, 0, 1, 2, 3]

    @each("score", ["probability", "logit"])
    @each("size", [(16, 24), (13, 18)])
    def test_equals_the_dense_version(self, score: str, size: tuple[int, int]) -> None:
        boxes = (Box(2, 1, 2, 9, 12), Box(1, 5.5, 7, 30, 18), Box(1, 3, 3, 4, 5))
        one = problem(GridReadout(size), boxes=boxes, num_labels=3)
        logits, hidden = noise(6, 3).requires_grad_(), noise(6, 4, seed=1).requires_grad_()
        windows = windows_of(one)
        points = windows.pick(logits, A2gnnConfig(point_score=score))  # type: ignore[arg-type]
        found = [values[0] for values in box_losses(A2gnnBatch([one]), windows, points, Output(hidden, logits))]
        pixels = dense.pixel_matrix((2, 3), 8)[: size[0], : size[1]]
        nothing, none = np.full(size, 255), torch.zeros(6, 6, dtype=DOUBLE)
        terms = dense.a2gnn_terms(hidden, logits, pixels, nothing, one.usable_boxes, none, score=score)
        expected = [terms["points"], terms["pull"]]
        assert_exact(found, expected)
        slopes = [torch.autograd.grad(sum(values), [logits, hidden]) for values in (found, expected)]  # type: ignore[arg-type]
        assert_exact(*slopes)

    def test_several_images_do_not_mix(self) -> None:
        readouts, boxes = (
            [GridReadout((9, 9)), GridReadout((8, 20)), GridReadout((8, 8))],
            [Box(1, 1, 1, 5, 8), Box(1, 0, 0, 7, 19)],
        )
        problems = [problem(r, boxes=(b,)) for r, b in zip(readouts, boxes, strict=False)] + [problem(readouts[2])]
        logits, hidden = noise(8, 2), noise(8, 3, seed=1)
        windows = windows_of(*problems)
        found = box_losses(A2gnnBatch(problems), windows, windows.pick(logits, EXACT), Output(hidden, logits))
        parts = zip(problems, logits.split([4, 3, 1]), hidden.split([4, 3, 1]), strict=True)
        alone = [losses_of(p, own, h)[:2] if p.boxes else (0, 0) for p, own, h in parts]
        assert_exact(torch.stack(found, 1), torch.tensor(alone, dtype=DOUBLE))

    @pytest.mark.parametrize("box", [Box(1, 2, 0, 3, 9), Box(1, 0, 4, 9, 5), Box(1, 3, 3, 4, 4)])
    def test_thin_boxes(self, box: Box) -> None:
        # a2gnn.md, section 8: n = h + w.
        one = problem(GridReadout((9, 9)), boxes=(box,))
        points = losses_of(one, noise(4, 2))[2]
        assert len(points.pixels) == (box.bottom - box.top) + (box.right - box.left)

    def test_boxes_end_with_the_image(self) -> None:
        # a2gnn.md, section 4, 20: on the unpadded image; those without pixels are left out.
        boxes = (Box(1, 5, 5, 99, 99), Box(1, 20, 0, 30, 5), Box(1, 3, 3, 3, 8), Box(4, 0, 0, 5, 5))
        one = problem(GridReadout((9, 13)), boxes=boxes)
        assert one.usable_boxes == [(1, slice(5, 9), slice(5, 13))]
        assert any("3 of 4 boxes" in line for line in one.warnings)
        assert build_windows([problem(GridReadout((9, 13)))], DOUBLE) is None

    def test_contested_pixels(self) -> None:
        # a2gnn.md, section 8: boxes of two classes may want the same pixel.
        boxes = (Box(1, 0, 0, 1, 2), Box(2, 0, 1, 1, 3))
        one = problem(GridReadout((1, 3), 1), boxes=boxes, num_labels=3)
        logits = torch.zeros(3, 3, dtype=DOUBLE)
        assert losses_of(one, logits)[2].pixels.tolist() == [0, 0, 1, 2, 2, 3]  # pixel 1 is 1 and 2 here
        assert losses_of(one, logits, contested="dropped")[2].pixels.tolist() == [0, 0, 3]
        same = problem(GridReadout((1, 3), 1), boxes=(Box(1, 0, 0, 1, 2), Box(1, 0, 1, 1, 3)))
        assert len(losses_of(same, torch.zeros(3, 2, dtype=DOUBLE), contested="dropped")[2].pixels) == 6

    def test_rows_without_evidence(self) -> None:
        # a2gnn.md, section 8: an object that fills the left half of its box.
        one = problem(GridReadout((4, 4), 1), boxes=(Box(1, 0, 0, 4, 4),))
        logits = torch.zeros(4, 4, 2, dtype=DOUBLE)
        logits[:, :2, 1], logits[:, 2:, 1] = 3, -6
        points = losses_of(one, logits.flatten(0, 1), least_evidence=0.5)[2]
        assert points.pixels.tolist() == [0, 4, 8, 12, 0, 1]

    def test_all_points_dropped(self) -> None:
        one = problem(GridReadout((1, 1), 1), boxes=(Box(1, 0, 0, 1, 1), Box(2, 0, 0, 1, 1)), num_labels=3)
        assert losses_of(one, torch.zeros(1, 3, dtype=DOUBLE), contested="dropped")[:2] == (0, 0)


class TestPull:
    def test_parallel_features(self) -> None:
        # a2gnn.md, oracle 15
        features = torch.tensor([[1, 2], [2, 4], [0.5, 1]], dtype=DOUBLE)
        assert float(pull(features, torch.zeros(3, dtype=torch.int64), 1)) == pytest.approx(0, abs=1e-12)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
    def test_equals_the_double_loop(self, count: int, channels: int, groups: int, seed: int) -> None:
        features = noise(count, channels, seed=seed).requires_grad_()
        group = torch.randint(groups, (count,), generator=torch.Generator().manual_seed(seed))
        found = pull(features, group, groups)
        pairs = [
            [
                1 - dense.cosine(a, b)
                for a, g in zip(features, group, strict=True)
                for b, k in zip(features, group, strict=True)
                if g == k == n
            ]
            for n in range(groups)
        ]
        expected = torch.stack([torch.stack(part).sum() if part else found.new_zeros(()) for part in pairs])
        assert_exact(found, expected)
        if count > 1 and channels > 1 and float(expected.min()) > 1e-6:
            assert_exact(*(torch.autograd.grad(v.sum(), features)[0] for v in (found, expected)))

    def test_zero_features(self) -> None:
        leaf = torch.tensor([[0.0, 0], [1, 0]], dtype=DOUBLE, requires_grad=True)
        found = pull(leaf, torch.tensor([0, 0]), 1)
        found.sum().backward()
        assert float(found) == 3 and bool(torch.isfinite(leaf.grad).all())  # type: ignore[arg-type]


class TestConsistency:
    def test_published_check_removes_nothing(self) -> None:
        # a2gnn.md, oracle 7 and section 4, 2: features behind a ReLU.
        features = noise(30, 6).abs()
        rows = GridReadout((40, 48)).at(torch.arange(40), torch.arange(40), DOUBLE)
        assert bool(agreement(features, features[:4], rows, "published").all())

    def test_centred_check(self) -> None:
        # a2gnn.md, oracle 7: m nodes of (1, 0), m of (0, 1), prototype (1, 0): exactly the second half goes.
        features = torch.tensor([[1, 0]] * 5 + [[0, 1]] * 5, dtype=DOUBLE)
        rows = RegionReadout(torch.arange(10)[None]).at(torch.zeros(10, dtype=torch.int64), torch.arange(10), DOUBLE)
        found = agreement(features, torch.tensor([[1, 0]], dtype=DOUBLE), rows, "centred")
        assert found[:, 0].tolist() == [True] * 5 + [False] * 5

    @pytest.mark.parametrize("kind", ["published", "centred"])
    def test_equals_cosines_of_interpolated_features(self, kind: Any) -> None:
        features, readout = noise(6, 4), GridReadout((16, 24))
        pixels = torch.cartesian_prod(torch.arange(16), torch.arange(24))
        prototypes = noise(3, 4, seed=1)
        found = agreement(features, prototypes, readout.at(*pixels.T, dtype=DOUBLE), kind)
        centre = features.mean(0) if kind == "centred" else 0
        enlarged = dense.pixel_matrix((2, 3), 8).flatten(0, 1) @ features - centre
        expected = [[float(dense.cosine(f, p)) > 0 for p in prototypes - centre] for f in enlarged]
        assert found.equal(torch.tensor(expected))

    def test_which_boxes_speak_for_a_seed(self) -> None:
        labels = np.array([[0, 1, 1, 2, 255]], np.uint8)
        boxes = (Box(1, 0, 0, 1, 2), Box(2, 0, 0, 1, 5), Box(1, 0, 2, 1, 5))
        own, foreign = inside_boxes(problem(GridReadout((1, 5), 1), labels, boxes, 3), 4)
        assert own.long().tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]]
        assert foreign.long().tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]

    @pytest.mark.parametrize(("overruled", "expected"), [("own", [1, 1, 1, 1, 1]), ("all", [0, 0, 1, 0, 1])])
    def test_seeds_of_other_classes_in_a_box(self, overruled: Any, expected: list[int]) -> None:
        # a2gnn.md, section 4, 3: equation 28 as printed voids them, nested objects too; its code leaves them.
        labels = np.array([[0, 1, 2, 1, 1, 255]], np.uint8)
        boxes = (Box(2, 0, 0, 1, 4), Box(1, 0, 4, 1, 5))
        one, other = (problem(GridReadout((1, 6), 1), labels, boxes, 3, image_id=name) for name in "ab")
        batch, windows = A2gnnBatch([one, other]), windows_of(one, other)
        hidden = noise(12, 4).abs()
        config = A2gnnConfig(consistency="published", overruled=overruled)
        points = windows.pick(noise(12, 3), config)
        kept = consistent_seeds(batch, windows, points, hidden, config)
        assert kept.long().tolist() == 2 * expected


def test_masks_are_kept_to_their_boxes() -> None:
    mask = LabelMap(np.array([[1, 1, 2, 0, 255, 2]], np.uint8))
    found = keep_to_boxes(mask, [Box(1, 0, 1, 1, 4), Box(2, 0, 5, 1, 6), Box(2, 0, 9, 1, 12)])
    assert found.labels.tolist() == [[0, 1, 0, 0, 255, 2]]
