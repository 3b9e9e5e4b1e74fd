"""Segmenters in which classes are reasoned about: in the head, or behind a level of the backbone."""

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from contracts import SegmenterContract, assert_grouped, photographs

from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.nn.graphs.reasoning import ClassAttention
from weakseg.nn.models import load_model
from weakseg.nn.segmenters import SEGMENTERS, Segmenter, build_segmenter
from weakseg.nn.segmenters.start import start_segmenter
from weakseg.nn.weights import save_model
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.segment import InitConfig, SegmentConfig, SegmenterConfig
from weakseg.training.optimizers import build_optimizer

BACKBONE = BackboneConfig("resnet10t", 16, "none")
RECOMMENDED = ReasoningConfig("recommended", widths=(8, 8), keys=4)
IN_HEAD = SegmenterConfig(BACKBONE, "aspp_hidden", hidden=8, reasoning=RECOMMENDED)
BEHIND = SegmenterConfig(BACKBONE, "aspp", reasoning=replace(RECOMMENDED, level=2))


def nodes(classes: int = 2) -> ClassNodes:
    generator = torch.Generator().manual_seed(1)
    return ClassNodes(torch.randn(classes, 5, generator=generator), torch.eye(classes) * 0.8 + 0.1)


def built(config: SegmenterConfig, gate: float = 1.0) -> Segmenter:
    torch.manual_seed(0)
    model = build_segmenter(config, 2, nodes=nodes() if config.reasoning.kind != "none" else None)
    if isinstance(model.reasoning, ClassAttention):
        model.reasoning.gate.data.fill_(gate)
    return model


class Reasons(SegmenterContract):
    config: SegmenterConfig

    @property
    def header(self) -> dict[str, Any]:  # type: ignore[override]
        return {"kind": "segmenter", "model": asdict(self.config)}

    def build(self) -> Segmenter:
        return built(self.config)


class TestInTheHead(Reasons):
    config = IN_HEAD


class TestBehindALevel(Reasons):
    config = BEHIND


def test_classes_are_seen_once_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an image at two scales, too, with the same vectors."""
    model = built(replace(IN_HEAD, multi_scale=(0.5,)))
    counted, forward = [], model.reasoning.gcn.forward  # type: ignore[union-attr]
    monkeypatch.setattr(model.reasoning.gcn, "forward", lambda: counted.append(1) or forward())  # type: ignore
    model.train()(photographs(33, 33, count=2))
    assert len(counted) == 1


def test_the_official_one_is_read_again(tmp_path: Path) -> None:
    config = replace(IN_HEAD, reasoning=ReasoningConfig("official", widths=(4, 8)))
    model = built(config).eval()
    save_model(tmp_path / "m.safetensors", model, {"kind": "segmenter", "classes": ["a", "b"], "model": asdict(config)})
    loaded, _ = load_model(tmp_path / "m.safetensors", SEGMENTERS)
    with torch.no_grad():
        assert loaded(photographs(33, 50)).logits.equal(model(photographs(33, 50)).logits)
    assert_grouped(model)


def test_where_it_stands() -> None:
    """Before the last layer of the head; or what a level becomes is what all that follows sees."""
    images = photographs(64, 64)
    with torch.no_grad():
        model = built(IN_HEAD).eval()
        aspp, relu, last = model.head.children()
        hidden = relu(aspp(model.backbone(images)))
        assert model(images).logits.equal(last(model.reasoning(hidden)))  # type: ignore[misc]
        scored = built(replace(IN_HEAD, head="score", hidden=0)).eval()
        assert scored(images).logits.equal(scored.head(scored.reasoning(scored.backbone(images))))  # type: ignore[misc]
        behind, plain = built(BEHIND).eval(), built(replace(BEHIND, reasoning=ReasoningConfig())).eval()
        found, levels = behind(images, further=("levels",)).logits, plain.backbone.levels(images)
        expected = behind.reasoning(levels[1])  # type: ignore[misc]
        changed = behind(images, further=("levels",)).further["levels"]
        assert changed[0].equal(levels[0]) and changed[1].equal(expected) and not changed[2].equal(levels[2])
        assert found.equal(behind(images).logits)


def test_without_the_gate_it_is_the_segmenter_that_it_was() -> None:
    """grm.md, oracle 3; initial weights beside the layer are those of a segmenter without it."""
    images = photographs(64, 64)
    for config in (IN_HEAD, BEHIND):
        with torch.no_grad():
            plain = built(replace(config, reasoning=ReasoningConfig())).eval()
            torch.testing.assert_close(built(config, gate=0.0).eval()(images).logits, plain(images).logits)


def test_rates() -> None:
    """grm.md, oracle 11: each parameter is in one group (contract); that of the layer is its own."""
    model = built(IN_HEAD)
    groups = build_optimizer(model, FitConfig(head_lr_factor=10.0)).param_groups
    factor = {id(p): group["factor"] for group in groups for p in group["params"]}
    found = {name.partition(".")[0]: factor[id(p)] for name, p in model.named_parameters()}
    assert found == {"backbone": 1, "head": 10, "reasoning": 4}
    assert len([name for name, _ in model.reasoning.named_parameters()]) == 6  # type: ignore[union-attr]


def test_every_backbone_of_stages_has_levels_to_follow() -> None:
    for name, stride in (("efficientnet_lite0", 16), ("resnet50_deeplab_thin", 8), ("convnext_atto", 32)):
        backbone = build_backbone(BackboneConfig(name, stride, "none")).eval()
        images = photographs(64, 64)
        for level in range(1, len(backbone.level_shapes()) + 1):
            seen: list[Any] = []
            hook = backbone.stage_of(level).register_forward_hook(lambda m, i, output, seen=seen: seen.append(output))  # type: ignore
            with torch.no_grad():
                torch.testing.assert_close(backbone.levels(images)[level - 1], seen[0])
                backbone(images)
            hook.remove()
            assert len(seen) == 2


def test_what_cannot_be() -> None:
    for config, given, message in (
        (IN_HEAD, None, r"model\.reasoning: needs a class graph of 2 classes, got none"),
        (IN_HEAD, nodes(3), r"model\.reasoning: needs a class graph of 2 classes, got one of 3"),
        (replace(IN_HEAD, head="aspp", hidden=0), nodes(), r"level: the head 'aspp' is no sequence .* 'aspp_hidden'"),
        (replace(IN_HEAD, reasoning=replace(RECOMMENDED, level=9)), nodes(), r"the backbone has 5 levels, got 9"),
        (replace(IN_HEAD, reasoning=ReasoningConfig("official")), nodes(), r"the last width has to be 8, got 256"),
    ):
        with pytest.raises(ConfigError, match=message):
            build_segmenter(config, 2, nodes=given)
    for settings, message in (
        ({"widths": (8, 8)}, r"model\.reasoning\.widths: has no effect with kind 'none'"),
        ({"class_graph": ClassGraphConfig("none")}, r"class_graph: has no effect with kind 'none'"),
        ({"kind": "official", "keys": 4}, r"keys: has no effect with kind 'official'"),
        ({"kind": "additive"}, r"kind: 'none', 'official' or 'recommended', got 'additive'"),
        ({"kind": "official", "dropout": 1.0}, r"dropout: need in \[0, 1\)"),
        ({"kind": "official", "widths": ()}, r"widths: need >= 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            ReasoningConfig(**settings)  # type: ignore[arg-type]


def test_it_goes_on_from_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The layer is taken over, with the graph of the new training; what has another one, or none, is told."""
    path, saved = tmp_path / "m.safetensors", built(IN_HEAD, gate=0.5)
    save_model(path, saved, {"kind": "segmenter", "classes": ["a", "b"], "model": asdict(IN_HEAD)})
    init = InitConfig(str(path), "made-up masks")
    other = ClassNodes(nodes().vectors + 1, torch.eye(2))
    found = start_segmenter(SegmentConfig(IN_HEAD, init=init), 2, other)
    for name, value in saved.named_parameters():
        torch.testing.assert_close(found.get_parameter(name), value, rtol=0, atol=0)
    assert found.reasoning.gcn.vectors.equal(other.vectors) and not caplog.records  # type: ignore[union-attr]
    wider = replace(IN_HEAD, reasoning=replace(RECOMMENDED, keys=5))
    plain = replace(IN_HEAD, reasoning=ReasoningConfig())
    with caplog.at_level(logging.WARNING):
        start_segmenter(SegmentConfig(wider, init=init), 2, nodes())
        start_segmenter(SegmentConfig(plain, init=init), 2)
    assert "has no such layer on classes, so model.reasoning starts at random" in caplog.text
    assert "has a layer on classes, which is left out" in caplog.text
