import math
from typing import Any

import pytest
import torch
from contracts import assert_grouped
from torch import Tensor
from torch.nn import functional as F

from tiny_transformers import DINOV2, enter
from weakseg.errors import ConfigError, ShapeError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.pairs.window_affinity import WindowAffinityNet, node_colors
from weakseg.ops.resample import resample_cells
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.window_affinity import WindowAffinityConfig, WindowConfig
from weakseg.training.optimizers import freeze_levels, set_norms

NAMES = [("resnet10t", 8), ("resnet10t", 32), ("efficientnet_lite0", 16), ("convnext_atto", 32), (DINOV2, 14)]
SMALL = WindowConfig(2, (4, 6, 8))


def build(config: WindowConfig = SMALL, name: str = "resnet10t", stride: int = 16) -> WindowAffinityNet:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        enter(patch)
        return WindowAffinityNet(build_backbone(BackboneConfig(name, stride, "none")), config)


def batch(rows: int, columns: int, *, count: int = 1) -> Tensor:
    return 255 * torch.rand(count, 3, rows, columns, generator=torch.Generator().manual_seed(0))


def frozen(model: WindowAffinityNet) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


class TestMaps:
    @pytest.mark.parametrize("align", ["cells", "edges"])
    @pytest.mark.parametrize(("name", "stride"), NAMES)
    @pytest.mark.parametrize("size", [(40, 56), (96, 64), (8, 8)])
    def test_one_cell_for_eight_pixels(self, name: str, stride: int, size: tuple[int, int], align: Any) -> None:
        model = build(WindowConfig(2, (4, 6, 8), align), name, stride).eval()
        images, grid = batch(*size, count=2), (size[0] // 8, size[1] // 8)
        taps, features = model.maps(images)
        depth = sum(channels for channels, _ in model.backbone.level_shapes()[-3:])
        assert taps.shape == (2, depth, *grid) and features.shape == (2, 18, *grid)
        assert float(features.min()) >= -1 and torch.isfinite(taps).all()  # ELU
        with torch.no_grad():
            torch.testing.assert_close(model(images), features)

    def test_levels_of_stride_eight_are_taken_as_they_are(self) -> None:
        # a2gnn.md, 2.2: the published network has three taps of stride 8.
        model = build(WindowConfig(2, (4, 6, 8), "edges"), stride=8).eval()
        images = batch(48, 64)
        with torch.no_grad():
            levels = model.backbone.levels(images)[-3:]
            parts = [F.elu(F.conv2d(x, tap.weight)) for x, tap in zip(levels, model.head.taps, strict=True)]  # type: ignore[arg-type]
            expected = F.elu(F.conv2d(torch.cat(parts, 1), model.head.last.weight))
        taps, features = model.maps(images)
        torch.testing.assert_close(taps, torch.cat(levels, 1))
        torch.testing.assert_close(features, expected)
        assert float(taps.min()) >= 0

    def test_levels_are_put_where_their_cells_look(self) -> None:
        model = build(stride=32).eval()
        images = batch(64, 96)
        with torch.no_grad():
            levels = model.backbone.levels(images)[-3:]
        cells = [model.backbone.cells(stride) for stride in (8, 16, 32)]
        expected = [resample_cells(x, (8, 12), (64, 96), c) for x, c in zip(levels, cells, strict=True)]
        torch.testing.assert_close(model.maps(images).taps, torch.cat(expected, 1))

    def test_reducing_and_enlarging_commute(self) -> None:
        # Enlarging is linear, so that it may come after the cheaper 1x1 convolution.
        model = build(stride=32).eval()
        taps, features = model.maps(batch(64, 96))
        split = taps.split([channels for channels, _ in model.backbone.level_shapes()[-3:]], 1)
        with torch.no_grad():
            parts = [F.elu(tap(part)) for tap, part in zip(model.head.taps, split, strict=True)]
            expected = F.elu(model.head.last(torch.cat(parts, 1)))
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)

    def test_more_levels_and_fewer(self) -> None:
        assert build(WindowConfig(widths=(4, 4, 4, 4, 4))).eval().maps(batch(32, 32)).features.shape == (1, 20, 4, 4)
        assert build(WindowConfig(widths=(4,))).eval().maps(batch(32, 32)).features.shape == (1, 4, 4, 4)
        with pytest.raises(ConfigError, match="has 5 levels, 6 are needed"):
            build(WindowConfig(widths=(4,) * 6))

    @pytest.mark.parametrize("size", [(33, 40), (40, 7)])
    def test_cut_cells_are_refused(self, size: tuple[int, int]) -> None:
        with pytest.raises(ShapeError, match="expected whole cells of 8 pixels"):
            build()(batch(*size))


class TestHead:
    def test_the_published_one(self) -> None:
        # a2gnn.md, 2.2: no biases, He reductions, the last Xavier with gain 4.
        head = build(WindowConfig(), "resnet10t", 8).head
        assert [name for name, _ in head.named_parameters()] == [*(f"taps.{n}.weight" for n in range(3)), "last.weight"]
        assert [tap.weight.shape[0] for tap in head.taps] == [64, 128, 256]  # type: ignore[index]
        assert head.last.weight.shape == (448, 448, 1, 1)
        bound = 4 * math.sqrt(6 / 896)
        assert float(head.last.weight.detach().abs().max()) == pytest.approx(bound, rel=1e-3)


class TestWhatIsTrained:
    @pytest.mark.parametrize("count", [0, 1, 2, 3])
    def test_what_the_finest_levels_depend_on_is_frozen(self, count: int) -> None:
        model = build(WindowConfig(2, (4, 6, 8)))
        freeze_levels(model, count)
        names = frozen(model)
        parts = ["conv1.", "bn1."] * (count > 0) + [f"layer{number}." for number in range(1, count)]
        trained = {name for name, _ in build().backbone.named_parameters()}
        expected = {name for name in trained if name.startswith(tuple(f"model.{part}" for part in parts))}
        assert names == {f"backbone.{name}" for name in expected}

    def test_norms(self) -> None:
        """Its own default of ``fit`` freezes them."""
        model = build(WindowConfig(2, (4, 6, 8)))
        set_norms(model, WindowAffinityConfig().fit)
        norms = [name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
        assert norms and frozen(model) == {f"{name}.{part}" for name in norms for part in ("weight", "bias")}

    def test_a_step_leaves_the_rest(self) -> None:
        model = build().train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        model(batch(64, 64, count=2)).square().mean().backward()
        torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1).step()
        changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
        assert changed <= {name for name, p in model.named_parameters() if p.requires_grad}
        assert {"head.last.weight", "head.taps.0.weight", "backbone.model.layer4.0.downsample.1.weight"} <= changed


class TestNodeColors:
    def test_points_are_the_middle_pixels(self) -> None:
        # a2gnn.md, 2.3: bilinear, no antialiasing: of 8 x 8 pixels the four in the middle.
        images = batch(16, 24)
        middle = [images[:, :, 3 + y :: 8, 3 + x :: 8] for y in (0, 1) for x in (0, 1)]
        mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        torch.testing.assert_close(node_colors(images), (sum(middle) / 4 / 255 - mean) / std)
        whole = F.avg_pool2d(images, 8)
        torch.testing.assert_close(node_colors(images, "mean"), (whole / 255 - mean) / std)

    def test_range(self) -> None:
        black, white = (float(node_colors(torch.full((1, 3, 8, 8), v))[0, 0]) for v in (0.0, 255.0))
        assert black == pytest.approx(-2.1179, abs=1e-4) and white == pytest.approx(2.2489, abs=1e-4)


@pytest.mark.parametrize("change", [{"radius_cells": 0}, {"widths": ()}, {"widths": (0, 4)}, {"align": "corners"}])
def test_impossible_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"affinity\.network\."):
        WindowConfig(**change)


def test_every_parameter_is_in_one_group() -> None:
    assert_grouped(build())
