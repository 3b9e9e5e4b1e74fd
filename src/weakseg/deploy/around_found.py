"""What an exported Mask R-CNN does after its network: boxes on the image, and masks in them, as ONNX operators."""

from typing import Any

from weakseg.deploy.nodes import DOUBLE, FLOAT, INT64, UINT8, Nodes
from weakseg.nn.exported.described import (
    BOXES,
    CELLS,
    CLASS_BIAS,
    LEAST_SCORE,
    MASKS,
    MOST_OBJECTS,
    NMS_IOU,
    onnx_module,
)
from weakseg.settings.instance_segment import MASK_SIDE, InstancePredictConfig

SEEN_BOXES = "seen_boxes"  # what the bare network gives: in pixels of the image that it sees
PADDED = MASK_SIDE + 2
LEFT, TOP, RIGHT, BOTTOM = range(4)


def free_constants(network: Any) -> None:
    """Make constants of what the caller may want otherwise: inputs of a bare network, and how far boxes may overlap."""
    helper, config = onnx_module("onnx.helper"), InstancePredictConfig()
    values = {LEAST_SCORE: (FLOAT, config.score), MOST_OBJECTS: (INT64, config.most), NMS_IOU: (FLOAT, config.nms)}
    last = [node for node in network.graph.node if node.op_type == "NonMaxSuppression"][-1]
    last.input[3] = NMS_IOU
    for name, (kind, value) in values.items():
        network.graph.initializer.append(helper.make_tensor(name, kind, [], [value]))


def name_class_bias(network: Any) -> None:
    """Give the constant that has a value for each label a name by which readers find it."""
    (bias,) = (tensor for tensor in network.graph.initializer if tensor.name.endswith("box_predictor.cls_score.bias"))
    for node in network.graph.node:
        node.input[:] = [CLASS_BIAS if name == bias.name else name for name in node.input]
    bias.name = CLASS_BIAS


def add_found(nodes: Nodes, size: str, seen: str) -> None:
    """Add boxes in pixels of the image, and masks of its size: as torchvision pastes them, all at once.

    A mask of 28 x 28 cells gets a margin of one; rows and columns are interpolated by products with weights.

    Args:
        nodes: The operators so far.
        size: Name of (rows, columns) of the image.
        seen: Name of those of what the network has seen.
    """
    ratio = nodes.add("Div", nodes.cast(size, DOUBLE), nodes.cast(seen, DOUBLE))
    factors = nodes.cast(nodes.add("Gather", ratio, nodes.constant([1, 0, 1, 0], INT64)), FLOAT)
    boxes = nodes.add("Mul", SEEN_BOXES, factors, named=BOXES)
    rows = _weights(nodes, boxes, (TOP, BOTTOM), nodes.add("Gather", size, nodes.constant(0, INT64)))
    columns = _weights(nodes, boxes, (LEFT, RIGHT), nodes.add("Gather", size, nodes.constant(1, INT64)))
    padded = nodes.add("Pad", CELLS, nodes.constant([0, 1, 1, 0, 1, 1], INT64))
    inside = nodes.add("MatMul", nodes.add("MatMul", rows, padded), nodes.add("Transpose", columns, perm=[0, 2, 1]))
    above = nodes.add("GreaterOrEqual", inside, nodes.constant(InstancePredictConfig().mask, FLOAT))
    nodes.cast(above, UINT8, named=MASKS)


def _weights(nodes: Nodes, boxes: str, edges: tuple[int, int], length: str) -> str:
    """Add ``(N, length, 30)`` weights of the padded cells of a mask along one axis of the image."""
    first, last = (nodes.add("Gather", boxes, nodes.constant([edge], INT64), axis=1) for edge in edges)
    half, one, none = (nodes.constant(value, FLOAT) for value in (0.5, 1.0, 0.0))
    reach = nodes.add(
        "Mul", nodes.add("Mul", nodes.add("Sub", last, first), half), nodes.constant(PADDED / MASK_SIDE, FLOAT)
    )
    middle = nodes.add("Mul", nodes.add("Add", last, first), half)
    start, end = (nodes.cast(nodes.cast(nodes.add(kind, middle, reach), INT64), FLOAT) for kind in ("Sub", "Add"))
    extent = nodes.add("Max", nodes.add("Add", nodes.add("Sub", end, start), one), one)
    pixels = nodes.add("Range", nodes.constant(0, INT64), length, nodes.constant(1, INT64))
    there = nodes.add("Sub", nodes.cast(pixels, FLOAT), start)  # (N, length)
    shown = nodes.add("And", nodes.add("GreaterOrEqual", there, none), nodes.add("Less", there, extent))
    step = nodes.add("Div", nodes.constant(float(PADDED), FLOAT), extent)
    place = nodes.add("Sub", nodes.add("Mul", nodes.add("Add", there, half), step), half)
    place = nodes.add("Clip", place, none, nodes.constant(float(PADDED - 1), FLOAT))
    axis = nodes.constant([2], INT64)
    cells = nodes.constant([float(cell) for cell in range(PADDED)], FLOAT)
    apart = nodes.add("Abs", nodes.add("Sub", nodes.add("Unsqueeze", place, axis), cells))
    near = nodes.add("Max", nodes.add("Sub", one, apart), none)
    return nodes.add("Mul", near, nodes.add("Unsqueeze", nodes.cast(shown, FLOAT), axis))
