"""Every head, classifiers of all kinds, and backbones that are arranged otherwise, exported: ``make deploy``."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from exported_models import BACKBONE, cone, write_segmenter  # noqa: F401 - the fixture
from generated import CLASSES
from weakseg.deploy.export import export_onnx
from weakseg.deploy.network import Given
from weakseg.deploy.torch_file import export_torch
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import (
    CLASS_GRAPH_CLASSIFIER,
    CLASSIFIER,
    MLGCN_CLASSIFIER,
    RECAM_CLASSIFIER,
    SEAM_CLASSIFIER,
    ClassGraphClassifier,
    MlgcnClassifier,
    RecamClassifier,
    SeamClassifier,
    TagClassifier,
)
from weakseg.nn.exported.described import Sides
from weakseg.nn.exported.file import read_onnx
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.nn.weights import save_model
from weakseg.settings.backbone import EMBEDDED, BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.segment import SegmenterConfig

REASONING = ReasoningConfig("recommended", widths=(8, 8), keys=4)
CONFIGS = {
    "largefov": SegmenterConfig(BACKBONE, "largefov", hidden=8),
    "score": SegmenterConfig(BACKBONE, "score"),
    "deeplab_v1": SegmenterConfig(BACKBONE, "deeplab_v1", hidden=8),
    "aspp": SegmenterConfig(BACKBONE, "aspp"),
    "aspp in three scales": SegmenterConfig(BACKBONE, "aspp", multi_scale=(0.5, 0.75)),
    "aspp_hidden that reasons": SegmenterConfig(BACKBONE, "aspp_hidden", hidden=8, reasoning=REASONING),
    "aspp behind a level that reasons": SegmenterConfig(BACKBONE, "aspp", reasoning=replace(REASONING, level=2)),
    "aspp_fc": SegmenterConfig(BACKBONE, "aspp_fc", hidden=8, dilations=(2, 3)),
    "pspnet": SegmenterConfig(BACKBONE, "pspnet", hidden=16),
    "the default network": SegmenterConfig(BackboneConfig(), "largefov"),
    "phases": SegmenterConfig(BackboneConfig(EMBEDDED, 8, "none"), "score"),
    "resnet": SegmenterConfig(BackboneConfig("resnet10t", 8, "none"), "aspp"),
    "published resnet": SegmenterConfig(BackboneConfig("resnet50_deeplab_thin", 8, "none"), "score"),
    "padded to whole cells": SegmenterConfig(BackboneConfig("test_convnext", 32, "none"), "score"),
}
ONNX_ALONE = ("pspnet", "padded to whole cells", "resnet", SEAM_CLASSIFIER)
NODES = ClassNodes(torch.randn(2, 5, generator=torch.Generator().manual_seed(1)), torch.eye(2) * 0.8 + 0.1)
HEAD = ClassHeadConfig(weight=1.0, hidden=8)
CLASSIFIERS = {
    CLASSIFIER: (lambda backbone: TagClassifier(backbone, 2, convolutions=1), {"convolutions": 1}),
    RECAM_CLASSIFIER: (lambda backbone: RecamClassifier(backbone, 2), {}),
    CLASS_GRAPH_CLASSIFIER: (
        lambda backbone: ClassGraphClassifier(backbone, NODES, HEAD),
        {"class_head": {"hidden": 8, "last_activation": HEAD.last_activation, "combine": HEAD.combine}},
    ),
    SEAM_CLASSIFIER: (lambda backbone: SeamClassifier(backbone, 2), {"published": False}),
    MLGCN_CLASSIFIER: (lambda backbone: MlgcnClassifier(backbone, NODES, 8), {"hidden": 8}),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_segmenters(name: str, tmp_path: Path) -> None:
    given = Given(write_segmenter(tmp_path / "model.safetensors", CONFIGS[name]), Sides(256))
    agreement = export_onnx(given, tmp_path / "model.onnx")
    assert len(agreement.shares) == 4 and min(agreement.shares) >= 0.999
    _, described = read_onnx(tmp_path / "model.onnx")
    assert described.classes == CLASSES
    if name not in ONNX_ALONE:
        assert min(export_torch(given, tmp_path / "model.pt2").shares) >= 0.999
        return
    with pytest.raises(ConfigError):
        export_torch(given, tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()


def test_plain_vision_transformers_are_refused(tmp_path: Path) -> None:
    config = SegmenterConfig(BackboneConfig("test_vit", 16, "none"), "score")
    given = Given(write_segmenter(tmp_path / "model.safetensors", config), Sides(256))
    with pytest.raises((ConfigError, CheckpointError), match="nothing was written"):
        export_onnx(given, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    build, further = CLASSIFIERS[kind]
    header = {"kind": kind, "classes": CLASSES, "backbone": asdict(BACKBONE), **further}
    save_model(tmp_path / "model.safetensors", build(build_backbone(BACKBONE)), header)
    given = Given(tmp_path / "model.safetensors", Sides(256))
    assert min(export_onnx(given, tmp_path / "tags.onnx").shares) >= 0.999
    if kind in ONNX_ALONE:
        with pytest.raises(ConfigError):
            export_torch(given, tmp_path / "tags.pt2")
    else:
        assert min(export_torch(given, tmp_path / "tags.pt2").shares) >= 0.999
