from contextlib import suppress

import pytest
import torch
from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.ops.resample import Cells
from weakseg.settings.backbone import EMBEDDED, BackboneConfig

STRIDES = (8, 16, 32)
# Symmetric padding and ceil by itself; whole cells only, hence padded; a hybrid of convolution and attention.
FAMILIES = (EMBEDDED, "resnet10t", "convnext_atto", "mobilevit_xxs")


def batch(rows: int, columns: int, *, count: int = 1, seed: int = 0) -> torch.Tensor:
    return 255 * torch.rand(count, 3, rows, columns, generator=torch.Generator().manual_seed(seed))


class TestFeatureMaps:
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


class TestFrozenStatistics:
    def test_the_rest_is_in_training_mode(self) -> None:
        backbone = build_backbone(BackboneConfig("mobilevit_xxs", 32, "none"))
        for mode in (True, False):
            modules = list(nn.ModuleList([backbone]).train(mode).modules())[2:]
            norms = [m for m in modules if isinstance(m, nn.modules.batchnorm._BatchNorm)]
            assert norms
            assert not any(m.training for m in norms)
            assert all(m.training == mode for m in modules if isinstance(m, nn.Dropout))


class TestLooksAtNothing:
    """Shapes, stages and what levels depend on are found with a black image, which must leave no trace."""

    @pytest.mark.parametrize("name", ["resnet50_pspnet_thin", "resnet38_eighth", "resnet10t"])
    def test_statistics_stay(self, name: str) -> None:
        backbone = build_backbone(BackboneConfig(name, 8, "none"))
        before = {key: value.clone() for key, value in backbone.state_dict().items()}
        backbone.level_shapes()
        with suppress(ConfigError):
            backbone.stage_of(1)
        backbone.freeze_finest(1)
        torch.testing.assert_close(dict(backbone.state_dict()), before, rtol=0, atol=0)

    def test_levels_that_nothing_is_made_of_cannot_be_followed(self) -> None:
        """There is no sixth one; and those of the wide ResNet-38 are activated copies of what goes on."""
        for name, stride, level in (("resnet10t", 32, 6), ("resnet38_eighth", 8, 1)):
            backbone = build_backbone(BackboneConfig(name, stride, "none"))
            with pytest.raises(ConfigError, match=f"has 5 levels, and none that a layer could follow at level {level}"):
                backbone.stage_of(level)


class TestRefusals:
    @pytest.mark.parametrize("stride", [0, 4, 12, 64])
    def test_strides(self, stride: int) -> None:
        with pytest.raises(ConfigError, match=rf"backbone\.output_stride: 8, 14, 16 or 32, got {stride}"):
            BackboneConfig(output_stride=stride)

    def test_weights(self) -> None:
        with pytest.raises(
            ConfigError, match=r"backbone\.weights: 'embedded', 'timm', 'file' or 'none', got 'imagenet'"
        ):
            BackboneConfig(weights="imagenet")
