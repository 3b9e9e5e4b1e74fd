import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from weakseg.errors import ShapeError
from weakseg.nn.classifiers.pcm import PixelCorrelation, correlation_input, pixel_correlation, stretched

seeds = st.integers(0, 99)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestPixelCorrelation:
    def test_by_hand(self) -> None:
        # seam.md, oracle 1
        theta = torch.tensor([[1.0, 1, 0], [0, 0, 1]], dtype=torch.float64).reshape(1, 2, 1, 3)
        maps = torch.tensor([1.0, 0, 0.5], dtype=torch.float64).reshape(1, 1, 1, 3)
        assert pixel_correlation(theta, maps).flatten().tolist() == pytest.approx([0.5] * 3, abs=1e-5)
        ones = pixel_correlation(theta, torch.ones_like(maps))  # sums of columns
        assert ones.flatten().tolist() == pytest.approx([1] * 3, abs=2e-5)

    def test_extremes(self) -> None:
        # seam.md, oracle 2
        maps = numbers(1, 3, 2, 3).abs()
        same = pixel_correlation(torch.ones(1, 4, 2, 3).double(), maps)
        torch.testing.assert_close(same, maps.mean((2, 3), keepdim=True).expand_as(maps), atol=1e-4, rtol=1e-4)
        apart = pixel_correlation(torch.eye(6).double().reshape(1, 6, 2, 3), maps)
        torch.testing.assert_close(apart, maps, atol=1e-4, rtol=1e-4)

    @settings(max_examples=20)
    @given(seeds)
    def test_laws(self, seed: int) -> None:
        # seam.md, oracles 2 and 3
        theta, maps = numbers(2, 5, 3, 4, seed=seed), numbers(2, 3, 3, 4, seed=seed + 1).abs()
        found = pixel_correlation(theta, maps)
        assert (found >= maps.amin((2, 3), keepdim=True) * (1 - 1e-4)).all()
        assert (found <= maps.amax((2, 3), keepdim=True)).all()
        scaled = pixel_correlation(100 * theta * (1 + numbers(2, 1, 3, 4, seed=seed).abs()), maps)
        torch.testing.assert_close(scaled, found, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(pixel_correlation(-theta, maps), found)
        order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
        turned = [values.flatten(2)[..., order].reshape(values.shape) for values in (theta, maps, found)]
        torch.testing.assert_close(pixel_correlation(turned[0], turned[1]), turned[2])

    @pytest.mark.parametrize("block", [0, 1, 5, 12, 100])
    def test_blocks_equal_the_dense_version(self, block: int) -> None:
        # seam.md, oracle 10
        theta, maps = numbers(2, 5, 3, 4), numbers(2, 3, 3, 4, seed=1)
        expected = torch.stack([dense.pixel_correlation(t, m) for t, m in zip(theta, maps, strict=True)])
        torch.testing.assert_close(pixel_correlation(theta, maps, block=block), expected, rtol=0, atol=1e-10)

    def test_gradient(self) -> None:
        inputs = numbers(1, 3, 2, 3).requires_grad_(), numbers(1, 2, 2, 3, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(lambda t, m: pixel_correlation(t, m, block=4), inputs)

    def test_no_feature_anywhere(self) -> None:
        theta = torch.zeros(1, 2, 2, 2, requires_grad=True)
        found = pixel_correlation(theta, torch.ones(1, 1, 2, 2))
        (slope,) = torch.autograd.grad(found.sum(), theta)
        assert float(found.detach().abs().max()) == 0 and torch.isfinite(slope).all()

    def test_other_grids_are_refused(self) -> None:
        with pytest.raises(ShapeError, match=r"theta is \(2, 3\) but maps is \(3, 2\)"):
            pixel_correlation(numbers(1, 4, 2, 3), numbers(1, 1, 3, 2))


class TestCorrelationInput:
    @settings(max_examples=20)
    @given(seeds)
    def test_the_best_class_takes_all(self, seed: int) -> None:
        # seam.md, oracle 8
        evidence = numbers(2, 4, 3, 5, seed=seed)
        found = correlation_input(evidence)
        assert found.shape == (2, 5, 3, 5) and float(found.min()) >= 0 and float(found.max()) <= 1
        assert int((found[:, 1:] > 0).sum(1).max()) <= 1
        torch.testing.assert_close(found[:, 0] + found[:, 1:].amax(1), torch.ones(2, 3, 5).double())

    def test_by_hand(self) -> None:
        evidence = torch.tensor([[[[-1.0, 2, 4]], [[0.0, 3, 1]]]], dtype=torch.float64)
        # 0, 1/2, 1 against 0, 1, 1/3
        expected = torch.tensor([[[[1.0, 0, 0]], [[0.0, 0, 1]], [[0.0, 1, 0]]]], dtype=torch.float64)
        torch.testing.assert_close(correlation_input(evidence), expected, rtol=0, atol=1e-4)

    def test_absent_classes_steal_nothing_when_tags_are_given(self) -> None:
        # seam.md, section 4, row 7: an absent class with a tiny response is stretched to 1.
        evidence = torch.tensor([[[[2.0, 4]], [[1e-3, 0]]]], dtype=torch.float64)
        assert float(correlation_input(evidence)[0, 1, 0, 0]) == 0
        found = correlation_input(evidence, torch.tensor([[True, False]]))
        assert float(found[0, 1, 0, 0]) == pytest.approx(0.5, abs=1e-4) and float(found[0, 2].max()) == 0
        assert found.allclose(torch.cat([correlation_input(evidence[:, :1]), torch.zeros(1, 1, 1, 2)], 1))

    def test_no_response_and_no_derivative(self) -> None:
        evidence = torch.full((1, 2, 2, 2), -1.0, requires_grad=True)
        found = correlation_input(evidence)
        assert not found.requires_grad and float(found[:, 0].min()) == 1 and float(found[:, 1:].max()) == 0


class TestModule:
    def test_initial_weights_and_shapes(self) -> None:
        # seam.md, 2.1
        module = PixelCorrelation(512, 1024)
        shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        assert shapes == {
            "fine.weight": (64, 512, 1, 1),
            "coarse.weight": (128, 1024, 1, 1),
            "theta.weight": (192, 195, 1, 1),
        }
        bound = 4 * (6 / (192 + 195)) ** 0.5
        assert float(module.theta.weight.detach().abs().max()) == pytest.approx(bound, rel=1e-3)

    def test_levels_get_no_derivative(self) -> None:
        module = PixelCorrelation(4, 6)
        fine, coarse = torch.randn(1, 4, 6, 8, requires_grad=True), torch.randn(1, 6, 3, 4, requires_grad=True)
        found = module(torch.randn(1, 3, 48, 64), fine, coarse, torch.rand(1, 2, 6, 8))
        found.square().sum().backward()
        assert fine.grad is None and coarse.grad is None
        assert all(parameter.grad is not None for parameter in module.parameters())

    def test_corners_are_aligned(self) -> None:
        maps = torch.arange(4.0).reshape(1, 1, 1, 4).expand(1, 1, 2, 4)
        assert stretched(maps, (2, 7))[0, 0, 0].tolist() == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3])
        assert stretched(maps, (2, 4)) is maps
