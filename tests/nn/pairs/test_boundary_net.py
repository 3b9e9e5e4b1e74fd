import math

import pytest
import torch
from contracts import assert_grouped
from torch import Tensor
from torch.nn import functional as F

from tiny_transformers import DINOV2, enter
from weakseg.nn.backbones import build_backbone
from weakseg.nn.pairs.boundary import BoundaryNet, DisplacementField
from weakseg.nn.pairs.branches import Branch, concatenated, pooled_to
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.training.optimizers import build_optimizer

# Levels of strides 2 to 16, also with a stem of their own; whole cells only; from stride 1 on; of one stride.
FAMILIES = {"efficientnet_lite0": 16, "resnet18": 32, "convnext_atto": 32, "vgg11": 32, "test_vit": 16, DINOV2: 14}
SIZES = ((64, 48), (33, 50), (1, 1), (7, 66), (35, 31))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> BoundaryNet:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        enter(patch)
        return BoundaryNet(build_backbone(BackboneConfig(request.param, FAMILIES[request.param], "none")))


@pytest.fixture
def small() -> BoundaryNet:
    torch.manual_seed(0)
    return BoundaryNet(build_backbone(BackboneConfig("resnet18", 16, "none")))


class TestBranch:
    @pytest.mark.parametrize("factor", [1, 2, 4])
    def test_norm_then_resizing_then_relu(self, factor: int) -> None:
        # irnet.md, 2.1: GroupNorm before upsampling, ReLU after it.
        branch, features = Branch(5, 8, 4), uniform(2, 5, 3, 4) - 0.5
        torch.nn.init.uniform_(branch.norm.bias)
        mixed = F.group_norm(F.conv2d(features, branch.conv.weight), 4, branch.norm.weight, branch.norm.bias)
        expected = F.interpolate(mixed, size=(3 * factor, 4 * factor), mode="bilinear").relu()
        torch.testing.assert_close(branch(features, factor), expected)
        other_order = F.interpolate(mixed.relu(), scale_factor=factor, mode="bilinear")
        assert factor == 1 or not torch.allclose(expected, other_order)

    def test_the_convolution_has_no_bias(self) -> None:
        assert {name for name, _ in Branch(3, 8, 4).named_parameters()} == {"conv.weight", "norm.weight", "norm.bias"}

    @pytest.mark.parametrize(("stride", "cells"), [(1, (9, 4)), (2, (17, 8)), (4, (33, 15)), (8, (33, 15))])
    def test_finer_levels_are_pooled_to_the_grid(self, stride: int, cells: tuple[int, int]) -> None:
        features = uniform(1, 2, 33, 15)
        pooled = pooled_to(features, stride, 4)
        assert pooled.shape[2:] == cells
        reach = {1: 4, 2: 2}.get(stride, 1)  # the first window reaches one before and after the first cell, twice
        assert pooled[0, 0, 0, 0] == features[0, 0, :reach, :reach].max()

    def test_maps_are_cut_at_the_right_and_below(self) -> None:
        one, other = uniform(1, 2, 5, 6), uniform(1, 3, 4, 9)
        expected = torch.cat([one[..., :4, :5], other[..., :4, :5]], dim=1)
        torch.testing.assert_close(concatenated([one, other], (4, 5)), expected, rtol=0, atol=0)


class TestBoundaryNet:
    @pytest.mark.parametrize("size", SIZES)
    def test_one_cell_for_four_pixels_begun(self, family: BoundaryNet, size: tuple[int, int]) -> None:
        with torch.no_grad():
            maps = family.eval()(255 * uniform(2, 3, *size))
        cells = (math.ceil(size[0] / 4), math.ceil(size[1] / 4))
        assert maps.logits.shape == (2, 1, *cells) and maps.field.shape == (2, 2, *cells)
        assert maps.features.shape == (2, len(family.feature_weights()), *cells)
        assert maps.features.min() >= 0
        assert all(torch.isfinite(found).all() for found in (maps.logits, maps.features, maps.field))

    def test_the_logit_is_the_sum_of_weighted_features_and_a_bias(self, family: BoundaryNet) -> None:
        torch.nn.init.constant_(family.head.last.bias, 0.3)
        with torch.no_grad():
            maps = family.eval()(255 * uniform(2, 3, 48, 40))
        weighted = maps.features * family.feature_weights()[:, None, None]
        torch.testing.assert_close(weighted.sum(1, keepdim=True) + 0.3, maps.logits, rtol=1e-4, atol=1e-4)

    def test_heads_alone_are_trained(self, family: BoundaryNet) -> None:
        maps = family.train()(255 * uniform(2, 3, 48, 64))
        (maps.logits.square().mean() + maps.field.square().mean()).backward()
        for name, parameter in family.named_parameters():
            frozen = name.startswith("backbone.")
            assert parameter.requires_grad != frozen and (parameter.grad is None) == frozen, name
        family.zero_grad(set_to_none=True)

    def test_boundary_and_displacement_do_not_share_a_branch(self, small: BoundaryNet) -> None:
        small(255 * uniform(1, 3, 48, 64)).logits.square().mean().backward()
        assert all(parameter.grad is None for parameter in small.field.parameters())

    def test_displacements_learn_ten_times_as_fast(self, small: BoundaryNet) -> None:
        # irnet.md, section 3: 0.1 and 1.0.
        groups = build_optimizer(small, FitConfig(lr=0.1, head_lr_factor=1.0)).param_groups
        factor = {id(parameter): group["factor"] for group in groups for parameter in group["params"]}
        trained = {name: factor[id(p)] for name, p in small.named_parameters() if p.requires_grad}
        assert {name.split(".")[0]: value for name, value in trained.items()} == {"head": 1.0, "field": 10.0}

    def test_training_keeps_the_statistics_of_the_backbone(self, small: BoundaryNet) -> None:
        before = {name: value.clone() for name, value in small.named_buffers()}
        small.train()(255 * uniform(2, 3, 32, 32))
        torch.testing.assert_close(dict(small.named_buffers()), before, rtol=0, atol=0)

    def test_images_of_a_batch_do_not_touch_each_other(self, small: BoundaryNet) -> None:
        images = 255 * uniform(3, 3, 40, 56)
        with torch.no_grad():
            together, alone = small.eval()(images), small(images[1:2])
        for name in ("logits", "features", "field"):
            torch.testing.assert_close(getattr(together, name)[1:2], getattr(alone, name), rtol=1e-3, atol=1e-4)


class TestDisplacementField:
    def test_the_mean_shift_counts_in_evaluation_only(self, small: BoundaryNet) -> None:
        images, shift = 255 * uniform(1, 3, 32, 48), torch.tensor([1.5, -2.0])
        with torch.no_grad():
            before = small.eval()(images).field
            small.field.mean_shift.copy_(shift)
            shifted, training = small(images).field, small.train()(images).field
        torch.testing.assert_close(shifted, before - shift[:, None, None])
        torch.testing.assert_close(training, before)

    def test_the_mean_shift_is_stored(self, small: BoundaryNet) -> None:
        assert "field.mean_shift" in small.state_dict()

    def test_widths_are_those_of_the_card(self) -> None:
        # irnet.md, 2.1: ResNet-50, whose last stage has no stride.
        field = DisplacementField([(64, 4), (256, 4), (512, 8), (1024, 16), (2048, 16)])
        branches = [*field.fine, *field.coarse, field.merge, field.join]
        found = [(b.conv.in_channels, b.conv.out_channels, b.norm.num_groups) for b in branches]  # type: ignore[union-attr]
        single = [(64, 64, 8), (256, 128, 16), (512, 256, 16), (1024, 256, 16), (2048, 256, 16)]
        assert found == [*single, (768, 256, 16), (448, 256, 16)]
        assert field.last.bias is None


def test_every_parameter_that_learns_is_in_one_group(small: BoundaryNet) -> None:
    assert_grouped(small)
