"""Layers as exporters take them give what the layers give that they stand for."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import batched_nms

from exported_models import BACKBONE, cone  # noqa: F401 - the fixture
from weakseg.deploy.around_found import SEEN_BOXES, add_found
from weakseg.deploy.nodes import Nodes
from weakseg.deploy.pictures import picture
from weakseg.nn.backbones import build_backbone
from weakseg.nn.exported.described import BOXES, CELLS, MASKS, OPSET
from weakseg.nn.exported.exportable import TreeInRounds, make_exportable
from weakseg.nn.exported.found import Found, _apart
from weakseg.nn.exported.lone import LoneImages
from weakseg.nn.graphs.image_graph import ImageGraph
from weakseg.nn.segmenters.instance import build_instance_segmenter
from weakseg.nn.segmenters.tree import TreeHead
from weakseg.ops.resample import image_tensor
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.group import ImageGraphConfig
from weakseg.settings.instance_segment import InstanceModelConfig

PLAIN = ImageGraphConfig()
GRAPHS = {
    "sum": PLAIN,
    "previous": replace(PLAIN, timing="previous", gate=True),
    "side by side": replace(PLAIN, aggregate="concatenate", senders=2),
    "side by side, previous": replace(PLAIN, aggregate="concatenate", senders=2, timing="previous"),
    "without itself": replace(PLAIN, self_edge=False),
    "means": replace(PLAIN, update="mean", aggregate="mean", self_edge=False),
}


@pytest.mark.parametrize("name", GRAPHS)
@torch.inference_mode()
def test_images_that_are_alone(name: str) -> None:
    torch.manual_seed(0)
    graph = torch.nn.Sequential(ImageGraph(8, GRAPHS[name])).eval()
    for weights in graph.parameters():
        weights.normal_(std=0.5)
    states, edges = torch.randn(2, 8, 5, 4), torch.zeros(2, 0, dtype=torch.long)
    wanted = graph[0](states, edges)
    make_exportable(graph)
    assert type(graph[0]) is LoneImages
    torch.testing.assert_close(graph[0](states, edges), wanted)


@torch.inference_mode()
def test_the_head_of_trees() -> None:
    torch.manual_seed(0)
    head = torch.nn.Sequential(TreeHead(8, 32, 3, 0)).eval()
    features, levels = torch.randn(2, 8, 9, 7), [torch.randn(2, 5, 18, 14)]
    wanted = head[0](features, levels)
    make_exportable(head)
    assert type(head[0]) is TreeInRounds
    torch.testing.assert_close(head[0](features, levels), wanted)


@pytest.mark.parametrize("coordinates", ["separate", "max", "min"])
def test_rotary_positions(coordinates: str) -> None:
    from timm.layers.pos_embed_sincos import RotaryEmbeddingDinoV3

    rotary = torch.nn.Sequential(RotaryEmbeddingDinoV3(16, normalize_coords=coordinates))
    wanted = rotary[0].get_embed((5, 7))
    make_exportable(rotary)
    torch.testing.assert_close(rotary[0].get_embed((5, 7)), wanted)


@torch.inference_mode()
def test_whole_cells_of_transformers() -> None:
    backbone = build_backbone(BackboneConfig("test_vit", 16, "none")).eval()
    images = torch.rand(1, 3, 49, 81) * 255
    wanted = backbone(images)
    make_exportable(backbone)
    torch.testing.assert_close(backbone(images), wanted)


@pytest.mark.parametrize(("size", "score", "most"), [((97, 131), 0.05, 100), ((150, 90), 0.3, 7), ((64, 64), 0.999, 9)])
@torch.inference_mode()
def test_mask_rcnn(size: tuple[int, int], score: float, most: int) -> None:
    torch.manual_seed(0)
    model = build_instance_segmenter(InstanceModelConfig(BACKBONE, 16, 16, 1, 16, 60), 2).eval()
    image = image_tensor(picture(size))
    wanted = model.find(image, score=score, most=most)
    boxes, ids, scores, masks = Found(model, 0.5)(image[None], torch.tensor(score), torch.tensor(most))
    assert (len(boxes) == 0) == (score == 0.999) and len(boxes) <= most
    for found, one in zip((boxes, ids, scores, masks[:, None]), vars(wanted).values(), strict=True):
        torch.testing.assert_close(found, one)


@torch.inference_mode()
def test_levels_are_those_of_the_pools() -> None:
    torch.manual_seed(0)
    model = build_instance_segmenter(InstanceModelConfig(BACKBONE, 16, 16, 1, 16, 60), 2).eval()
    model.head.regions.box_roi_pool.canonical_scale, model.head.regions.mask_roi_pool.canonical_level = 40, 5
    image = image_tensor(picture((97, 131)))
    wanted = model.find(image)
    found = Found(model, 0.5)(image[None], torch.tensor(0.05), torch.tensor(100))
    for mine, one in zip(found, (wanted.boxes, wanted.class_ids, wanted.scores, wanted.masks[:, 0]), strict=True):
        torch.testing.assert_close(mine, one)


@pytest.mark.parametrize(("classes", "side"), [(80, 4096), (1200, 1333), (1200, 4096)])
def test_boxes_of_many_classes_are_kept_apart(classes: int, side: int) -> None:
    """Small boxes of the last classes, which are moved furthest: few that overlap hardly enough go another way."""
    draw = torch.Generator().manual_seed(1)
    places = side - 700 + torch.randint(0, 34, (6000, 2), generator=draw) * 20 + torch.rand(6000, 2, generator=draw) * 6
    boxes = torch.cat([places, places + torch.rand(6000, 2, generator=draw) * 12 + 8], 1).clamp(max=side)
    scores, ids = torch.rand(6000, generator=draw), classes - torch.randint(0, 3, (6000,), generator=draw)
    wanted = batched_nms(boxes, scores, ids, 0.5)
    kept = _apart(boxes, scores, ids, 0.5, (side, side), classes + 1)
    assert len(set(kept.tolist()) ^ set(wanted.tolist())) <= 3
    for count in (0, 1, 2):
        kept = _apart(boxes[:count], scores[:count], ids[:count], 0.5, (side, side), classes + 1)
        assert sorted(kept.tolist()) == sorted(batched_nms(boxes[:count], scores[:count], ids[:count], 0.5).tolist())


@pytest.mark.parametrize("objects", [0, 40])
def test_masks_are_pasted_as_torchvision_does(objects: int) -> None:
    """Boxes of all sizes, some as thin as a pixel, some that touch the border."""
    rng, nodes = np.random.default_rng(0), Nodes("test")
    add_found(nodes, "size", "seen")
    entries = [("size", TensorProto.INT64, [2]), ("seen", TensorProto.INT64, [2])]
    entries += [(SEEN_BOXES, TensorProto.FLOAT, ["n", 4]), (CELLS, TensorProto.FLOAT, ["n", 28, 28])]
    ends = [(BOXES, TensorProto.FLOAT, ["n", 4]), (MASKS, TensorProto.UINT8, ["n", "h", "w"])]
    values = [[helper.make_tensor_value_info(*one) for one in part] for part in (entries, ends)]
    graph = helper.make_graph(nodes.nodes, "pasting", *values, nodes.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    corners = np.sort(rng.uniform(0, 1, (objects, 2, 2)) ** 2, 1) * (101, 67)
    seen = np.concatenate([corners[:, 0], np.maximum(corners[:, 1], corners[:, 0] + 0.02)], 1).astype(np.float32)
    cells = rng.uniform(0, 1, (objects, 28, 28)).astype(np.float32)
    given = {"size": np.array([134, 202]), "seen": np.array([67, 101]), SEEN_BOXES: seen, CELLS: cells}
    boxes, masks = onnxruntime.InferenceSession(model.SerializeToString()).run([BOXES, MASKS], given)
    np.testing.assert_allclose(boxes, 2 * seen)
    pasted = paste_masks_in_image(torch.from_numpy(cells)[:, None], torch.from_numpy(boxes), (134, 202))[:, 0]
    assert masks.shape == (objects, 134, 202) and (objects == 0 or 0.02 < masks.mean() < 0.9)
    assert ((pasted >= 0.5).numpy() == masks.astype(bool)).mean() > 0.9999 or objects == 0
