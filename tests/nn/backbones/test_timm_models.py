from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.settings.backbone import BackboneConfig


class TestRefusals:
    @pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "mixer_s32_224", "beit_base_patch16_224"])
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


class TestRes2Net:
    def test_dilation_keeps_what_each_filter_sees(self) -> None:
        # Strides that are left out and dilations behind them: every fourth cell is one of the coarse map.
        torch.manual_seed(0)
        coarse, fine = (build_backbone(BackboneConfig("res2net50_14w_8s", stride, "none")).eval() for stride in (32, 8))
        fine.load_state_dict(coarse.state_dict())
        images = 255 * torch.rand(1, 3, 65, 99)
        with torch.no_grad():
            expected, (found, levels) = coarse(images), fine.features_and_levels(images)
        assert found.shape == (1, 2048, 9, 13)
        torch.testing.assert_close(found[..., ::4, ::4], expected, rtol=1e-3, atol=1e-4)
        assert [level.shape[2] for level in levels] == [33, 17, 9, 9, 9]
        stages = (fine.model.layer2, fine.model.layer3, fine.model.layer4)
        assert [stage[1].convs[0].dilation for stage in stages] == [(1, 1), (2, 2), (4, 4)]  # type: ignore[index, union-attr]
