import re
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.backbones.vgg16 import TAILS, VGG16, Tail, caffe_names, fitted
from weakseg.settings.backbone import BackboneConfig

LAYERS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
THIN = BackboneConfig("vgg16_deeplab_thin", 8, "none")


def naive(state: dict[str, Tensor], x: Tensor, *, pools: bool, dilation: int) -> list[Tensor]:
    """Return relu2_2, relu3_3, relu4_3, relu5_3 and relu7 by segmentation-stage.md, 2.4, and psa.md, 2.1."""

    def relu(name: str, x: Tensor, padding: int, dilation: int = 1) -> Tensor:
        return F.relu(F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], 1, padding, dilation))

    found = []
    for block, count in LAYERS.items():
        for number in range(1, count + 1):
            x = relu(f"conv{block}_{number}", x, 2 if block == 5 else 1, 2 if block == 5 else 1)
        found.append(x)
        if block < 5 or pools:
            x = F.max_pool2d(x, 3, 2 if block < 4 else 1, 1)
    x = F.avg_pool2d(x, 3, 1, 1) if pools else x
    return [*found[1:], relu("fc7", relu("fc6", x, dilation, dilation), 0)]


class TestDefinition:
    @pytest.mark.parametrize(
        ("name", "pools", "dilation"),
        [("vgg16_deeplab", True, 12), ("vgg16_psa", False, 1), ("vgg16_psa_affinity", False, 4)],
    )
    def test_layer_by_layer(self, name: str, pools: bool, dilation: int) -> None:
        torch.manual_seed(0)
        model = build_backbone(BackboneConfig(f"{name}_thin", 8, "none")).model.eval()
        x = torch.randn(1, 3, 66, 97)
        with torch.no_grad():
            expected = naive(dict(model.state_dict()), x, pools=pools, dilation=dilation)
            features, levels = model.forward_intermediates(x)  # type: ignore[operator]
        for one, other in zip(levels, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        assert features.equal(levels[-1])
        assert [tuple(level.shape[2:]) for level in levels] == [(33, 49), (17, 25), (9, 13), (9, 13), (9, 13)]

    def test_pools_of_two(self) -> None:
        # oaa.md, 2.1: pool 4 3 x 3 with stride 1, no pool 5, conv5 dilated by 2; pools 1 to 3 halve
        torch.manual_seed(0)
        backbone = build_backbone(BackboneConfig("vgg16_conv5_thin", 8, "none")).eval()
        images = 255 * torch.rand(1, 3, 40, 56)
        with torch.no_grad():
            x = backbone.normalized(images)
            for block, count in enumerate((2, 2, 3, 3, 3), start=1):
                for number in range(1, count + 1):
                    layer = getattr(backbone.model, f"conv{block}_{number}")
                    dilation = 2 if block == 5 else 1
                    x = F.conv2d(x, layer.weight, layer.bias, padding=dilation, dilation=dilation).relu()
                if block < 5:
                    x = F.max_pool2d(x, 2) if block < 4 else F.max_pool2d(x, 3, 1, 1)
            torch.testing.assert_close(backbone(images), x, rtol=1e-4, atol=1e-5)
        assert x.shape[2:] == (5, 7) and backbone(images[..., :33, :50]).shape[2:] == (5, 7)
        assert backbone.cells() == (3.5, 8) and backbone.channels == 32

    def test_names_and_channels(self) -> None:
        with torch.device("meta"):
            models = {
                name: build_backbone(BackboneConfig(name, 8, "none"))
                for name in ("vgg16_deeplab", "vgg16_pool5", "vgg16_sec")
            }
        shapes = {n: tuple(v.shape) for n, v in models["vgg16_deeplab"].model.state_dict().items() if v.ndim == 4}
        assert shapes["conv1_1.weight"] == (64, 3, 3, 3) and shapes["conv5_3.weight"] == (512, 512, 3, 3)
        assert shapes["fc6.weight"] == (1024, 512, 3, 3) and shapes["fc7.weight"] == (1024, 1024, 1, 1)
        assert models["vgg16_sec"].model.state_dict()["fc7.weight"].shape == (1024, 1024, 3, 3)
        assert len(shapes) == 15 and [models[n].channels for n in models] == [1024, 512, 1024]
        assert models["vgg16_deeplab"].level_shapes() == [(128, 2), (256, 4), (512, 8), (512, 8), (1024, 8)]

    def test_dropout(self) -> None:
        # segmentation-stage.md, 2.4: after fc6 and fc7. psa.md: whole channels, after fc6 alone.
        torch.manual_seed(0)
        x = torch.rand(1, 3, 65, 65)
        plain = VGG16(Tail(pools=True, dilation=12), 4).train().forward_features(x)
        assert 0.4 < float((plain == 0).float().mean()) < 0.9
        spatial = VGG16(Tail(pools=False, dilation=1, spatial=True), 4)
        spatial.fc7.bias.data.fill_(100.0)
        assert not bool((spatial.train().forward_features(x) == 0).any())

    def test_frozen_blocks(self) -> None:
        # psa.md, 2.1: blocks 1 and 2.
        backbone = build_backbone(THIN)
        backbone.freeze_finest()
        frozen = {n.split(".")[1] for n, p in backbone.named_parameters() if not p.requires_grad}
        assert frozen == {"conv1_1", "conv1_2", "conv2_1", "conv2_2"}


class TestFiles:
    def test_names_of_torchvision(self) -> None:
        import torchvision

        with torch.device("meta"):
            theirs = caffe_names({f"module.{n}": v for n, v in torchvision.models.vgg16().state_dict().items()})
            ours = VGG16(Tail(pools=True, dilation=12)).state_dict()
        assert {f"module.{name}" for name in ours} | {"module.classifier.6.weight", "module.classifier.6.bias"} == set(
            theirs
        )
        convolutions = [name for name in ours if name.startswith("conv")]
        assert all(theirs[f"module.{name}"].shape == ours[name].shape for name in convolutions)

    def write(self, folder: Path, **further: Tensor) -> tuple[Path, dict[str, Tensor]]:
        torch.manual_seed(0)
        state = {n: v for n, v in build_backbone(THIN).model.state_dict().items() if n.startswith("conv")}
        torch.save({**state, **{name.replace("_", "."): value for name, value in further.items()}}, folder / "w.pth")
        return folder / "w.pth", state

    def test_dense_layers_are_decimated(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        six, seven = torch.randn(256, 32, 7, 7), torch.randn(256, 256)
        path, state = self.write(
            tmp_path,
            classifier_0_weight=six.reshape(256, -1), classifier_0_bias=torch.arange(256.0),
            classifier_3_weight=seven, classifier_3_bias=-torch.arange(256.0),
            classifier_6_weight=torch.zeros(10, 256),
        )  # fmt: skip
        model = build_backbone(BackboneConfig("vgg16_deeplab_thin", 8, "file", str(path))).model.state_dict()
        assert all(model[name].equal(value) for name, value in state.items())
        assert model["fc6.weight"].shape == (64, 32, 3, 3) and model["fc7.weight"].shape == (64, 64, 1, 1)
        for output, row, column in ((0, 0, 0), (5, 1, 2), (63, 2, 1)):  # fourth channels, third places
            assert model["fc6.weight"][output, :, row, column].equal(six[4 * output, :, 3 * row, 3 * column])
            assert model["fc7.weight"][output, :, 0, 0].equal(seven[4 * output, ::4])
        assert model["fc6.bias"].equal(torch.arange(0.0, 256, 4)) and model["fc7.bias"].equal(
            -torch.arange(0.0, 256, 4)
        )
        assert "made of every 4th channel and every 3rd place" in caplog.text
        assert "left out ['classifier.6.weight']" in caplog.text

    def test_without_dense_layers(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        path, state = self.write(tmp_path)
        model = build_backbone(BackboneConfig("vgg16_deeplab_thin", 8, "file", str(path))).model.state_dict()
        assert model["conv3_2.weight"].equal(state["conv3_2.weight"]) and float(model["fc6.weight"].std()) > 0
        assert "not in the file, hence random ['fc6', 'fc7']" in caplog.text

    def test_other_layers_of_secs_classifier(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        own = build_backbone(BackboneConfig("vgg16_deeplab_thin", 8, "none")).model.state_dict()
        torch.save(dict(own), tmp_path / "w.pth")
        config = BackboneConfig("vgg16_sec_thin", 8, "file", str(tmp_path / "w.pth"))
        model = build_backbone(config).model.state_dict()
        assert model["conv5_3.weight"].equal(own["conv5_3.weight"]) and not model["fc6.weight"].equal(own["fc6.weight"])
        assert "fc6 and fc7 of the weights are left out" in caplog.text and "random ['fc6', 'fc7']" in caplog.text
        torch.save(dict(model), tmp_path / "w.pth")
        assert build_backbone(config).model.state_dict()["fc7.weight"].equal(model["fc7.weight"])

    @pytest.mark.parametrize("name", TAILS)
    def test_all_of_imagenets_network(self, name: str) -> None:
        import torchvision

        with torch.device("meta"):
            own = VGG16(TAILS[name]).state_dict()
            for whole in (torchvision.models.vgg16(), timm.create_model("vgg16")):
                found = fitted(caffe_names(whole.state_dict()), TAILS[name])
                missing = {key for key, value in own.items() if key not in found or found[key].shape != value.shape}
                assert {key.split(".")[0] for key in missing} == ({"fc6", "fc7"} if name == "vgg16_sec" else set())

    def test_half_of_the_dense_layers(self, tmp_path: Path) -> None:
        path, _ = self.write(tmp_path, fc6_weight=torch.zeros(64, 32, 3, 3), fc6_bias=torch.zeros(64))
        loaded = build_backbone(BackboneConfig("vgg16_pool5_thin", 8, "file", str(path)))
        assert loaded.channels == 32
        path, _ = self.write(tmp_path, fc6_weight=torch.zeros(64, 32, 3, 3))
        with pytest.raises(CheckpointError, match=r"missing \['fc6.bias'\]"):
            build_backbone(BackboneConfig("vgg16_deeplab_thin", 8, "file", str(path)))

    @pytest.mark.parametrize("shape", [(256, 32, 5, 5), (256, 33), (256, 32 * 48)])
    def test_dense_layers_of_another_network(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        path, _ = self.write(tmp_path, fc6_weight=torch.zeros(shape), fc6_bias=torch.zeros(256))
        with pytest.raises(CheckpointError, match=rf"other shape \['fc6\.weight {re.escape(str(shape))} for"):
            build_backbone(BackboneConfig("vgg16_deeplab_thin", 8, "file", str(path)))

    def test_weights_of_timm(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        with torch.device("meta"):
            theirs = caffe_names(timm.create_model("vgg16").state_dict())
            assert set(VGG16(Tail(pools=True, dilation=12)).state_dict()) == {n for n in theirs if "head" not in n}
            with pytest.raises(ConfigError, match=r"'vgg16.tv_in1k': timm cannot load its weights"):
                build_backbone(BackboneConfig("vgg16_deeplab", 8, "timm"))
