import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import build_backbone, check_backbone
from weakseg.nn.backbones.drn import Drn
from weakseg.ops.resample import Cells
from weakseg.settings.backbone import BackboneConfig

CLASSES = 1000
THIN = BackboneConfig("drn_d_105_thin", 8, "none")


@pytest.fixture(scope="module")
def whole() -> Drn:
    with torch.device("meta"):
        return Drn()


def made_up_state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    state = build_backbone(THIN).model.state_dict()
    return {name: torch.rand(value.shape, generator=generator).to(value.dtype) for name, value in state.items()}


class TestStructure:
    def test_105_layers_of_54_8_million_parameters(self, whole: Drn) -> None:
        # [yu2017drn], table 1: DRN-D-105 has 54.8 million, its classifier of 1000 classes included.
        layers = [m for name, m in whole.named_modules() if isinstance(m, nn.Conv2d) and "downsample" not in name]
        assert len(layers) + 1 == 105
        count = sum(parameter.numel() for parameter in whole.parameters()) + (512 + 1) * CLASSES
        assert round(count / 1e6, 1) == 54.8

    def test_strides_and_dilations(self, whole: Drn) -> None:
        # Section 2: 3x3 convolutions are dilated by 2 and 4 where strides are left out; section 4: then by 2 and 1.
        found = {}
        for name, module in whole.named_modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                found.setdefault(name.split(".")[0], []).append((module.stride[0], module.dilation[0]))
                assert module.padding == module.dilation and module.bias is None
        depths = {f"layer{number}": depth for number, depth in enumerate((1, 1, 3, 4, 23, 3, 1, 1), start=1)}
        dilations = {"layer5": 2, "layer6": 4, "layer7": 2}
        expected = {name: [(1, dilations.get(name, 1))] * depth for name, depth in depths.items()}
        for name in ("layer2", "layer3", "layer4"):
            expected[name][0] = (2, 1)
        assert found == expected
        assert (whole.layer0[0].kernel_size, whole.layer0[0].stride) == ((7, 7), (1, 1))  # type: ignore[index]
        assert not any(isinstance(module, nn.MaxPool2d) for module in whole.modules())

    def test_names_of_the_published_files(self, whole: Drn) -> None:
        state = {name: tuple(value.shape) for name, value in whole.state_dict().items()}
        assert state["layer0.0.weight"] == (16, 3, 7, 7) and state["layer0.1.weight"] == (16,)
        assert state["layer2.0.weight"] == (32, 16, 3, 3) and state["layer3.0.downsample.0.weight"] == (256, 32, 1, 1)
        assert state["layer5.22.conv2.weight"] == (256, 256, 3, 3) and state["layer6.2.bn3.running_var"] == (2048,)
        assert state["layer7.0.weight"] == (512, 2048, 3, 3) and state["layer8.1.bias"] == (512,)

    @pytest.mark.parametrize("size", [(64, 96), (33, 50), (1, 1)])
    def test_levels(self, size: tuple[int, int]) -> None:
        backbone = build_backbone(THIN).eval()
        with torch.no_grad():
            features, levels = backbone.features_and_levels(torch.rand(1, 3, *size))
        shapes = [(8, 2), (32, 4), (64, 8), (128, 8), (256, 8), (64, 8)]
        assert [tuple(level.shape) for level in levels] == [
            (1, channels, math.ceil(size[0] / stride), math.ceil(size[1] / stride)) for channels, stride in shapes
        ]
        assert all(float(level.min()) >= 0 for level in levels) and features is levels[-1]
        assert backbone.level_shapes() == shapes and backbone.cells() == Cells(0, 8)

    def test_channels_of_the_levels(self, whole: Drn) -> None:
        levels = whole.forward_intermediates(torch.zeros(1, 3, 64, 64, device="meta"), intermediates_only=True)
        assert [level.shape[1] for level in levels] == [32, 256, 512, 1024, 2048, 512]


class TestGeometry:
    @pytest.mark.parametrize("level", range(6))
    def test_cells_are_centred_on_every_eighth_pixel(self, level: int) -> None:
        # Positive symmetric kernels keep all units active, so that the network is linear: the pixels that a cell
        # depends on lie symmetrically about its centre, here pixel 128 of 257.
        backbone = build_backbone(THIN).eval().double()
        for parameter in backbone.parameters():
            if parameter.ndim == 4:
                value = parameter.detach().abs() + 0.01
                parameter.data = value + value.flip(-1) + value.flip(-2) + value.flip(-1, -2)
        picture = torch.full((1, 3, 257, 257), 200.0, dtype=torch.float64, requires_grad=True)
        cell = 128 // (2, 4, 8, 8, 8, 8)[level]
        (slope,) = torch.autograd.grad(backbone.levels(picture)[level][0, :, cell, cell].sum(), picture)
        weight = slope[0].sum(0) / slope.sum()
        torch.testing.assert_close(weight, weight.flip(0))
        torch.testing.assert_close(weight, weight.flip(1))
        # Each 3x3 convolution reaches its dilation times the stride before it further, the first one three pixels.
        reach = (3 + 1 + 1, 7, 11, 11 + 8 * 2, 27 + 8 * 4, 59 + 8 * 2 + 8)[level]
        assert [int(axis.min()) for axis in weight.nonzero().T] == [128 - reach] * 2


class TestWeights:
    def test_from_a_file_with_a_classifier(self, tmp_path: Path) -> None:
        state = made_up_state()
        torch.save({**state, "fc.weight": torch.zeros(7, 64, 1, 1), "fc.bias": torch.zeros(7)}, tmp_path / "w.pth")
        config = BackboneConfig(THIN.name, 8, "file", str(tmp_path / "w.pth"))
        found = build_backbone(config).model.state_dict()
        floats = {name: value for name, value in state.items() if value.is_floating_point()}
        assert all(found[name].equal(value) for name, value in floats.items())

    def test_what_does_not_fit(self, tmp_path: Path) -> None:
        state = made_up_state()
        del state["layer7.0.weight"]
        torch.save(state, tmp_path / "w.pth")
        with pytest.raises(CheckpointError, match=r"w\.pth: .*missing \['layer7\.0\.weight'\]"):
            build_backbone(BackboneConfig(THIN.name, 8, "file", str(tmp_path / "w.pth")))

    @pytest.mark.parametrize(("stride", "weights"), [(16, "none"), (8, "timm")])
    def test_what_it_does_not_have(self, stride: int, weights: str) -> None:
        with pytest.raises(ConfigError, match="'drn_d_105': has output_stride 8 and weights 'file' or 'none'"):
            check_backbone(BackboneConfig("drn_d_105", stride, weights))
