import math
from itertools import count
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.backbones.resnet import FEW, Plan, ResNet, torchvision_names
from weakseg.settings.backbone import BackboneConfig

IRNET = (1, 2, 2, 1), (1, 1, 1, 1)  # irnet.md, 2.1
DEEPLAB = (1, 2, 1, 1), (1, 1, 2, 4)  # segmentation-stage.md, 2.1; its layer2 to layer5 are ours 1 to 4
PLANS = [("resnet50_irnet", 16, "torchvision", *IRNET)]
PLANS += [("resnet101_deeplab", 8, layout, *DEEPLAB) for layout in ("torchvision", "caffe")]
PLANS += [("resnet50_pspnet", 8, "torchvision", *DEEPLAB)]


def images(*size: int) -> Tensor:
    return 255 * torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))


def random_values(model: nn.Module) -> None:
    """Make norms and their statistics no identities."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in module.state_dict().values():
                if value.is_floating_point():
                    value.copy_(0.5 + torch.rand(value.shape, generator=generator))


def naive(
    state: dict[str, Tensor], x: Tensor, strides: tuple[int, ...], dilations: tuple[int, ...], caffe: bool
) -> Tensor:
    """Return the last map by the table of the card, from tensors by their names alone."""

    def unit(name: str, norm: str, x: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        padding = dilation * (weight.shape[-1] // 2)
        x = F.conv2d(x, weight, None, stride, padding, dilation)
        mean, variance, scale, shift = (state[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, variance, scale, shift, eps=1e-5)

    x = F.relu(unit("conv1", "bn1", x, 2))
    x = F.max_pool2d(x, 3, 2, 1, ceil_mode=caffe)
    for stage, stride, dilation in zip(count(1), strides, dilations, strict=False):
        for block in count():
            name = f"layer{stage}.{block}"
            if f"{name}.conv1.weight" not in state:
                break
            step = stride if block == 0 else 1
            first, second = (step, 1) if caffe else (1, step)
            y = F.relu(unit(f"{name}.conv1", f"{name}.bn1", x, first))
            y = F.relu(unit(f"{name}.conv2", f"{name}.bn2", y, second, dilation))
            y = unit(f"{name}.conv3", f"{name}.bn3", y)
            side = unit(f"{name}.downsample.0", f"{name}.downsample.1", x, step) if block == 0 else x
            x = F.relu(y + side)
    return x


class TestDefinition:
    @pytest.mark.parametrize(("name", "stride", "layout", "strides", "dilations"), PLANS[:3])
    def test_the_table_of_the_card(
        self, name: str, stride: int, layout: str, strides: tuple[int, ...], dilations: tuple[int, ...]
    ) -> None:
        created = timm.create_model("resnet50", num_classes=0, channels=FEW["channels"], layers=(2, 2, 2, 2))
        model = ResNet(created, Plan(strides, dilations), caffe=layout == "caffe").eval()  # type: ignore[arg-type]
        random_values(model)
        x = torch.randn(1, 3, 66, 97, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            expected = naive(dict(model.state_dict()), x, strides, dilations, layout == "caffe")
            torch.testing.assert_close(model.forward_features(x), expected, rtol=1e-4, atol=1e-4)

    def test_timm_where_both_coincide(self) -> None:
        created = timm.create_model("resnet50", num_classes=0, **FEW).eval()
        random_values(created)
        x = torch.randn(1, 3, 65, 48)
        with torch.no_grad():
            expected = created.forward_features(x)
            found = ResNet(created, Plan((1, 2, 2, 2), (1, 1, 1, 1)), caffe=False).forward_features(x)
        assert found.equal(expected)

    @pytest.mark.parametrize(("name", "stride", "layout", "strides", "dilations"), PLANS)
    def test_every_block_of_a_stage(
        self, name: str, stride: int, layout: str, strides: tuple[int, ...], dilations: tuple[int, ...]
    ) -> None:
        with torch.device("meta"):
            model = build_backbone(BackboneConfig(name, stride, "none", layout=layout)).model  # type: ignore[arg-type]
        assert [len(getattr(model, f"layer{n}")) for n in (1, 2, 3, 4)] == [3, 4, 23 if "101" in name else 6, 3]
        for stage, step, dilation in zip((1, 2, 3, 4), strides, dilations, strict=True):
            for index, block in enumerate(getattr(model, f"layer{stage}")):
                step = step if index == 0 else 1
                expected = (step, 1) if layout == "caffe" else (1, step)
                assert (block.conv1.stride[0], block.conv2.stride[0]) == expected
                assert block.conv2.dilation == block.conv2.padding == (dilation, dilation)
                assert block.downsample is None or block.downsample[0].stride == (step, step)

    def test_names_are_those_of_torchvision(self) -> None:
        import torchvision

        with torch.device("meta"):
            ours = build_backbone(BackboneConfig("resnet50_deeplab", 8, "none")).model.state_dict()
            theirs = torchvision.models.resnet50().state_dict()
        assert {n: v.shape for n, v in theirs.items() if not n.startswith("fc.")} == {
            n: v.shape for n, v in ours.items()
        }


class TestSizes:
    def test_of_the_card(self) -> None:
        # segmentation-stage.md, oracle 1: 321 to 41, 240 to 31, 160 to 21; and any size from 33 on.
        caffe = build_backbone(BackboneConfig("resnet101_deeplab_thin", 8, "none", layout="caffe")).eval()
        plain = build_backbone(BackboneConfig("resnet101_deeplab_thin", 8, "none")).eval()
        with torch.no_grad():
            assert [caffe(images(side, 33)).shape[2] for side in (321, 240, 160)] == [41, 31, 21]
            for side in (*range(33, 50), 513):
                pooled = math.ceil((math.ceil(side / 2) - 1) / 2) + 1  # the last window begins within the map
                assert caffe(images(side, 33)).shape[2:] == (math.ceil(pooled / 2), 5)
                assert plain(images(side, 33)).shape[2] == math.ceil(side / 8)

    def test_further_cells_leave_the_others_where_they_are(self) -> None:
        config = BackboneConfig("resnet101_deeplab_thin", 8, "none", layout="caffe")
        assert (
            build_backbone(config).cells() == build_backbone(BackboneConfig("resnet50_deeplab_thin", 8, "none")).cells()
        )

    def test_levels(self) -> None:
        # irnet.md, 2.1: the pooled map, then the stages; here a sixteenth of their channels.
        irnet = build_backbone(BackboneConfig("resnet50_irnet_thin", 16, "none"))
        assert irnet.level_shapes() == [(64, 4), (16, 4), (32, 8), (64, 16), (128, 16)]
        psp = build_backbone(BackboneConfig("resnet101_pspnet_thin", 8, "none"))
        assert psp.level_shapes() == [(128, 4), (16, 4), (32, 8), (64, 8), (128, 8)]


class TestInputs:
    def test_of_caffe(self) -> None:
        # segmentation-stage.md, 2.2: BGR 0..255 minus the mean, no division.
        backbone = build_backbone(BackboneConfig("resnet101_deeplab_thin", 8, "none", layout="caffe"))
        picture = torch.tensor([10.0, 20.0, 250.0]).reshape(1, 3, 1, 1)
        expected = torch.tensor([250 - 104.008, 20 - 116.669, 10 - 122.675])
        torch.testing.assert_close(backbone.normalized(picture).flatten(), expected, rtol=0, atol=1e-4)
        mean_colour = 255 * backbone.mean  # RGB, as images are
        torch.testing.assert_close(mean_colour.flatten(), torch.tensor([122.675, 116.669, 104.008]))
        torch.testing.assert_close(backbone.normalized(mean_colour).flatten(), torch.zeros(3), rtol=0, atol=1e-4)

    def test_of_torchvision(self) -> None:
        backbone = build_backbone(BackboneConfig("resnet50_irnet_thin", 16, "none"))
        torch.testing.assert_close(backbone.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
        torch.testing.assert_close(backbone.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))


class TestFrozen:
    def test_what_irnet_freezes(self) -> None:
        # cam.md, 2.1: conv1, bn1, and what lies before the end of layer2.
        backbone = build_backbone(BackboneConfig("resnet50_irnet_thin", 16, "none"))
        for levels, parts in ((1, ("conv1", "bn1")), (3, ("conv1", "bn1", "layer1", "layer2"))):
            backbone.freeze_finest(levels)
            frozen = {n.split(".")[1] for n, p in backbone.named_parameters() if not p.requires_grad}
            learning = {n.split(".")[1] for n, p in backbone.named_parameters() if p.requires_grad}
            assert frozen == set(parts) and not frozen & learning

    def test_norms_with_their_affine(self) -> None:
        backbone = build_backbone(BackboneConfig("resnet101_deeplab_thin", 8, "none"))
        backbone.freeze_norms()
        learning = {n for n, p in backbone.named_parameters() if p.requires_grad}
        assert learning == {n for n, p in backbone.named_parameters() if p.ndim == 4}


def saved(folder: Path, config: BackboneConfig, rename: object = None) -> tuple[Path, Backbone]:
    """Write a backbone's weights under other names."""
    backbone = build_backbone(config)
    random_values(backbone)
    state = backbone.model.state_dict()
    path = folder / "w.pth"
    torch.save({rename(name): value for name, value in state.items()} if callable(rename) else dict(state), path)
    return path, backbone


def deeplab_name(name: str) -> str:
    """Return what the converted Caffe models of DeepLab call a tensor of torchvision's."""
    parts = name.split(".")
    if parts[0] in ("conv1", "bn1"):
        return f"base.layer1.conv1.{parts[0][:-1]}.{parts[1]}"
    kinds = {"1": "reduce", "2": "conv3x3", "3": "increase"}
    if parts[2] == "downsample":
        part, kind = "shortcut", ("conv", "bn")[int(parts[3])]
    else:
        part, kind = kinds[parts[2][-1]], parts[2][:-1]
    return f"base.layer{int(parts[0][-1]) + 1}.block{int(parts[1]) + 1}.{part}.{kind}.{parts[-1]}"


class TestFiles:
    def test_names_of_converted_models_of_deeplab(self, tmp_path: Path) -> None:
        config = BackboneConfig("resnet101_deeplab_thin", 8, "none", layout="caffe")
        path, backbone = saved(tmp_path, config, deeplab_name)
        assert "base.layer2.block1.reduce.conv.weight" in torch.load(path)
        loaded = build_backbone(BackboneConfig("resnet101_deeplab_thin", 8, "file", str(path), "caffe"))
        torch.testing.assert_close(loaded.state_dict(), backbone.state_dict(), rtol=0, atol=0)
        with pytest.raises(
            CheckpointError, match=r"holds weights of layout 'caffe', and backbone\.layout is 'torchvision'"
        ):
            build_backbone(BackboneConfig("resnet101_deeplab_thin", 8, "file", str(path)))

    def test_names_of_pspnet(self, tmp_path: Path) -> None:
        stem = {
            "conv1.0": "conv1",
            "conv1.1": "bn1",
            "conv1.3": "conv2",
            "conv1.4": "bn2",
            "conv1.6": "conv3",
            "bn1": "bn3",
        }

        def psp_name(name: str) -> str:
            layer, _, kind = name.rpartition(".")
            return f"module.{stem.get(layer, layer)}.{kind}"

        path, backbone = saved(tmp_path, BackboneConfig("resnet50_pspnet_thin", 8, "none"), psp_name)
        assert {"module.conv3.weight", "module.bn3.bias"} <= set(torch.load(path))
        loaded = build_backbone(BackboneConfig("resnet50_pspnet_thin", 8, "file", str(path)))
        torch.testing.assert_close(loaded.state_dict(), backbone.state_dict(), rtol=0, atol=0)

    def test_other_names_stay(self) -> None:
        kept = {"layer1.0.conv1.weight": torch.zeros(4, 4, 1, 1), "fc.bias": torch.zeros(3), "bn1.bias": torch.zeros(4)}
        assert list(torchvision_names(kept)) == list(kept)

    def test_a_bias_of_the_first_convolution(self) -> None:
        state = {
            "a.conv1.bias": torch.tensor([2.0]),
            "a.bn1.running_mean": torch.tensor([5.0]),
            "a.fc.bias": torch.ones(2),
        }
        found = torchvision_names(state)  # norm(x + 2) with mean 5 is norm(x) with mean 3
        assert list(found) == ["a.bn1.running_mean", "a.fc.bias"] and float(found["a.bn1.running_mean"]) == 3
        inner = {"layer1.0.conv1.bias": torch.zeros(1), "layer1.0.bn1.running_mean": torch.zeros(1)}
        assert set(torchvision_names(inner)) == set(inner)

    def test_another_depth(self, tmp_path: Path) -> None:
        path, _ = saved(tmp_path, BackboneConfig("resnet50_irnet_thin", 16, "none"))
        with pytest.raises(CheckpointError, match=r"missing \['layer1\.1\..*\] and \d+ more, other shape \['layer1"):
            build_backbone(BackboneConfig("resnet50_irnet", 16, "file", str(path)))

    def test_weights_of_timm_are_those_of_the_paper(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        for name, stride, source in (
            ("resnet50_irnet", 16, "resnet50.tv_in1k"),
            ("resnet50_pspnet", 8, "resnet50s.gluon_in1k"),
        ):
            with torch.device("meta"), pytest.raises(ConfigError, match=f"'{source}': timm cannot load its weights"):
                build_backbone(BackboneConfig(name, stride, "timm"))
