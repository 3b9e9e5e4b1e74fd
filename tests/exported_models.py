"""Model files of networks of three layers that begin at random, to be exported: tracing takes a time for each layer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from generated import CLASSES
from weakseg.nn.backbones import OWN, Architecture, Backbone, build_backbone
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.exported.described import (
    BOXES,
    CELLS,
    CLASS_BIAS,
    IMAGES,
    INSTANCES,
    LABELS,
    LEAST_SCORE,
    MASKS,
    MAX_SIDE,
    MOST_OBJECTS,
    NMS_IOU,
    OPSET,
    SCORES,
    Described,
    Sides,
    Sight,
)
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


def write_detector(
    path: Path, config: InstanceModelConfig | None = None, biases: Mapping[str, Sequence[float]] = MappingProxyType({})
) -> Path:
    """Write a Mask R-CNN of two classes, which finds many objects; with other biases, it may find others or none."""
    from weakseg.nn.segmenters.instance import KIND, build_instance_segmenter  # torchvision takes seconds to load

    torch.manual_seed(0)
    config = config or InstanceModelConfig(BACKBONE, width=16, hidden=16, mask_layers=1, proposals=60)
    model = build_instance_segmenter(config, 2)
    for name, weights in model.head.named_parameters():
        if weights.ndim > 1 and ("predictor" in name or "proposals.head" in name):
            weights.data.normal_(std=0.2 if "predictor" in name else 0.1)
        if name in biases:
            weights.data += torch.tensor(biases[name])
    save_model(path, model, {"kind": KIND, "classes": CLASSES, "model": asdict(config)})
    return path


OBJECTS: Mapping[str, Any] = {
    BOXES: np.array([[2, 3, 20, 30], [5, 5, 9, 40]], np.float32),
    LABELS: np.array([1, 2]),
    SCORES: np.array([0.9, 0.6], np.float32),
    CELLS: np.full((2, 28, 28), 0.8, np.float32),
    MASKS: np.zeros((2, 1, 1), np.uint8),
}


def write_found(path: Path, found: Mapping[str, Any] = MappingProxyType({}), labels: int = len(CLASSES) + 1) -> Path:
    """Write an ONNX file that looks as one of a Mask R-CNN, and finds ``found`` in each image.

    Args:
        path: The file.
        found: Outputs in place of ``OBJECTS``.
        labels: Of the network that it claims to have.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    found = {name: np.asarray(value) for name, value in {**OBJECTS, **found}.items()}
    constants = [numpy_helper.from_array(value, f"{name} found") for name, value in found.items()]
    for name, value in ((LEAST_SCORE, 0.05), (NMS_IOU, 0.5)):
        constants.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    for name, number in ((MAX_SIDE, 512), (MOST_OBJECTS, 100)):
        constants.append(helper.make_tensor(name, TensorProto.INT64, [], [number]))
    constants.append(helper.make_tensor(CLASS_BIAS, TensorProto.FLOAT, [labels], [0.0] * labels))
    nodes = [helper.make_node("Identity", [f"{name} found"], [name]) for name in found]
    kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in found.items()}
    ends = [helper.make_tensor_value_info(name, kinds[name], value.shape) for name, value in found.items()]
    images = [helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, [1, "rows", "columns", 3])]
    graph = helper.make_graph(nodes, "found", images, ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    further = {"weakseg": "0", "colours": "[]", "source": ""}
    described = Described(INSTANCES, tuple(CLASSES), Sight(16, False, (0.0, 0.0, 0.0)), Sides(), further)
    helper.set_model_props(model, described.properties())
    onnx.save(model, path)
    return path
