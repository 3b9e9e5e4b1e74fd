"""Model files of networks of three layers that begin at random, to be exported: tracing takes a time for each layer."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generated import CLASSES
from weakseg.nn.backbones import OWN, Architecture, Backbone, build_backbone
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.nn.segmenters import build_segmenter, completed
from weakseg.nn.weights import save_model
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.instance_segment import InstanceModelConfig
from weakseg.settings.segment import SegmenterConfig

CONE = "cone"
BACKBONE = BackboneConfig(CONE, 16, "none")
SMALL = SegmenterConfig(BACKBONE, "largefov", hidden=8)


class Cone(nn.Module):
    """Three convolutions of strides 2, 8 and 16, and a dilated one by channels, which torch computes by phases."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(8, 12, 3, 4, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(12, 16, 3, 2, 1), nn.ReLU())
        self.dilated = nn.Conv2d(16, 16, 3, padding=4, dilation=4, groups=16)

    def forward_features(self, images: Tensor) -> Tensor:
        found: Tensor = self.forward_intermediates(images)[0]
        return found

    def forward_intermediates(self, images: Tensor, *, intermediates_only: bool = False) -> Any:
        fine = self.fine(images)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        levels = [fine, middle, coarse]
        return levels if intermediates_only else (coarse + self.dilated(coarse), levels)


@pytest.fixture(scope="module", autouse=True)
def cone() -> Iterator[None]:
    """Enter the backbone for the tests of a module that imports this."""
    OWN[CONE] = Architecture(lambda config, _: Backbone(Cone(), 16, config.output_stride), (16,))
    yield
    del OWN[CONE]


def write_segmenter(path: Path, config: SegmenterConfig = SMALL) -> Path:
    """Write a segmenter of two classes, whose logits differ enough for labels to be told."""
    torch.manual_seed(0)
    config = completed(config)
    nodes = ClassNodes(torch.randn(2, 5), torch.eye(2) * 0.8 + 0.1) if config.reasoning.kind != "none" else None
    model = build_segmenter(config, 2, nodes=nodes)
    for weights in model.head.parameters():
        weights.data.normal_(std=0.3)
    save_model(path, model, {"kind": "segmenter", "classes": CLASSES, "model": asdict(config)})
    return path


def write_classifier(path: Path, backbone: BackboneConfig = BACKBONE) -> Path:
    """Write a tag classifier of two classes."""
    torch.manual_seed(0)
    model = TagClassifier(build_backbone(backbone), len(CLASSES))
    save_model(path, model, {"kind": "classifier", "classes": CLASSES, "backbone": asdict(backbone)})
    return path


def write_detector(path: Path, config: InstanceModelConfig | None = None) -> Path:
    """Write a Mask R-CNN of two classes, which finds many objects."""
    from weakseg.nn.segmenters.instance import KIND, build_instance_segmenter  # torchvision takes seconds to load

    torch.manual_seed(0)
    config = config or InstanceModelConfig(BACKBONE, width=16, hidden=16, mask_layers=1, proposals=60)
    model = build_instance_segmenter(config, 2)
    for name, weights in model.head.named_parameters():
        if weights.ndim > 1 and ("predictor" in name or "proposals.head" in name):
            weights.data.normal_(std=0.2 if "predictor" in name else 0.1)
    save_model(path, model, {"kind": KIND, "classes": CLASSES, "model": asdict(config)})
    return path
