from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

from tiny import TinyModel
from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.segmenters import build_segmenter
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.training.optimizers import build_optimizer, freeze_levels, part_factors, set_norms


class Parts(nn.Module):
    """Backbone, head and what ``rate_factors`` names."""

    def __init__(self, **rate_factors: float) -> None:
        super().__init__()
        self.backbone, self.head, self.field = (nn.Sequential(nn.Linear(2, 2)) for _ in range(3))
        self.head.append(nn.Linear(2, 2))
        self.rate_factors = {f"{name.replace('_', '.')}.": factor for name, factor in rate_factors.items()}


def groups_of(model: nn.Module, **settings: Any) -> dict[str, tuple[float, float]]:
    """Return factor and weight decay of each parameter that learns."""
    groups = build_optimizer(model, FitConfig(**settings)).param_groups
    found = {id(p): (group["factor"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert Counter(id(p) for group in groups for p in group["params"]).most_common(1)[0][1] == 1
    return {name: found[id(p)] for name, p in model.named_parameters() if p.requires_grad}


class TestGroups:
    def test_parts(self) -> None:
        found = groups_of(Parts(field=3.0), head_lr_factor=5.0, weight_decay=0.01)
        assert found == {
            "backbone.0.weight": (1, 0.01),
            "backbone.0.bias": (1, 0),
            **{f"head.{n}.weight": (5, 0.01) for n in (0, 1)},
            **{f"head.{n}.bias": (5, 0) for n in (0, 1)},
            "field.0.weight": (15, 0.01),
            "field.0.bias": (15, 0),
        }

    def test_the_longest_prefix_counts(self) -> None:
        found = groups_of(Parts(field=3.0, head_1=0.5, backbone_0=0.1), head_lr_factor=10.0)
        rates = {name: found[f"{name}.weight"][0] for name in ("backbone.0", "head.0", "head.1", "field.0")}
        assert rates == {"backbone.0": 1, "head.0": 10, "head.1": 5, "field.0": 30}

    def test_biases_have_their_own_rate_and_decay(self) -> None:
        # group-wsss.md, section 3: biases twice as fast, weight decay on all.
        found = groups_of(Parts(field=1.0), bias_lr_factor=2.0, decay_biases=True, weight_decay=0.01)
        assert found["backbone.0.bias"] == (2, 0.01) and found["head.1.bias"] == (20, 0.01)
        assert found["backbone.0.weight"] == (1, 0.01)

    def test_positions_and_tokens_of_transformers_do_not_decay(self) -> None:
        backbone = build_backbone(BackboneConfig("test_vit", 16, "none"))
        found = groups_of(nn.ModuleDict({"backbone": backbone, "head": nn.Linear(2, 2)}), weight_decay=0.01)
        spared = {name.rpartition(".")[2] for name, (_, decay) in found.items() if not decay and "norm" not in name}
        assert spared == {"bias", "pos_embed", "cls_token"}

    def test_frozen_parameters_are_left_out(self) -> None:
        model = TinyModel()
        model.backbone[0].weight.requires_grad_(False)  # type: ignore[union-attr,operator]
        assert set(groups_of(model)) == {"backbone.0.bias", "head.weight", "head.bias"}


class TestRefusals:
    def test_a_part_that_would_not_learn(self) -> None:
        with pytest.raises(ConfigError, match=r"Parts: field\.0\.weight, field\.0\.bias would not .* rate_factors"):
            build_optimizer(Parts(), FitConfig())

    def test_it_may_be_frozen(self) -> None:
        model = Parts()
        model.field.requires_grad_(requires_grad=False)
        assert len(groups_of(model)) == 6

    def test_many_are_counted(self) -> None:
        model = Parts()
        model.other = nn.Sequential(*(nn.Linear(1, 1) for _ in range(4)))
        with pytest.raises(ConfigError, match=r"other\.1\.bias.* and 5 more would not learn|field.* and 5 more"):
            build_optimizer(model, FitConfig())

    def test_a_part_that_does_not_exist(self) -> None:
        with pytest.raises(ConfigError, match=r"Parts: rate_factors names 'fields\.', which no parameter"):
            part_factors(Parts(fields=2.0), FitConfig())

    def test_a_frozen_part_exists(self) -> None:
        model = Parts(field=2.0)
        model.field.requires_grad_(requires_grad=False)
        assert len(groups_of(model)) == 6

    def test_nothing_learns(self) -> None:
        with pytest.raises(ConfigError, match="TinyModel: no parameter learns; all are frozen"):
            build_optimizer(TinyModel().requires_grad_(requires_grad=False), FitConfig())


class TestKinds:
    def test_nesterov(self) -> None:
        optimizer = build_optimizer(TinyModel(), FitConfig(nesterov=True, momentum=0.8))
        assert isinstance(optimizer, torch.optim.SGD)
        assert all(group["nesterov"] and group["momentum"] == 0.8 for group in optimizer.param_groups)

    def test_adamw(self) -> None:
        assert isinstance(build_optimizer(TinyModel(), FitConfig(optimizer="adamw")), torch.optim.AdamW)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = build_backbone(BackboneConfig("resnet10t", 32, "none"))
        self.head = nn.Conv2d(self.backbone.channels, 2, 1)


class TestNorms:
    @pytest.mark.parametrize("statistics", ["stored", "batch"])
    @pytest.mark.parametrize("affine", ["trained", "frozen"])
    def test_statistics_and_affine_parameters(self, statistics: Any, affine: Any) -> None:
        model = Small()
        config = FitConfig(norm_statistics=statistics, norm_affine=affine)
        set_norms(model, config)
        model.train()
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms and {norm.training for norm in norms} == {statistics == "batch"}
        before = {name: value.clone() for name, value in model.named_buffers()}
        optimizer = build_optimizer(model, config)
        model.head(model.backbone(255 * torch.rand(2, 3, 64, 64))).square().mean().backward()
        optimizer.step()
        changed = {name for name, value in model.named_buffers() if not value.equal(before[name])}
        assert bool(changed) is (statistics == "batch")
        learning = {id(p) for group in optimizer.param_groups for p in group["params"]}
        assert all((id(p) in learning) is (affine == "trained") for norm in norms for p in norm.parameters())

    def test_layer_norms_have_no_statistics(self) -> None:
        model = nn.ModuleDict({"backbone": build_backbone(BackboneConfig("test_vit", 16, "none"))})
        with pytest.raises(ConfigError, match=r"statistics: VisionTransformer has no batch norms, .*; set 'stored'"):
            set_norms(model, FitConfig(norm_statistics="batch"))
        set_norms(model, FitConfig(norm_affine="frozen"))
        norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
        assert norms and not any(p.requires_grad for norm in norms for p in norm.parameters())
        trained = {id(p) for group in build_optimizer(model, FitConfig()).param_groups for p in group["params"]}
        assert trained == {id(p) for p in model.parameters()} - {id(p) for norm in norms for p in norm.parameters()}

    def test_what_is_frozen_stays_frozen(self) -> None:
        model = Small()
        model.backbone.freeze_norms()
        set_norms(model, FitConfig())
        assert not any(
            p.requires_grad for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()
        )


class TestFrozenLevels:
    def test_what_the_finest_depend_on_stays(self) -> None:
        for levels, first in ((0, ()), (1, ("conv1.", "bn1.")), (2, ("conv1.", "bn1.", "layer1."))):
            model = Small()
            freeze_levels(model, levels)
            found = {name for name, p in model.backbone.named_parameters() if not p.requires_grad}
            starts = tuple(f"model.{part}" for part in first)
            assert found == {name for name, _ in model.backbone.named_parameters() if name.startswith(starts)}

    def test_what_was_frozen_before_stays_frozen(self) -> None:
        model = Small()
        model.backbone.requires_grad_(requires_grad=False)
        with torch.no_grad():
            freeze_levels(model, 1)
        assert not any(p.requires_grad for p in model.backbone.parameters())

    def test_levels_that_do_not_exist(self) -> None:
        with pytest.raises(ConfigError, match=r"fit\.frozen_levels: the backbone has 5 levels, got 6"):
            freeze_levels(Small(), 6)
        with pytest.raises(ConfigError, match=r"fit\.frozen_levels: TinyModel has no backbone"):
            freeze_levels(TinyModel(), 1)
        freeze_levels(TinyModel(), 0)


def test_the_groups_of_deeplab_v2() -> None:
    """segmentation-stage.md, 2.1 and oracle 5: 1x and 10x with decay, 20x without; norms are in no group."""
    model = build_segmenter(SegmenterConfig(BackboneConfig("resnet10t", 32, "none"), "aspp"), 2)
    config = FitConfig(lr=2.5e-4, head_lr_factor=10.0, bias_lr_factor=2.0, weight_decay=5e-4, norm_affine="frozen")
    set_norms(model, config)
    before = {name: value.clone() for name, value in model.named_buffers()}
    optimizer = build_optimizer(model, config)
    groups = {(group["factor"], group["weight_decay"]): group["params"] for group in optimizer.param_groups}
    assert set(groups) == {(1.0, 5e-4), (10.0, 5e-4), (20.0, 0.0)}
    grouped = [id(p) for params in groups.values() for p in params]
    names = {id(p): name for name, p in model.named_parameters()}
    assert len(grouped) == len(set(grouped))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and not set(grouped) & {id(p) for norm in norms for p in norm.parameters()}
    assert {names[id(p)] for p in groups[20.0, 0.0]} == {f"head.branches.{n}.bias" for n in range(4)}
    assert {names[id(p)] for p in groups[10.0, 5e-4]} == {f"head.branches.{n}.weight" for n in range(4)}
    assert len(grouped) == sum(p.requires_grad for p in model.parameters())
    model.train()(255 * torch.rand(2, 3, 64, 64)).logits.square().mean().backward()
    optimizer.step()
    torch.testing.assert_close(dict(model.named_buffers()), before, rtol=0, atol=0)
