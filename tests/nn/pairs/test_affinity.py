import math

import pytest
import torch
from contracts import assert_grouped
from torch import Tensor, nn
from torch.nn import functional as F

from tiny_transformers import DINOV2, enter
from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.pairs.affinity import AffinityHead, AffinityNet
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.training.optimizers import freeze_levels, part_factors


def build(name: str = "resnet10t", stride: int = 16) -> AffinityNet:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        enter(patch)
        return AffinityNet(build_backbone(BackboneConfig(name, stride, "none")))


def batch(rows: int, columns: int, *, count: int = 1) -> Tensor:
    return 255 * torch.rand(count, 3, rows, columns, generator=torch.Generator().manual_seed(0))


def frozen(model: AffinityNet) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


class TestFeatures:
    @pytest.mark.parametrize(
        ("name", "stride"),
        [
            ("resnet10t", 8),
            ("resnet10t", 32),
            ("efficientnet_lite0", 16),
            ("convnext_atto", 32),
            ("test_vit", 16),
            (DINOV2, 14),
        ],
    )
    @pytest.mark.parametrize("size", [(33, 50), (96, 64), (1, 1)])
    def test_one_cell_for_eight_pixels(self, name: str, stride: int, size: tuple[int, int]) -> None:
        with torch.no_grad():
            features = build(name, stride).eval()(batch(*size, count=2))
        assert features.shape == (2, 448, math.ceil(size[0] / 8), math.ceil(size[1] / 8))
        assert features.min() >= -1  # ELU
        assert torch.isfinite(features).all()

    def test_the_head_step_by_step(self) -> None:
        # psa.md, 2.1; at stride 32 the deeper levels are two and four times as coarse as the grid.
        model = build("resnet10t", 32).eval()
        images = batch(64, 96)
        with torch.no_grad():
            levels = model.backbone.levels(images)[-3:]
            parts = [F.conv2d(x, tap.weight) for x, tap in zip(levels, model.head.taps, strict=True)]  # type: ignore[arg-type]
            grown = [F.interpolate(x, (8, 12), mode="bilinear", align_corners=False) for x in parts]
            expected = F.elu(F.conv2d(torch.cat([F.elu(x) for x in grown], 1), model.head.last.weight))
            torch.testing.assert_close(model(images), expected)

    def test_images_of_a_batch_do_not_touch_each_other(self) -> None:
        model, images = build().train(), batch(48, 56, count=3)
        with torch.no_grad():
            torch.testing.assert_close(model(images)[1:2], model(images[1:2]), rtol=1e-4, atol=1e-5)


class TestHead:
    def test_no_biases(self) -> None:
        assert [name for name, _ in AffinityHead([8, 16, 32]).named_parameters()] == [
            *(f"taps.{index}.weight" for index in range(3)),
            "last.weight",
        ]

    def test_group_norms(self) -> None:
        # psa.md, 2.1: 8, 16 and 32 groups; rates as of pretrained layers where the head's are ten times theirs.
        model = AffinityNet(build_backbone(BackboneConfig("resnet10t", 8, "none")), norms=True)
        assert [norm.num_groups for norm in model.head.norms] == [8, 16, 32]
        assert part_factors(model, FitConfig(head_lr_factor=10.0))["head.norms."] == 1.0
        levels = [torch.randn(2, norm.num_channels, 5, 4) for norm in model.head.norms]
        with torch.no_grad():
            for tap, norm in zip(model.head.taps, model.head.norms, strict=True):
                tap.weight = nn.Parameter(torch.eye(norm.num_channels)[:, :, None, None])
            expected = []
            for groups, level in zip((8, 16, 32), levels, strict=True):
                parts = level.double().reshape(2, groups, -1)
                centred = parts - parts.mean(2, keepdim=True)
                scaled = centred / (centred.square().mean(2, keepdim=True) + 1e-5).sqrt()
                expected.append(F.elu(scaled.reshape(level.shape)))
            last = F.elu(F.conv2d(torch.cat(expected, 1), model.head.last.weight.double()))
            torch.testing.assert_close(model.head(levels, lambda maps, _: maps).double(), last, rtol=1e-4, atol=1e-5)

    def test_initial_weights(self) -> None:
        # He: deviation sqrt(2 / inputs). Xavier with gain 4: uniform to 4 sqrt(6 / (448 + 448)).
        torch.manual_seed(0)
        head = AffinityHead([512, 1024, 2048])
        for tap, inputs, width in zip(head.taps, (512, 1024, 2048), (64, 128, 256), strict=True):
            assert tap.weight.shape == (width, inputs, 1, 1)
            assert float(tap.weight.detach().std()) == pytest.approx(math.sqrt(2 / inputs), rel=0.02)
        bound = 4 * math.sqrt(6 / 896)
        assert float(head.last.weight.detach().abs().max()) == pytest.approx(bound, rel=1e-3)
        assert float(head.last.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)


class TestWhatIsTrained:
    def test_the_first_stage_is_frozen(self) -> None:
        # First convolution and its norm; ``act1`` of stride 2 is the finest level of timm's ResNets.
        first = ("backbone.model.conv_stem.", "backbone.model.bn1.", "backbone.model.blocks.0.")
        parts = {"resnet10t": ("backbone.model.conv1.", "backbone.model.bn1."), "efficientnet_lite0": first}
        for name, start in parts.items():
            model = build(name)
            freeze_levels(model, AffinityConfig().fit.frozen_levels)
            assert frozen(model) == {name for name, _ in model.named_parameters() if name.startswith(start)} != set()

    def test_all_else_is_trained(self) -> None:
        model = build().train()
        model(batch(64, 64, count=2)).square().mean().backward()
        assert frozen(model) == {name for name, p in model.named_parameters() if p.grad is None}

    def test_a_training_step_leaves_the_statistics(self) -> None:
        model = build().train()
        before = {name: value.clone() for name, value in model.named_buffers()}
        model(batch(64, 64, count=2)).square().mean().backward()
        torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1).step()
        torch.testing.assert_close(dict(model.named_buffers()), before, rtol=0, atol=0)


def test_a_backbone_of_two_levels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backbone, "level_shapes", lambda self: [(8, 8), (16, 16)])
    with pytest.raises(ConfigError, match=r"affinity\.backbone: has 2 levels, 3 are needed"):
        build()


def test_every_parameter_is_in_one_group() -> None:
    assert_grouped(build())
