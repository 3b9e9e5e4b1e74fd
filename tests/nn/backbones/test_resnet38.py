import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.backbones.resnet38 import ResNet38, resnet38_state
from weakseg.ops.resample import Cells
from weakseg.settings.backbone import BackboneConfig

NARROW = BackboneConfig("resnet38_eighth", 8, "none")
NORM = ("weight", "bias", "running_mean", "running_var")


def made_up_shapes(width: float = 1.0) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published weights, from psa.md, 2.1, block by block."""
    shapes: dict[str, tuple[int, ...]] = {"conv1a.weight": (64, 3, 3, 3)}

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{part}": (channels,) for part in NORM})

    def block(name: str, chain: tuple[int, ...], kernels: tuple[int, ...], changes: bool) -> None:
        suffixes = ("2a", "2b1", "2b2")[: len(kernels)]
        for suffix, inputs, outputs, kernel in zip(suffixes, chain, chain[1:], kernels, strict=False):
            norm(f"{name}.bn_branch{suffix}", inputs)
            shapes[f"{name}.conv_branch{suffix}.weight"] = (outputs, inputs, kernel, kernel)
        if changes:
            shapes[f"{name}.conv_branch1.weight"] = (chain[-1], chain[0], 1, 1)

    for stage, inputs, inner, outputs, count in (
        ("b2", 64, 128, 128, 3), ("b3", 128, 256, 256, 3), ("b4", 256, 512, 512, 6), ("b5", 512, 512, 1024, 3),
    ):  # fmt: skip
        block(stage, (inputs, inner, outputs), (3, 3), changes=True)
        for number in range(1, count):
            block(f"{stage}_{number}", (outputs, inner, outputs), (3, 3), changes=False)
    block("b6", (1024, 512, 1024, 2048), (1, 3, 1), changes=True)
    block("b7", (2048, 1024, 2048, 4096), (1, 3, 1), changes=True)
    norm("bn7", 4096)

    def scaled(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        first = 3 if name == "conv1a.weight" else None
        return tuple(n if n == first or place > 1 else int(n * width) for place, n in enumerate(shape))

    return {name: scaled(name, shape) for name, shape in shapes.items()}


def made_up_state(width: float = 0.125) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) for name, shape in made_up_shapes(width).items()}


def images(rows: int, columns: int, *, count: int = 1) -> Tensor:
    return 255 * torch.rand(count, 3, rows, columns, generator=torch.Generator().manual_seed(0))


class TestLayout:
    def test_names_and_shapes_are_the_published_ones(self) -> None:
        with torch.device("meta"):
            model = ResNet38()
        state = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        assert {n: s for n, s in state.items() if not n.endswith("num_batches_tracked")} == made_up_shapes()
        convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
        assert all(module.bias is None for module in convolutions)
        # 38 layers: conv1a, two for each of 15 units, three for each of two bottlenecks, and the classifier's.
        assert sum("branch1" not in name for name in state if "conv" in name) == 37

    @pytest.mark.parametrize("size", [(64, 96), (33, 50), (1, 1)])
    def test_levels(self, size: tuple[int, int]) -> None:
        backbone = build_backbone(NARROW).eval()
        with torch.no_grad():
            levels, features = backbone.levels(images(*size)), backbone(images(*size))
        expected = [(16, 2), (32, 4), (64, 8), (128, 8), (512, 8)]
        assert [tuple(level.shape) for level in levels] == [
            (1, channels, math.ceil(size[0] / stride), math.ceil(size[1] / stride)) for channels, stride in expected
        ]
        assert all(float(level.min()) >= 0 for level in levels)
        torch.testing.assert_close(features, levels[-1])
        assert backbone.level_shapes() == expected
        assert (backbone.channels, backbone.stride, backbone.pads) == (512, 8, False)

    def test_dilations_and_strides(self) -> None:
        # psa.md, 2.1: stage 5 has dilation 2, but for its first convolution; stages 6 and 7 have 4.
        model = ResNet38(0.125)
        found = {
            name: (module.stride[0], module.dilation[0])
            for name, module in model.named_modules()
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
        }
        strided = {name for name, (stride, _) in found.items() if stride == 2}
        assert strided == {"b2.conv_branch2a", "b3.conv_branch2a", "b4.conv_branch2a"}
        dilated = {name: dilation for name, (_, dilation) in found.items() if dilation > 1}
        five = {f"b5{part}.conv_branch2{end}": 2 for part in ("", "_1", "_2") for end in ("a", "b1")}
        del five["b5.conv_branch2a"]
        assert dilated == {**five, "b6.conv_branch2b1": 4, "b7.conv_branch2b1": 4}
        assert [block.dropout.p for block in (model.b6, model.b7)] == [0.3, 0.5]

    def test_images_of_a_batch_do_not_touch_each_other(self) -> None:
        backbone = build_backbone(NARROW).eval()
        batch = images(40, 56, count=2)
        with torch.no_grad():
            torch.testing.assert_close(backbone(batch)[1:], backbone(batch[1:]), rtol=1e-4, atol=1e-5)


class TestGeometry:
    @pytest.mark.parametrize("level", range(5))
    def test_cells_are_centred_on_every_eighth_pixel(self, level: int) -> None:
        # Positive symmetric kernels keep all units active, so that the network is linear: the pixels that a cell
        # depends on lie symmetrically about its centre, here pixel 64 of 129.
        backbone = build_backbone(NARROW).eval().double()
        for parameter in backbone.parameters():
            if parameter.ndim == 4:
                value = parameter.detach().abs() + 0.01
                parameter.data = value + value.flip(-1) + value.flip(-2) + value.flip(-1, -2)
        picture = torch.full((1, 3, 129, 129), 200.0, dtype=torch.float64, requires_grad=True)
        found = backbone.levels(picture)[level]
        stride = (2, 4, 8, 8, 8)[level]
        cell = 64 // stride
        (slope,) = torch.autograd.grad(found[0, :, cell, cell].sum(), picture)
        weight = slope[0].sum(0) / slope.sum()
        torch.testing.assert_close(weight, weight.flip(0))
        torch.testing.assert_close(weight, weight.flip(1))
        assert int(weight.sum(1).argmax()) == 64 and int(weight.sum(0).argmax()) == 64

    def test_that_is_what_the_backbone_says(self) -> None:
        assert build_backbone(NARROW).cells() == Cells(0, 8)


class TestWhatIsFrozen:
    def test_first_convolution_and_stage_two(self) -> None:
        # psa.md, 2.1; the norm before stage 3 belongs to the finest level, norms being frozen anyhow.
        backbone = build_backbone(NARROW)
        backbone.freeze_finest()
        frozen = {name.removeprefix("model.") for name, p in backbone.named_parameters() if not p.requires_grad}
        expected = {name for name in made_up_shapes() if name.startswith(("conv1a", "b2", "b3.bn_branch2a"))}
        assert frozen == {name for name in expected if "running" not in name}


class TestFiles:
    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_by_name(self, tmp_path: Path, suffix: str) -> None:
        path, state = tmp_path / f"w{suffix}", made_up_state()
        further = {"fc8.weight": torch.zeros(20, 512, 1, 1), "b2.bn_branch2a.num_batches_tracked": torch.tensor(3)}
        given = {f"module.{name}": value for name, value in {**state, **further}.items()}
        if suffix == ".pth":
            torch.save({"state_dict": given}, path)
        else:
            save_file(given, path)
        config = BackboneConfig("resnet38_eighth", 8, "file", str(path))
        loaded = build_backbone(config).model.state_dict()
        assert all(loaded[name].equal(value) for name, value in state.items())
        path.unlink()
        with pytest.raises(CheckpointError, match="cannot be loaded safely"):
            build_backbone(config)
        assert build_backbone(config, pretrained=False).channels == 512  # to load a trained model into

    def test_weights_of_another_width(self, tmp_path: Path) -> None:
        torch.save(made_up_state(), tmp_path / "w.pth")
        with (
            torch.device("meta"),
            pytest.raises(CheckpointError, match=r"other shape \['b2\.bn_branch2a.* and \d+ more"),
        ):
            build_backbone(BackboneConfig("resnet38", 8, "file", str(tmp_path / "w.pth")))


def mxnet_name(name: str) -> str:
    """Return what the published parameter file calls a weight."""
    layer, _, kind = name.rpartition(".")
    kinds = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}
    part = kinds[kind] if "bn" in layer else kind
    unit, dot, branch = layer.partition(".")
    if dot:
        stage, _, number = unit[1:].partition("_")
        what, _, place = branch.partition("_")
        layer = f"{'bn' if what == 'bn' else 'res'}{stage}{f'b{number}' if number else 'a'}_{place}"
    return f"{'aux' if part.startswith('moving') else 'arg'}:{layer}_{part}"


class TestMxnet:
    def test_published_names(self) -> None:
        found = {mxnet_name(name) for name in made_up_shapes()}
        assert {"arg:conv1a_weight", "arg:res2a_branch1_weight", "arg:res4b5_branch2b1_weight"} <= found
        assert {"arg:bn2b1_branch2a_gamma", "aux:bn6a_branch2b2_moving_var", "arg:bn7_beta"} <= found

    def test_every_weight_and_no_head(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        state = made_up_state()
        head = {"arg:linear1000_weight": torch.zeros(10, 512), "arg:linear1000_bias": torch.zeros(10)}
        found = resnet38_state({**{mxnet_name(n): v for n, v in state.items()}, **head}, "a.params")
        assert found.keys() == state.keys() and all(found[name].equal(value) for name, value in state.items())
        assert caplog.messages == ["a.params: left out ['linear1000_bias', 'linear1000_weight']"]

    def test_what_is_no_resnet38(self) -> None:
        arrays = {mxnet_name(name): value for name, value in made_up_state().items()}
        del arrays["arg:res5b2_branch2a_weight"]
        with pytest.raises(
            CheckpointError, match=r"a: does not fit the network; missing \['b5_2\.conv_branch2a\.weight'"
        ):
            resnet38_state(arrays, "a")
        for others in ({}, {"arg:conv0_weight": torch.zeros(3)}, {"arg:conv1a_weight": torch.tensor(1.0)}):
            with pytest.raises(CheckpointError, match="missing"):
                resnet38_state(others, "a")


@pytest.mark.parametrize("arguments", [("resnet38", 8, "file"), ("resnet38", 8, "none", "w.pth")])
def test_impossible_settings_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError, match="weights 'file' and a file go together"):
        BackboneConfig(*arguments)
