"""Every head, classifiers of all kinds, and backbones that are arranged otherwise, exported: ``make deploy``."""

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exported_models import BACKBONE, cone, write_classifier, write_detector, write_segmenter  # noqa: F401 - the fixture
from generated import CLASSES
from weakseg.deploy.export import export_onnx
from weakseg.deploy.network import Given
from weakseg.deploy.pictures import picture
from weakseg.deploy.torch_file import export_torch
from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import (
    CLASS_GRAPH_CLASSIFIER,
    CLASSIFIER,
    GROUP_CLASSIFIER,
    MLGCN_CLASSIFIER,
    RECAM_CLASSIFIER,
    SEAM_CLASSIFIER,
    ClassGraphClassifier,
    GroupClassifier,
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
from weakseg.settings.group import ImageGraphConfig
from weakseg.settings.group_classify import GroupHeadConfig
from weakseg.settings.instance_segment import InstanceModelConfig, InstancePredictConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.stages.instance_segment import load_detector, load_instance_segmenter, predict_instances

ALONE = """
import torch, torchvision
pixels, leasts = torch.load("given.pt")
program = torch.export.load("objects.pt2").module()
torch.save([program(pixels, torch.tensor(least), torch.tensor(100)) for least in leasts], "found.pt")
"""
WITHOUT_MASKS = """
import sys
import numpy as np
import onnxruntime
from onnx.utils import extract_model
wanted = ["boxes", "labels", "scores", "cells"]
if sys.argv[1] == "cells.onnx":
    extract_model("objects.onnx", "cells.onnx", ["images"], wanted)
session = onnxruntime.InferenceSession(sys.argv[1])
image = np.random.default_rng(0).integers(0, 256, (1, 1500, 2000, 3), dtype=np.uint8)
boxes, labels, scores, cells = session.run(wanted, {"images": image})
assert len(boxes) == len(cells) > 20
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))  # of Linux, in kB
"""
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
    "tree": SegmenterConfig(BACKBONE, "tree", hidden=32),
    "tree on the default network": SegmenterConfig(BackboneConfig(), "tree", hidden=32),
    "the default network": SegmenterConfig(BackboneConfig(), "largefov"),
    "phases": SegmenterConfig(BackboneConfig(EMBEDDED, 8, "none"), "score"),
    "resnet": SegmenterConfig(BackboneConfig("resnet10t", 8, "none"), "aspp"),
    "published resnet": SegmenterConfig(BackboneConfig("resnet50_deeplab_thin", 8, "none"), "score"),
    "padded to whole cells": SegmenterConfig(BackboneConfig("test_convnext", 32, "none"), "score"),
    "vit": SegmenterConfig(BackboneConfig("test_vit", 16, "none"), "score"),
    "rotary positions": SegmenterConfig(BackboneConfig("vit_small_patch16_dinov3", 16, "none"), "score"),
    "registers": SegmenterConfig(BackboneConfig("vit_small_patch14_reg4_dinov2", 14, "none"), "score"),
    "eva": SegmenterConfig(BackboneConfig("eva02_tiny_patch14_224", 14, "none"), "score"),
}
ONNX_ALONE = ("pspnet", "resnet", "tree", "tree on the default network", SEAM_CLASSIFIER)
NODES = ClassNodes(torch.randn(2, 5, generator=torch.Generator().manual_seed(1)), torch.eye(2) * 0.8 + 0.1)
HEAD = ClassHeadConfig(weight=1.0, hidden=8)
GRAPHS = {
    "attention": ImageGraphConfig(),
    "side by side": ImageGraphConfig(rounds=2, aggregate="concatenate", senders=2, timing="previous"),
    "means": ImageGraphConfig(update="mean", aggregate="mean", self_edge=False, dropout=False),
}


def group(graph: ImageGraphConfig) -> Any:
    head = GroupHeadConfig(channels=8, graph=graph)
    return lambda backbone: GroupClassifier(backbone, 2, head), {"head": asdict(head)}


CLASSIFIERS = {
    CLASSIFIER: (lambda backbone: TagClassifier(backbone, 2, convolutions=1), {"convolutions": 1}),
    RECAM_CLASSIFIER: (lambda backbone: RecamClassifier(backbone, 2), {}),
    CLASS_GRAPH_CLASSIFIER: (
        lambda backbone: ClassGraphClassifier(backbone, NODES, HEAD),
        {"class_head": {"hidden": 8, "last_activation": HEAD.last_activation, "combine": HEAD.combine}},
    ),
    SEAM_CLASSIFIER: (lambda backbone: SeamClassifier(backbone, 2), {"published": False}),
    MLGCN_CLASSIFIER: (lambda backbone: MlgcnClassifier(backbone, NODES, 8), {"hidden": 8}),
    **{f"{GROUP_CLASSIFIER}/{name}": group(graph) for name, graph in GRAPHS.items()},
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


@pytest.mark.parametrize(("name", "stride"), [("test_convnext", 32), ("test_vit", 16)])
def test_classifiers_of_whole_cells(name: str, stride: int, tmp_path: Path) -> None:
    given = Given(write_classifier(tmp_path / "model.safetensors", BackboneConfig(name, stride, "none")), Sides(256))
    assert min(export_onnx(given, tmp_path / "tags.onnx").shares) >= 0.999
    assert min(export_torch(given, tmp_path / "tags.pt2").shares) >= 0.999


@pytest.mark.parametrize(
    "config",
    [
        InstanceModelConfig(BackboneConfig(), width=16, hidden=16, mask_layers=1, proposals=100),
        InstanceModelConfig(BackboneConfig("resnet18", 32, "none"), 16, 16, 1, 16, 50, 0, "none"),
    ],
    ids=["the default network", "resnet without norms"],
)
def test_instance_segmenters(config: InstanceModelConfig, tmp_path: Path) -> None:
    given = Given(write_detector(tmp_path / "model.safetensors", config), Sides(256))
    assert min(export_onnx(given, tmp_path / "objects.onnx").shares) >= 0.999
    assert min(export_torch(given, tmp_path / "objects.pt2").shares) >= 0.999
    (network, _), (file, _) = (load_detector(path) for path in (given.path, tmp_path / "objects.onnx"))
    strict = InstancePredictConfig(max_side=200, score=0.3, nms=0.3, most=20, mask=0.4)
    for size in ((97, 131), (246, 329)):
        for wanted in (InstancePredictConfig(), strict):
            mine, theirs = (predict_instances(one, picture(size), wanted) for one in (file, network))
            assert len(mine) == len(theirs) > 1 and mine.class_ids == theirs.class_ids
            np.testing.assert_allclose(mine.boxes, theirs.boxes, atol=0.01)
            np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-3)
            assert (mine.masks == theirs.masks).mean() > 0.9999
    _check_few_objects(tmp_path / "objects.pt2", given.path)


def _check_few_objects(program: Path, model: Path) -> None:
    """The program, read by a Python that has imported torchvision and torch alone, finds 0, 1, 2 and more objects."""
    pixels = torch.from_numpy(picture((97, 131)))[None]
    network, _ = load_instance_segmenter(model)
    with torch.inference_mode():
        scores = network.find(pixels[0].permute(2, 0, 1).float(), score=1e-3, most=6).scores
        leasts = [(1 + float(scores[0])) / 2, *(float(pair.mean()) for pair in scores.unfold(0, 2, 1))]
        wanted = [network.find(pixels[0].permute(2, 0, 1).float(), score=least) for least in leasts]
    torch.save((pixels, leasts), program.with_name("given.pt"))
    subprocess.run([sys.executable, "-c", ALONE], cwd=program.parent, check=True, timeout=300)
    found = torch.load(program.with_name("found.pt"))
    assert [len(one[0]) for one in found] == [len(one.boxes) for one in wanted] and len(found[0][0]) == 0
    assert len(found[1][0]) == 1
    for mine, theirs in zip(found, wanted, strict=True):
        for part, one in zip(mine, (theirs.boxes, theirs.class_ids, theirs.scores, theirs.masks[:, 0]), strict=True):
            torch.testing.assert_close(part, one, atol=1e-3, rtol=1e-4)


def test_boxes_and_cells_without_masks(tmp_path: Path) -> None:
    """Who asks for cells as docs/deploy.md says does not pay for masks."""
    given = Given(write_detector(tmp_path / "model.safetensors"), Sides(256))
    export_onnx(given, tmp_path / "objects.onnx")
    peaks = []
    for name in ("objects.onnx", "cells.onnx"):
        run = [sys.executable, "-c", WITHOUT_MASKS, name]
        peaks.append(int(subprocess.run(run, cwd=tmp_path, check=True, timeout=300, capture_output=True).stdout))
    assert peaks[0] > 3 * peaks[1]


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    build, further = CLASSIFIERS[kind]
    header = {"kind": kind.partition("/")[0], "classes": CLASSES, "backbone": asdict(BACKBONE), **further}
    save_model(tmp_path / "model.safetensors", build(build_backbone(BACKBONE)), header)
    given = Given(tmp_path / "model.safetensors", Sides(256))
    assert min(export_onnx(given, tmp_path / "tags.onnx").shares) >= 0.999
    if kind in ONNX_ALONE:
        with pytest.raises(ConfigError):
            export_torch(given, tmp_path / "tags.pt2")
    else:
        assert min(export_torch(given, tmp_path / "tags.pt2").shares) >= 0.999
