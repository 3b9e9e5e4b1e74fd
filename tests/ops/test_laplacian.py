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
from weakseg.graph.feature_affinity import color_position_weights
from weakseg.ops.laplacian import dense_crf_energy, gated_crf_energy, laplacian_energy
from weakseg.ops.permutohedral import Lattice, build_lattice
from weakseg.ops.stencil import Offset, half_square, stencil_matrix

WINDOW = half_square(2)
Energy = Callable[[Tensor, tuple[Offset, ...], Tensor], Tensor]


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_probs(classes: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.softmax(3 * uniform(classes, height, width, seed=seed), 0)


def one_hot(classes: int, height: int, width: int) -> Tensor:
    labels = (classes * uniform(height, width)).long()
    return torch.nn.functional.one_hot(labels, classes).permute(2, 0, 1).double()


def graph_of(weights: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    return dense.stencil_matrix(weights, offsets, weights.new_zeros(weights.shape[1:]))


def numbers_kept(function: Callable[[], Tensor]) -> int:
    """Return how many numbers are kept for the way back."""
    kept = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = function()
    assert result.requires_grad
    return sum(kept.values())


class TestLaplacian:
    @pytest.mark.parametrize("log", [True, False])
    def test_two_cells(self, log: bool) -> None:
        # wsgcn.md, oracle 4: weight exp(-1/20), q = (.9, .1), (.1, .9), divided by two cells.
        probs = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]], dtype=torch.float64)
        weights = color_position_weights(
            torch.zeros(3, 1, 2, dtype=torch.float64), WINDOW, color_denominator=12, position_denominator=20
        )
        found = float(laplacian_energy(weights, WINDOW, probs.log() if log else probs)) / 2
        assert found == pytest.approx(4.592341 if log else 0.608787, abs=5e-7)

    def test_half_offsets_count_each_pair_once(self) -> None:
        weights, maps = uniform(12, 4, 5), uniform(2, 4, 5, seed=1)
        graph, columns = graph_of(weights, WINDOW), maps.flatten(1).T
        by_pairs = (graph * (columns[:, None] - columns).square().sum(-1)).sum()
        torch.testing.assert_close(laplacian_energy(weights, WINDOW, maps), by_pairs / 2)

    @settings(max_examples=15)
    @given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 7), st.integers(0, 99))
    def test_equals_the_dense_version(self, classes: int, height: int, width: int, seed: int) -> None:
        # wsgcn.md, oracle 7, value and both gradients
        weights = uniform(12, height, width, seed=seed).requires_grad_()
        maps = torch.randn(classes, height, width, dtype=torch.float64).requires_grad_()
        found = laplacian_energy(weights, WINDOW, maps)
        expected = dense.laplacian_energy(graph_of(weights, WINDOW), maps) + 0 * weights.sum()
        torch.testing.assert_close(found, expected)
        for ours, theirs in zip(
            torch.autograd.grad(3 * found, (weights, maps)),
            torch.autograd.grad(3 * expected, (weights, maps)),
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs)

    def test_laws(self) -> None:
        # wsgcn.md, oracle 7: 0 for constants, unchanged by them, gradient 2 L Q, L symmetric, PSD, rows sum to 0.
        weights, maps = uniform(12, 6, 7), uniform(3, 6, 7, seed=1).requires_grad_()
        constants = uniform(3, 1, 1, seed=2)
        assert float(laplacian_energy(weights, WINDOW, constants.expand(3, 6, 7))) == 0
        energy = laplacian_energy(weights, WINDOW, maps)
        torch.testing.assert_close(laplacian_energy(weights, WINDOW, maps + constants), energy)
        (gradient,) = torch.autograd.grad(energy, maps)
        graph = stencil_matrix(weights, WINDOW).to_dense()
        laplacian = torch.diag(graph.sum(1)) - graph
        torch.testing.assert_close(gradient.flatten(1).T, 2 * laplacian @ maps.detach().flatten(1).T)
        torch.testing.assert_close(laplacian, laplacian.T)
        assert float(torch.linalg.eigvalsh(laplacian).min()) > -1e-12
        assert float(energy.detach()) > 0

    def test_gradients_by_finite_differences(self) -> None:
        weights, maps = uniform(12, 3, 4).requires_grad_(), uniform(2, 3, 4, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(lambda w, q: laplacian_energy(w, WINDOW, q), (weights, maps))

    def test_memory_does_not_grow_with_offsets_times_classes(self) -> None:
        maps = uniform(21, 8, 9).requires_grad_()
        assert numbers_kept(lambda: laplacian_energy(uniform(12, 8, 9), WINDOW, maps)) == (12 + 21) * 72

    def test_permuted_classes(self) -> None:
        weights, maps = uniform(12, 4, 5), uniform(3, 4, 5, seed=1)
        torch.testing.assert_close(
            laplacian_energy(weights, WINDOW, maps[[2, 0, 1]]), laplacian_energy(weights, WINDOW, maps)
        )


class TestGatedCrf:
    def test_two_cells(self) -> None:
        # a2gnn.md, oracle 12: k = .598165, 1 - (.9 * .2 + .1 * .8) = .74, two ordered pairs over two cells.
        image = torch.zeros(3, 1, 2, dtype=torch.float64)
        image[0, 0, 1] = 0.1
        window = half_square(5)
        weights = color_position_weights(image, window, color_denominator=0.02, position_denominator=72)
        probs = torch.tensor([[[0.9, 0.2]], [[0.1, 0.8]]], dtype=torch.float64)
        assert float(gated_crf_energy(weights, window, probs)) == pytest.approx(0.442642, abs=5e-7)

    def test_equal_one_hot_labels(self) -> None:
        # a2gnn.md, oracle 12
        probs = torch.zeros(3, 4, 5, dtype=torch.float64)
        probs[1] = 1
        assert float(gated_crf_energy(uniform(12, 4, 5), WINDOW, probs)) == 0

    @pytest.mark.parametrize("classes", [2, 5])
    def test_uniform_probabilities(self, classes: int) -> None:
        # a2gnn.md, oracle 12: (1 - 1/C) sum k / N
        weights = uniform(12, 4, 5)
        found = gated_crf_energy(weights, WINDOW, torch.full((classes, 4, 5), 1 / classes, dtype=torch.float64))
        torch.testing.assert_close(found, (1 - 1 / classes) * graph_of(weights, WINDOW).sum() / 20)

    def test_different_one_hot_labels_cost_their_weight(self) -> None:
        weights = torch.full((1, 1, 2), 0.75, dtype=torch.float64)
        probs = torch.eye(2, dtype=torch.float64).reshape(2, 1, 2)
        assert float(gated_crf_energy(weights, ((0, 1),), probs)) == pytest.approx(0.75)

    def test_gradient_by_formula(self) -> None:
        # a2gnn.md, oracle 12: dL/dO_i = -(2/N) sum_j k_ij O_j
        weights, probs = uniform(12, 4, 5), random_probs(3, 4, 5).requires_grad_()
        (gradient,) = torch.autograd.grad(gated_crf_energy(weights, WINDOW, probs), probs)
        expected = -2 / 20 * graph_of(weights, WINDOW) @ probs.detach().flatten(1).T
        torch.testing.assert_close(gradient.flatten(1).T, expected)

    def test_equation_22_as_printed_has_no_gradient(self) -> None:
        # a2gnn.md, oracle 17: over all pairs of classes the sum is that of the kernel, whatever the logits are.
        logits = uniform(3, 4, 5).requires_grad_()
        graph, columns = graph_of(uniform(12, 4, 5, seed=1), WINDOW), torch.softmax(logits, 0).flatten(1).T
        printed = (graph * (columns @ torch.ones(3, 3, dtype=torch.float64) @ columns.T)).sum()
        torch.testing.assert_close(printed, graph.sum())
        (by_printed,) = torch.autograd.grad(printed, logits)
        (by_ours,) = torch.autograd.grad(gated_crf_energy(uniform(12, 4, 5), WINDOW, torch.softmax(logits, 0)), logits)
        assert float(by_printed.abs().max()) < 1e-14
        assert float(by_ours.abs().max()) > 1e-3

    @settings(max_examples=15)
    @given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
    def test_equals_the_dense_version(self, classes: int, height: int, width: int, seed: int) -> None:
        weights = uniform(12, height, width, seed=seed).requires_grad_()
        logits = uniform(classes, height, width, seed=seed + 1).requires_grad_()
        probs = torch.softmax(3 * logits, 0)
        found = gated_crf_energy(weights, WINDOW, probs)
        expected = dense.gated_crf_energy(graph_of(weights, WINDOW), probs) + 0 * weights.sum()
        torch.testing.assert_close(found, expected)
        assert float(found.detach()) >= -1e-15
        ours = torch.autograd.grad(found, (weights, logits), retain_graph=True)
        for one, other in zip(ours, torch.autograd.grad(expected, (weights, logits)), strict=True):
            torch.testing.assert_close(one, other)

    def test_gradients_by_finite_differences(self) -> None:
        weights, probs = uniform(12, 3, 3).requires_grad_(), random_probs(2, 3, 3).requires_grad_()
        assert torch.autograd.gradcheck(lambda w, p: gated_crf_energy(w, WINDOW, p), (weights, probs))

    def test_never_negative_in_single_precision(self) -> None:
        probs = (0.999999 * one_hot(21, 9, 9) + 1e-6 / 21).float()
        flat = probs[:, :1, :1].expand(21, 9, 9).contiguous()
        assert float(gated_crf_energy(uniform(12, 9, 9).float(), WINDOW, flat)) >= 0


class TestBothStencilEnergies:
    @pytest.mark.parametrize("energy", [laplacian_energy, gated_crf_energy])
    def test_several_images(self, energy: Energy) -> None:
        weights = torch.stack([uniform(12, 4, 5, seed=seed) for seed in range(3)]).requires_grad_()
        probs = torch.stack([random_probs(2, 4, 5, seed=seed) for seed in range(3)]).requires_grad_()
        together = energy(weights, WINDOW, probs)
        alone = torch.stack([energy(w, WINDOW, p) for w, p in zip(weights, probs, strict=True)])
        torch.testing.assert_close(together, alone)
        scale = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
        ours = torch.autograd.grad((scale * together).sum(), (weights, probs))
        for one, other in zip(ours, torch.autograd.grad((scale * alone).sum(), (weights, probs)), strict=True):
            torch.testing.assert_close(one, other)

    @pytest.mark.parametrize("energy", [laplacian_energy, gated_crf_energy])
    def test_several_maps_on_one_graph(self, energy: Energy) -> None:
        weights = uniform(12, 4, 5).requires_grad_()
        probs = torch.stack([random_probs(2, 4, 5, seed=seed) for seed in range(3)])
        together = energy(weights, WINDOW, probs)
        alone = torch.stack([energy(weights, WINDOW, p) for p in probs])
        torch.testing.assert_close(together, alone)
        (one,) = torch.autograd.grad(together.sum(), weights)
        (other,) = torch.autograd.grad(alone.sum(), weights)
        torch.testing.assert_close(one, other)

    @pytest.mark.parametrize("energy", [laplacian_energy, gated_crf_energy])
    def test_a_single_cell_and_no_offsets_give_zero(self, energy: Energy) -> None:
        # wsgcn.md, oracle 7
        probs = random_probs(3, 1, 1).requires_grad_()
        found = energy(uniform(12, 1, 1), WINDOW, probs)
        found.backward()
        assert float(found.detach()) == 0
        assert probs.grad is not None
        assert float(probs.grad.abs().max()) == 0
        assert float(energy(uniform(0, 3, 3), (), random_probs(3, 3, 3))) == 0

    @each("energy", [laplacian_energy, gated_crf_energy])
    @each("size", [(1, 2), (2, 1), (2, 2), (1, 6)])
    def test_grids_smaller_than_the_window(self, energy: Energy, size: tuple[int, int]) -> None:
        weights, probs = uniform(60, *size), random_probs(2, *size)
        reference = dense.laplacian_energy if energy is laplacian_energy else dense.gated_crf_energy
        expected = reference(graph_of(weights, half_square(5)), probs)
        torch.testing.assert_close(energy(weights, half_square(5), probs), expected)

    @pytest.mark.parametrize("energy", [laplacian_energy, gated_crf_energy])
    def test_mirrored_images_have_the_same_energy(self, energy: Energy) -> None:
        image, probs = uniform(3, 6, 5), random_probs(3, 6, 5)

        def of(image: Tensor, probs: Tensor) -> Tensor:
            return energy(
                color_position_weights(image, WINDOW, color_denominator=0.5, position_denominator=9), WINDOW, probs
            )

        torch.testing.assert_close(of(image.flip(-1), probs.flip(-1)), of(image, probs))
        torch.testing.assert_close(of(image.mT, probs.mT), of(image, probs))

    @pytest.mark.parametrize("energy", [laplacian_energy, gated_crf_energy])
    def test_inputs_are_left_alone(self, energy: Energy) -> None:
        weights, probs = uniform(12, 4, 5).requires_grad_(), random_probs(2, 4, 5).requires_grad_()
        copies = weights.detach().clone(), probs.detach().clone()
        energy(weights, WINDOW, probs).backward()
        torch.testing.assert_close((weights.detach(), probs.detach()), copies, rtol=0, atol=0)

    @each("energy", [laplacian_energy, gated_crf_energy])
    @each("bad", [-0.1, torch.nan, torch.inf])
    def test_weights_that_are_none_are_refused(self, energy: Energy, bad: float) -> None:
        weights = uniform(12, 3, 3)
        weights[2, 1, 1] = bad
        with pytest.raises(ShapeError, match="weights"):
            energy(weights, WINDOW, random_probs(2, 3, 3))

    @pytest.mark.parametrize("energy", [laplacian_energy, gated_crf_energy])
    def test_non_finite_maps_are_refused(self, energy: Energy) -> None:
        with pytest.raises(ShapeError, match="maps"):
            energy(uniform(12, 3, 3), WINDOW, torch.full((2, 3, 3), -torch.inf, dtype=torch.float64))

    @each(
        ("weights", "maps"),
        [((12, 3), (2, 3, 3)), ((11, 3, 3), (2, 3, 3)), ((12, 3, 4), (2, 3, 3)), ((12, 3, 3), (3, 3)),
         ((2, 12, 3, 3), (2, 3, 3)), ((2, 12, 3, 3), (3, 2, 3, 3))],
    )  # fmt: skip
    def test_shapes_that_do_not_fit_are_refused(self, weights: tuple[int, ...], maps: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match="weights"):
            laplacian_energy(uniform(*weights), WINDOW, uniform(*maps))


def lattice_of(*images: Tensor, sigma_px: float = 4, sigma_rgb: float = 0.3) -> Lattice:
    """Return one lattice of ``(3, h, w)`` images that do not meet: an added feature sets them 1000 widths apart."""
    features = []
    for number, image in enumerate(images):
        rows, columns = torch.meshgrid(*(torch.arange(n).double() for n in image.shape[1:]), indexing="ij")
        apart = torch.full_like(rows, 1000.0 * number)
        features.append(
            torch.stack([columns / sigma_px, rows / sigma_px, *(image / sigma_rgb), apart], -1).flatten(0, 1)
        )
    return build_lattice(torch.cat(features))


def kernel_of(lattice: Lattice, points: int) -> Tensor:
    return lattice.filter(torch.eye(points, dtype=torch.float64))


class TestDenseCrf:
    def test_value_and_gradient_by_formula(self) -> None:
        # a2gnn.md, 2.12: -(1/B) sum_c S_c^T A S_c and -(2/B) A S, here for the lattice's own A.
        lattice, probs = lattice_of(uniform(3, 4, 5)), random_probs(3, 4, 5).requires_grad_()
        kernel, columns = kernel_of(lattice, 20), probs.detach().flatten(1).T
        energy = dense_crf_energy(lattice, probs)
        torch.testing.assert_close(energy.detach(), -torch.trace(columns.T @ kernel @ columns))
        (gradient,) = torch.autograd.grad(5 * energy, probs)
        torch.testing.assert_close(gradient.flatten(1).T, -10 * kernel @ columns)

    def test_gradient_by_finite_differences(self) -> None:
        lattice, probs = lattice_of(uniform(3, 3, 4)), random_probs(2, 3, 4).requires_grad_()
        assert torch.autograd.gradcheck(lambda p: dense_crf_energy(lattice, p), (probs,))

    def test_near_the_exact_kernel_but_for_its_scale(self) -> None:
        # The lattice sends about half of the Gaussian's sum; labels are ranked alike.
        image = torch.nn.functional.interpolate(uniform(1, 3, 3, 3), (12, 14), mode="bilinear")[0]
        rgb = torch.round(255 * image.permute(1, 2, 0)).to(torch.uint8)
        exact = dense.gaussian_kernel(dense.bilateral_features(rgb, 4, 0.3 * 255))
        labels = [random_probs(3, 12, 14), one_hot(3, 12, 14), torch.zeros(3, 12, 14, dtype=torch.float64)]
        labels[2][0, :6], labels[2][1, 6:] = 1, 1
        ratios = []
        for probs in labels:
            columns = probs.flatten(1).T
            expected = -(columns * (exact @ columns)).sum()
            ratios.append(float(dense_crf_energy(lattice_of(image), probs) / expected))
        assert max(ratios) < 1.1 * min(ratios)
        assert 0.4 < min(ratios) < 0.7

    def test_constant_labels_are_the_minimum(self) -> None:
        lattice = lattice_of(uniform(3, 5, 5))
        constant = torch.zeros(3, 5, 5, dtype=torch.float64)
        constant[0] = 1
        lowest = dense_crf_energy(lattice, constant)
        torch.testing.assert_close(lowest, -kernel_of(lattice, 25).sum())
        for probs in (one_hot(3, 5, 5), random_probs(3, 5, 5)):
            assert float(lowest) < float(dense_crf_energy(lattice, probs)) <= 0

    def test_same_as_potts_up_to_constant_kernel_and_own_pairs(self) -> None:
        # sum_ij k (1 - p_i.p_j) = sum k + energy, the diagonal included.
        lattice, probs = lattice_of(uniform(3, 3, 4)), random_probs(2, 3, 4)
        kernel = kernel_of(lattice, 12)
        potts = 12 * dense.gated_crf_energy(kernel, probs)
        torch.testing.assert_close(kernel.sum() + dense_crf_energy(lattice, probs), potts)

    def test_several_images_are_averaged(self) -> None:
        first, second = uniform(3, 3, 4), uniform(3, 3, 4, seed=1)
        probs = torch.stack([random_probs(2, 3, 4), random_probs(2, 3, 4, seed=1)]).requires_grad_()
        together = dense_crf_energy(lattice_of(first, second), probs)
        kernel = kernel_of(lattice_of(first, second), 24)
        assert float(kernel[:12, 12:].abs().max()) == 0
        blocks = kernel[:12, :12], kernel[12:, 12:]
        columns = [p.detach().flatten(1).T for p in probs]
        expected = [-torch.trace(c.T @ k @ c) for c, k in zip(columns, blocks, strict=True)]
        torch.testing.assert_close(together.detach(), torch.stack(expected).mean())
        (gradient,) = torch.autograd.grad(together, probs)
        by_formula = torch.stack([-(k @ c).T.reshape(2, 3, 4) for c, k in zip(columns, blocks, strict=True)])
        torch.testing.assert_close(gradient, by_formula)

    def test_masked_pixels_do_not_count(self) -> None:
        image, probs, valid = uniform(3, 4, 5), random_probs(2, 4, 5), (uniform(4, 5) > 0.4).double()
        kernel = kernel_of(lattice_of(image), 20)[valid.flatten() > 0][:, valid.flatten() > 0]
        columns = probs.flatten(1).T[valid.flatten() > 0]
        found = dense_crf_energy(lattice_of(image), probs * valid)
        torch.testing.assert_close(found, -torch.trace(columns.T @ kernel @ columns))

    def test_a_single_pixel(self) -> None:
        lattice, probs = lattice_of(uniform(3, 1, 1)), random_probs(3, 1, 1)
        own = float(kernel_of(lattice, 1))
        assert own > 0
        assert float(dense_crf_energy(lattice, probs)) == pytest.approx(-own * float(probs.square().sum()))

    @pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5), (2, 2, 4, 5)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match="probs"):
            dense_crf_energy(lattice_of(uniform(3, 4, 5)), uniform(*shape))

    def test_non_finite_probabilities_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="probs"):
            dense_crf_energy(lattice_of(uniform(3, 2, 2)), torch.full((2, 2, 2), math.nan, dtype=torch.float64))
