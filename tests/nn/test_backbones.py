import math
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import Backbone, build_backbone, embedded_backbone, embedded_state, load_embedded
from weakseg.ops.resample import Cells
from weakseg.settings.backbone import EMBEDDED, BackboneConfig

STRIDES = (8, 16, 32)
# Symmetric padding and ceil by itself; whole cells only, hence padded; a hybrid of convolution and attention.
FAMILIES = (EMBEDDED, "resnet10t", "convnext_atto", "mobilevit_xxs")


def batch(rows: int, columns: int, *, count: int = 1, seed: int = 0) -> torch.Tensor:
    return 255 * torch.rand(count, 3, rows, columns, generator=torch.Generator().manual_seed(seed))


class TestFeatureMaps:
    @pytest.mark.parametrize("stride", STRIDES)
    @pytest.mark.parametrize("name", FAMILIES)
    def test_one_cell_for_each_stride_begun(self, name: str, stride: int) -> None:
        # cam.md, 2.1: each step of stride 2 maps n to ceil(n / 2), hence h = ceil(H / stride).
        backbone = build_backbone(BackboneConfig(name, stride, "none")).eval()
        assert backbone.stride == stride
        for rows, columns in ((1, 1), (stride, stride + 1), (33, 5), (95, 161)):
            with torch.no_grad():
                features = backbone(batch(rows, columns))
            expected = (1, backbone.channels, math.ceil(rows / stride), math.ceil(columns / stride))
            assert features.shape == expected, (rows, columns)

    @pytest.mark.parametrize(("side", "cells"), [(321, 41), (240, 30), (160, 20)])
    def test_card_sizes_at_stride_8(self, side: int, cells: int) -> None:
        # segmentation-stage.md, oracle 1, where the ceil-mode pool makes 31 and 21 of 240 and 160; here ceil(n / 8).
        backbone = build_backbone(BackboneConfig("resnet10t", 8, "none")).eval()
        with torch.no_grad():
            assert backbone(batch(side, 8)).shape[-2:] == (cells, 1)

    def test_padding_is_the_mean_colour_and_leaves_full_cells_alone(self) -> None:
        backbone = build_backbone(BackboneConfig("convnext_atto", 32, "none")).eval()
        image = batch(40, 64)
        mean = 255 * backbone.mean.expand(1, 3, 24, 64)
        with torch.no_grad():
            torch.testing.assert_close(backbone(image), backbone(torch.cat([image, mean], dim=2)), rtol=1e-4, atol=1e-4)

    def test_images_are_normalised_inside(self) -> None:
        backbone = build_backbone(BackboneConfig("resnet10t", 32, "none")).eval()
        image = batch(64, 64)
        mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        with torch.no_grad():
            expected = backbone.model.forward_features((image / 255 - mean) / std)  # type: ignore[operator]
            torch.testing.assert_close(backbone(image), expected)

    def test_images_of_a_batch_do_not_touch_each_other(self) -> None:
        backbone = build_backbone(BackboneConfig("resnet10t", 16, "none")).train()
        images = batch(40, 56, count=3)
        with torch.no_grad():
            torch.testing.assert_close(backbone(images)[1:2], backbone(images[1:2]), rtol=1e-4, atol=1e-5)


def middle_of_influence(backbone: Backbone, side: int) -> tuple[int, float]:
    """Return the number of the middle cell, and the mean row and column of the pixels that it depends on."""
    images = (120 + 30 * torch.randn(1, 3, side, side)).requires_grad_()
    features = backbone(images)
    cell = features.shape[2] // 2
    (slope,) = torch.autograd.grad((features[0, :, cell, cell] * torch.randn(features.shape[1])).sum(), images)
    weight = slope[0].double().square().sum(0)
    place = torch.arange(side).double()
    return cell, float((weight.sum(0) + weight.sum(1)) @ place / (2 * weight.sum()))


class TestCells:
    @pytest.mark.parametrize(("name", "expected"), [(EMBEDDED, 0), ("resnet10t", 0), ("convnext_atto", 15.5)])
    def test_where_they_lie(self, name: str, expected: float) -> None:
        backbone = build_backbone(BackboneConfig(name, 32, "none"))
        assert backbone.cells() == Cells(expected, 32)
        assert backbone.cells(4) == Cells(1.5 if expected else 0, 4)

    @pytest.mark.parametrize(
        ("name", "stride", "side"),
        [("resnet18", 8, 129), ("resnet18", 16, 193), ("resnet18", 32, 257), ("convnext_atto", 32, 256)],
    )
    def test_that_is_what_they_depend_on(self, name: str, stride: int, side: int) -> None:
        torch.manual_seed(0)
        errors = []
        for _ in range(4):
            backbone = build_backbone(BackboneConfig(name, stride, "none")).eval()
            cell, place = middle_of_influence(backbone, side)
            errors.append(place - backbone.cells().first - stride * cell)
        assert abs(sum(errors) / 4) < 1.5


class TestEmbeddedWeights:
    def test_all_values_are_those_of_the_package(self) -> None:
        model = build_backbone(BackboneConfig()).model
        installed = list(embedded_state().values())
        assert len(installed) == len(model.state_dict()) + 2  # and the classifier
        for value, expected in zip(model.state_dict().values(), installed, strict=False):
            torch.testing.assert_close(value, expected, rtol=0, atol=0)

    def test_input_range_and_epsilon_are_those_of_their_training(self) -> None:
        backbone = build_backbone(BackboneConfig())
        torch.testing.assert_close(backbone.mean.flatten(), torch.full((3,), 0.498))
        torch.testing.assert_close(backbone.std.flatten(), torch.full((3,), 0.502))
        assert {m.eps for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}

    def test_stride_does_not_change_the_weights(self) -> None:
        states = [build_backbone(BackboneConfig(output_stride=stride)).state_dict() for stride in STRIDES]
        for state in states[1:]:
            torch.testing.assert_close(state, states[0], rtol=0, atol=0)

    def test_another_model_is_refused(self) -> None:
        with pytest.raises(CheckpointError, match="shapes differ from timm's efficientnet_lite0"):
            load_embedded(timm.create_model("resnet10t", num_classes=0))

    def test_random_weights_are_random(self) -> None:
        first, second = (build_backbone(BackboneConfig(weights="none")).state_dict() for _ in range(2))
        assert not torch.equal(first["model.conv_stem.weight"], second["model.conv_stem.weight"])


class TestFrozenStatistics:
    def test_batch_norm_keeps_its_statistics_in_a_training_step(self) -> None:
        # cam.md, oracle 13; segmentation-stage.md, oracle 5.
        backbone = build_backbone(BackboneConfig()).train()
        before = {name: value.clone() for name, value in backbone.named_buffers()}
        optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1)
        backbone(batch(64, 64, count=2)).square().mean().backward()
        optimizer.step()
        torch.testing.assert_close(dict(backbone.named_buffers()), before, rtol=0, atol=0)

    def test_the_rest_is_in_training_mode(self) -> None:
        backbone = build_backbone(BackboneConfig("mobilevit_xxs", 32, "none"))
        for mode in (True, False):
            modules = list(nn.ModuleList([backbone]).train(mode).modules())[2:]
            norms = [m for m in modules if isinstance(m, nn.modules.batchnorm._BatchNorm)]
            assert norms
            assert not any(m.training for m in norms)
            assert all(m.training == mode for m in modules if isinstance(m, nn.Dropout))

    def test_affine_parameters_are_trained(self) -> None:
        backbone = build_backbone(BackboneConfig("resnet10t", 32, "none")).train()
        backbone(batch(64, 64)).square().mean().backward()
        assert all(p.grad is not None and p.requires_grad for p in backbone.parameters())


class TestRefusals:
    @pytest.mark.parametrize("stride", [0, 4, 12, 64])
    def test_strides(self, stride: int) -> None:
        with pytest.raises(ConfigError, match=rf"backbone\.output_stride: 8, 16 or 32, got {stride}"):
            BackboneConfig(output_stride=stride)

    def test_weights(self) -> None:
        with pytest.raises(
            ConfigError, match=r"backbone\.weights: 'embedded', 'timm', 'file' or 'none', got 'imagenet'"
        ):
            BackboneConfig(weights="imagenet")

    def test_embedded_weights_of_another_model(self) -> None:
        with pytest.raises(ConfigError, match="'embedded' exists for 'efficientnet_lite0' alone; for 'resnet50'"):
            build_backbone(BackboneConfig("resnet50"))

    def test_unknown_model(self) -> None:
        with pytest.raises(ConfigError, match=r"backbone\.name: timm has no model 'resnet5'; timm\.list_models\(\)"):
            build_backbone(BackboneConfig("resnet5", weights="none"))

    @pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "mixer_s32_224"])
    def test_transformers_without_feature_map(self, name: str) -> None:
        with pytest.raises(ConfigError, match=f"'{name}' at stride 16 cannot be built"):
            build_backbone(BackboneConfig(name, weights="none"))

    @pytest.mark.parametrize("name", ["vgg11", "dla34"])
    def test_convolutional_models_of_fixed_stride(self, name: str) -> None:
        with pytest.raises(ConfigError, match=f"'{name}' at stride 8 cannot be built: it takes no output stride"):
            build_backbone(BackboneConfig(name, 8, "none"))

    @pytest.mark.parametrize(
        ("features", "got"),
        [
            (torch.zeros(1, 5, 192), r"\(1, 5, 192\)"),  # tokens
            (torch.zeros(1, 2, 2, 768), r"\(1, 2, 2, 768\)"),  # channels last
            (torch.zeros(1, 9, 4, 4), r"\(1, 9, 4, 4\)"),  # another stride
            ([torch.zeros(1, 9, 2, 2)], "list"),
        ],
    )
    def test_other_layouts(self, features: object, got: str, monkeypatch: pytest.MonkeyPatch) -> None:
        class Odd(nn.Module):
            def forward_features(self, images: torch.Tensor) -> object:
                return features

        monkeypatch.setattr(timm, "create_model", lambda *_, **__: Odd())
        with pytest.raises(ConfigError, match=rf"gives features {got}, expected \(1, C, 2, 2\)"):
            build_backbone(BackboneConfig("resnet10t", weights="none"))

    def test_weights_that_cannot_be_fetched(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(ConfigError, match=r"'resnet10t': timm cannot load its weights .* set backbone\.weights"):
            build_backbone(BackboneConfig("resnet10t", weights="timm"))


class TestEmbedded:
    @pytest.mark.parametrize("size", [(1, 1), (97, 130), (64, 33)])
    def test_equals_timm_without_importing_it(self, size: tuple[int, int]) -> None:
        ours, theirs = embedded_backbone(), build_backbone(BackboneConfig()).eval()
        with torch.no_grad():
            (found, levels), (expected, others) = (m.features_and_levels(batch(*size)) for m in (ours, theirs))
        assert found.equal(expected) and all(a.equal(b) for a, b in zip(levels, others, strict=True))
        assert ours.level_shapes() == theirs.level_shapes() and ours.cells() == theirs.cells()
        assert (ours.channels, ours.stride, ours.pads) == (theirs.channels, theirs.stride, theirs.pads)
