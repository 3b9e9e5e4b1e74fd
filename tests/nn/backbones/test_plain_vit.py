from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from tiny_transformers import SIZES, deit, dinov2, dinov3
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import build_backbone, check_backbone
from weakseg.nn.backbones.plain_vit import PlainVit, is_plain_vit, patch_size, vit_state
from weakseg.ops.resample import Cells
from weakseg.settings.backbone import BackboneConfig

PHOTOGRAPHS = ((213, 320), (375, 500))


def images(rows: int, columns: int, *, count: int = 1) -> Tensor:
    return 255 * torch.rand(count, 3, rows, columns, generator=torch.Generator().manual_seed(0))


def built(make: Callable[[], nn.Module]) -> PlainVit:
    torch.manual_seed(0)
    return PlainVit(make()).eval()  # type: ignore[return-value]


class TestMaps:
    @pytest.mark.parametrize(("make", "prefix"), [(dinov2, 5), (dinov3, 5), (deit, 2)])
    def test_tokens_of_patches_row_by_row(self, make: Callable[[], nn.Module], prefix: int) -> None:
        backbone = built(make)
        batch = images(3 * backbone.stride, 5 * backbone.stride, count=2)
        with torch.no_grad():
            tokens = backbone.model.forward_features((batch / 255 - backbone.mean) / backbone.std)  # type: ignore[operator]
            found = backbone(batch)
        assert tokens.shape == (2, prefix + 15, 24) and found.shape == (2, 24, 3, 5)
        for row in range(3):
            for column in range(5):
                torch.testing.assert_close(found[..., row, column], tokens[:, prefix + 5 * row + column])

    def test_at_the_size_of_the_training_positions_are_those_learned(self) -> None:
        backbone, fixed = (
            built(dinov2),
            VisionTransformer(
                **{**SIZES, "dynamic_img_size": False},
                patch_size=14,
                img_size=56,
                reg_tokens=4,
                no_embed_class=True,
                init_values=1.0,
            ).eval(),
        )
        fixed.load_state_dict(backbone.model.state_dict())
        batch = images(56, 56)
        with torch.no_grad():
            tokens = fixed.forward_features(backbone.normalized(batch))
            torch.testing.assert_close(backbone(batch).flatten(2).transpose(1, 2), tokens[:, 5:])

    @pytest.mark.parametrize("make", [dinov2, dinov3, deit])
    def test_positions_count(self, make: Callable[[], nn.Module]) -> None:
        # Without positions a uniform image would give the same features everywhere.
        backbone = built(make)
        with torch.no_grad():
            for parameter in backbone.model.blocks.parameters():
                parameter *= 10 if parameter.ndim > 1 else 1  # initial attention is all but uniform
            found = backbone(torch.full((1, 3, 80, 112), 99.0))
        assert float((found - found[..., :1, :1]).abs().amax()) > 1e-3

    @pytest.mark.parametrize("size", PHOTOGRAPHS)
    def test_images_are_padded_with_the_mean_colour(self, size: tuple[int, int]) -> None:
        backbone = built(dinov2)
        rows, columns = -(-size[0] // 14), -(-size[1] // 14)
        whole = (255 * backbone.mean).expand(1, 3, 14 * rows, 14 * columns).clone()
        whole[..., : size[0], : size[1]] = images(*size)
        with torch.no_grad():
            torch.testing.assert_close(backbone(images(*size)), backbone(whole), rtol=1e-4, atol=1e-5)
            assert backbone(images(*size)).shape == (1, 24, rows, columns)

    @pytest.mark.parametrize(("make", "stride"), [(dinov2, 14), (dinov3, 16)])
    def test_a_cell_lies_in_the_middle_of_its_patch(self, make: Callable[[], nn.Module], stride: int) -> None:
        # Blocks that add nothing leave each token with what its patch alone says.
        backbone = built(make)
        for name, parameter in backbone.model.named_parameters():
            if name.endswith(("attn.proj.weight", "attn.proj.bias", "fc2.weight", "fc2.bias")):
                nn.init.zeros_(parameter)
        batch = images(4 * stride, 4 * stride).requires_grad_()
        (slope,) = torch.autograd.grad(backbone(batch)[0, :, 1, 2].square().sum(), batch)
        rows, columns = slope.abs().sum((0, 1)).nonzero().T
        assert (int(rows.min()), int(rows.max())) == (stride, 2 * stride - 1)
        assert (int(columns.min()), int(columns.max())) == (2 * stride, 3 * stride - 1)
        assert backbone.cells() == Cells((stride - 1) / 2, stride) == backbone.cells(stride)


class TestLevels:
    @pytest.mark.parametrize(
        ("depth", "blocks"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (6, [1, 2, 4, 5]), (12, [2, 5, 8, 11])]
    )
    def test_a_quarter_a_half_three_quarters_and_all_of_the_blocks(self, depth: int, blocks: list[int]) -> None:
        model = VisionTransformer(**{**SIZES, "depth": depth}, patch_size=16, img_size=32, weight_init="skip")
        nn.init.normal_(model.pos_embed), nn.init.normal_(model.cls_token)
        backbone = PlainVit(model)
        seen: list[Tensor] = []
        for block in model.blocks:
            block.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        with torch.no_grad():
            features, levels = backbone.features_and_levels(images(32, 48))
            expected = [model.norm(seen[block])[:, 1:].transpose(1, 2).reshape(1, 24, 2, 3) for block in blocks]
        assert len(levels) == len(blocks) and levels[-1].equal(features)
        for found, wanted in zip(levels, expected, strict=True):
            torch.testing.assert_close(found, wanted)
        assert backbone.level_shapes() == [(24, 16)] * len(blocks)

    def test_freezing_the_finest_level_keeps_what_it_is_made_of(self) -> None:
        backbone = built(dinov2)
        backbone.freeze_finest()
        frozen = {name.removeprefix("model.") for name, p in backbone.named_parameters() if not p.requires_grad}
        made_of = ("patch_embed", "pos_embed", "cls_token", "reg_token", "blocks.0.", "norm.")
        assert frozen == {name for name, _ in backbone.model.named_parameters() if name.startswith(made_of)}

    def test_layer_norms_can_be_frozen_and_no_norm_has_statistics(self) -> None:
        backbone = built(dinov2)
        backbone.freeze_norms()
        frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
        norms = [name for name, module in backbone.named_modules() if isinstance(module, nn.LayerNorm)]
        assert frozen == {f"{name}.{part}" for name in norms for part in ("weight", "bias")}
        assert backbone.batch_norms == []


class TestBehindTheBlocks:
    @pytest.mark.parametrize("pool", ["avg", "map", "token", ""])
    def test_each_token_is_normed_and_nothing_is_left_that_does_not_learn(self, pool: str) -> None:
        torch.manual_seed(0)
        model = VisionTransformer(**SIZES, patch_size=16, img_size=32, global_pool=pool)
        norm = model.fc_norm if pool == "avg" else model.norm
        assert isinstance(norm, nn.LayerNorm)
        backbone = PlainVit(model)
        found = backbone(images(48, 48))
        assert model.norm is norm
        torch.testing.assert_close(found.mean(1), torch.zeros(1, 3, 3), rtol=0, atol=1e-5)
        found.square().mean().backward()
        assert all(parameter.grad is not None for parameter in backbone.parameters())


# What timm calls the families; each is built without weights, with one block, to see its patches.
NAMES = {
    "deit_small_patch16_224": 16,
    "deit3_small_patch16_224": 16,
    "vit_small_patch14_dinov2.lvd142m": 14,
    "vit_small_patch14_reg4_dinov2.lvd142m": 14,
    "vit_small_patch16_dinov3.lvd1689m": 16,
    "vit_base_patch16_clip_224.openai": 16,
    "vit_large_patch14_clip_336.openai": 14,
    "vit_base_patch32_clip_224": 32,
    "eva02_tiny_patch14_224": 14,
    "vit_small_patch8_224": 8,
    "flexivit_small": 16,
    "test_vit": 16,
}


def state_of(model: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(value.shape, generator=generator) for name, value in model.state_dict().items()}


class TestWeightsOfAFile:
    def test_by_timms_names_below_a_prefix_with_a_head(self, tmp_path: Path) -> None:
        config = BackboneConfig("test_vit", 16, "file", str(tmp_path / "w.pth"))
        state = {**state_of(build_backbone(config, pretrained=False).model), "head.weight": torch.zeros(10, 64)}
        torch.save({"model": {f"module.{name}": value for name, value in state.items()}}, config.file)
        found = build_backbone(config).model.state_dict()
        assert all(value.equal(state[name]) for name, value in found.items())

    def test_dinov2_as_published(self) -> None:
        # Its tokens of class and registers have no position of their own in timm: that of the class is added.
        model = built(dinov2).model
        state, positions = state_of(model), torch.rand(1, 1, 24)
        given = {name: value for name, value in state.items() if name not in ("reg_token", "pos_embed", "cls_token")}
        given |= {"register_tokens": state["reg_token"], "mask_token": torch.zeros(1, 24)}
        given |= {
            "cls_token": state["cls_token"] - positions,
            "pos_embed": torch.cat([positions, state["pos_embed"]], 1),
        }
        torch.testing.assert_close(vit_state(model, given, "w"), state)

    @pytest.mark.parametrize("biases", [True, False])
    def test_dinov3_as_published(self, biases: bool) -> None:
        model = built(lambda: dinov3(qkv_bias=biases)).model
        state = state_of(model)
        given = {"mask_token": torch.zeros(1, 24), "rope_embed.periods": torch.rand(3)}
        for name, value in state.items():
            theirs = name.replace("reg_token", "storage_tokens")
            given[theirs.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")] = value
        for block in range(4):
            q, v = (given.pop(f"blocks.{block}.attn.{part}_bias", torch.zeros(24)) for part in "qv")
            given[f"blocks.{block}.attn.qkv.bias"] = torch.cat([q, torch.ones(24), v])  # that of keys is masked
        torch.testing.assert_close(vit_state(model, given, "w"), state)
        if not biases:
            given["blocks.2.attn.qkv.bias"][0] = 1e-3
            with pytest.raises(CheckpointError, match=r"w: blocks\.2\.attn\.qkv\.bias is not zero, .* ends in _qkvb"):
                vit_state(model, given, "w")

    def test_names_of_clips_image_tower(self) -> None:
        model = built(lambda: VisionTransformer(**SIZES, patch_size=16, img_size=32, pre_norm=True)).model
        state = state_of(model)
        swaps = {"patch_embed.proj": "conv1", "pos_embed": "positional_embedding", "blocks.": "transformer.resblocks."}
        swaps |= {
            "attn.qkv.": "attn.in_proj_",
            "attn.proj": "attn.out_proj",
            "mlp.fc1": "mlp.c_fc",
            "mlp.fc2": "mlp.c_proj",
        }
        swaps |= {"norm_pre": "ln_pre", "norm1": "ln_1", "norm2": "ln_2", "cls_token": "class_embedding"}
        given = {}
        for name, value in state.items():
            for own, theirs in swaps.items():
                name = name.replace(own, theirs)
            given["visual." + ("ln_post" + name[4:] if name.startswith("norm.") else name)] = value
        given["visual.class_embedding"] = state["cls_token"][0, 0]
        given["visual.positional_embedding"] = state["pos_embed"][0]
        given["transformer.resblocks.0.ln_1.weight"] = torch.zeros(24)  # of the tower of texts
        torch.testing.assert_close(vit_state(model, given, "w"), state)

    def test_positions_on_another_grid_are_interpolated_and_that_is_said(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = built(dinov2).model
        ramp = torch.linspace(0, 1, 8)[None, :, None, None].expand(1, 8, 8, 24).reshape(1, 64, 24)
        with caplog.at_level("INFO", "weakseg"):
            found = vit_state(model, {**state_of(model), "pos_embed": ramp}, "w.pth")["pos_embed"]
        assert "w.pth: positions of 64 tokens interpolated" in caplog.text
        rows = found.reshape(4, 4, 24)
        torch.testing.assert_close(rows, rows[:, :1, :1].expand(4, 4, 24))
        assert float(rows.mean()) == pytest.approx(0.5, abs=1e-3) and bool((rows[1:] > rows[:-1]).all())

    @pytest.mark.parametrize("own", ["norm", "fc_norm"])
    def test_norms_of_tokens_and_of_their_mean(self, own: str) -> None:
        model = built(lambda: VisionTransformer(**SIZES, patch_size=16, img_size=32, global_pool="avg")).model
        state = state_of(model)
        given = {name.replace("norm.", f"{own}.") if name.startswith("norm.") else name: v for name, v in state.items()}
        torch.testing.assert_close(vit_state(model, given, "w"), state)

    def test_patches_of_another_size_are_refused(self, tmp_path: Path) -> None:
        config = BackboneConfig("test_vit", 16, "file", str(tmp_path / "w.pth"))
        state = state_of(build_backbone(config, pretrained=False).model)
        torch.save({**state, "patch_embed.proj.weight": torch.rand(64, 3, 14, 14)}, config.file)
        with pytest.raises(CheckpointError, match=r"w\.pth: .*other shape .*\(64, 3, 14, 14\) for \(64, 3, 16, 16\)"):
            build_backbone(config)

    @pytest.mark.parametrize("state", [{"weight": torch.zeros(2)}, {"pos_embed": torch.zeros(3)}, {}])
    def test_files_of_other_networks(self, state: dict[str, Tensor], tmp_path: Path) -> None:
        config = BackboneConfig("test_vit", 16, "file", str(tmp_path / "w.pth"))
        torch.save(state, config.file)
        with pytest.raises(CheckpointError, match=r"w\.pth"):
            build_backbone(config)


class TestNames:
    def test_the_stride_is_known_before_anything_is_built(self) -> None:
        for name, patch in NAMES.items():
            with torch.device("meta"):
                model: Any = timm.create_model(name, num_classes=0, depth=1)
            assert is_plain_vit(name) and patch_size(name) == model.patch_embed.patch_size[0] == patch
            check_backbone(BackboneConfig(name, patch, "timm"))

    def test_what_is_no_plain_vision_transformer(self) -> None:
        for name in ("resnet18", "swin_tiny_patch4_window7_224", "test_vit_relpos", "beit_base_patch16_224"):
            assert not is_plain_vit(name)

    @pytest.mark.parametrize(("name", "patch"), [("vit_small_patch14_dinov2.lvd142m", 14), ("test_vit", 16)])
    def test_another_stride_is_refused_and_the_right_one_named(self, name: str, patch: int) -> None:
        for check in (check_backbone, build_backbone):
            with pytest.raises(
                ConfigError, match=rf"side of its patches; set backbone\.output_stride to {patch}, got 32"
            ):
                check(BackboneConfig(name, 32, "none"))

    def test_a_stride_that_the_name_hides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timm, "create_model", lambda *_, **__: dinov2())
        with pytest.raises(ConfigError, match=r"set backbone\.output_stride to 14, got 16"):
            build_backbone(BackboneConfig("test_vit", 16, "none"))

    def test_weights_that_it_does_not_have(self) -> None:
        with pytest.raises(ConfigError, match="has output_stride 16 and weights 'timm', 'file' or 'none', got 16"):
            check_backbone(BackboneConfig("test_vit", 16))
