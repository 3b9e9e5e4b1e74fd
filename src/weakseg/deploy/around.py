"""What an exported file does before and after its network: pixels in, labels at their size out, as ONNX operators."""

from typing import Any

from weakseg.deploy.around_found import add_found, free_constants, name_class_bias
from weakseg.deploy.nodes import FLOAT, INT64, UINT8, Nodes
from weakseg.nn.exported.described import (
    BOXES,
    IMAGES,
    INSTANCES,
    LABELS,
    LOGITS,
    MASKS,
    MAX_SIDE,
    OPSET,
    OUTPUTS,
    PROBABILITIES,
    SEGMENTER,
    Described,
    onnx_module,
)

PIXELS = "pixels"  # the input of the bare network
PLANES, SIDE_BY_SIDE = 2, 1  # axis of rows
PILLOW: dict[str, Any] = {"mode": "cubic", "antialias": 1, "cubic_coeff_a": -0.5, "exclude_outside": 1}


def surround(network: Any, described: Described, *, probabilities: bool = False) -> Any:
    """Return a model that takes pixels and decides labels, around a bare network.

    Args:
        network: ``onnx.ModelProto`` from ``pixels``, ``(N, 3, H, W)`` on the scale 0..255, to ``logits``, or to
            ``scores`` and ``activations``, or to what ``Found`` gives.
        described: Of what kind it is; becomes the properties of the file.
        probabilities: Whether these of a segmenter are an output, too.

    Returns:
        ``onnx.ModelProto`` from ``images``, ``(N, H, W, 3)`` uint8, to ``labels``, ``(N, H, W)`` uint8, ``logits`` and,
        where they are wanted, ``probabilities``; or to scores and activations; or to boxes, labels, scores and masks of
        the objects in one image.
    """
    helper, nodes, after = onnx_module("onnx.helper"), Nodes("before"), Nodes("after")
    size, seen = _before(nodes, described)
    if described.kind == SEGMENTER:
        _after(after, described, size, seen, probabilities)
    elif described.kind == INSTANCES:
        free_constants(network)
        name_class_bias(network)
        add_found(after, size, seen)
    images = 1 if described.kind == INSTANCES else "images"
    given = [helper.make_tensor_value_info(IMAGES, UINT8, [images, "rows", "columns", 3])]
    largest = helper.make_tensor(MAX_SIDE, INT64, [], [described.sides.seen])
    constants = [largest, *nodes.constants, *network.graph.initializer, *after.constants]
    steps = [*nodes.nodes, *network.graph.node, *after.nodes]
    graph = helper.make_graph(steps, described.kind, given, _ends(network, described, probabilities), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="weakseg")
    model.ir_version = network.ir_version
    helper.set_model_props(model, described.properties())
    return model


def _ends(network: Any, described: Described, probabilities: bool) -> list[Any]:
    """Return the outputs: those of the network, and what is made of them."""
    helper = onnx_module("onnx.helper")
    known = {value.name: value for value in network.graph.output}
    made = {
        LABELS: (UINT8, ["images", "rows", "columns"]),
        PROBABILITIES: (FLOAT, ["images", len(described.classes) + 1, "decided rows", "decided columns"]),
        BOXES: (FLOAT, ["objects", 4]),
        MASKS: (UINT8, ["objects", "rows", "columns"]),
    }
    names = [*OUTPUTS[described.kind], *([PROBABILITIES] if probabilities else [])]
    return [known[name] if name in known else helper.make_tensor_value_info(name, *made[name]) for name in names]


def _before(nodes: Nodes, described: Described) -> tuple[str, str]:
    """Add what makes ``pixels`` of images; return the names of their size, and of the size that the network sees."""
    size = nodes.add("Shape", IMAGES, start=1, end=3)
    seen = nodes.scaled(size, MAX_SIDE)
    planes = nodes.resized(nodes.add("Transpose", IMAGES, perm=[0, 3, 1, 2]), seen, first=PLANES, **PILLOW)
    if not described.sight.corners:
        nodes.cast(planes, FLOAT, named=PIXELS)
        return size, seen
    pixels, fill = nodes.cast(planes, FLOAT), nodes.constant(list(described.sight.fill), FLOAT)
    shaped = nodes.add("Reshape", fill, nodes.constant([1, 3, 1, 1], INT64))
    # padding of three colours: what is around 0 in images less the colour is the colour
    less = nodes.add("Sub", pixels, shaped)
    rest = nodes.constant([1], INT64)  # of sides, modulo the stride
    over = nodes.add("Mod", nodes.add("Sub", rest, seen), nodes.constant([described.sight.stride], INT64))
    none = nodes.constant([0, 0], INT64)
    pads = nodes.add("Concat", none, none, none, over, axis=0)
    nodes.add("Add", nodes.add("Pad", less, pads), shaped, named=PIXELS)
    return size, seen


def _after(nodes: Nodes, described: Described, size: str, seen: str, probabilities: bool) -> None:
    """Add what makes labels of logits, and where they are wanted probabilities.

    Labels of a pixel lie side by side, which takes half of the time of planes.
    """
    decided = nodes.scaled(size, nodes.constant(described.sides.decided, INT64))
    cells = nodes.add("Transpose", LOGITS, perm=[0, 2, 3, 1])
    if described.sight.corners:
        whole = nodes.add("Shape", PIXELS, start=2, end=4)
        enlarged = nodes.resized(cells, whole, first=SIDE_BY_SIDE, coordinate_transformation_mode="align_corners")
        start, axes = nodes.constant([0, 0], INT64), nodes.constant([1, 2], INT64)
        cut = nodes.add("Softmax", nodes.add("Slice", enlarged, start, seen, axes), axis=3)
        values = nodes.resized(cut, decided, first=SIDE_BY_SIDE)
    else:
        values = nodes.resized(cells, decided, first=SIDE_BY_SIDE)
    if probabilities:
        told = values if described.sight.corners else nodes.add("Softmax", values, axis=3)
        nodes.add("Transpose", told, named=PROBABILITIES, perm=[0, 3, 1, 2])
    best = nodes.cast(nodes.add("ArgMax", values, axis=3, keepdims=0), UINT8)
    rows = nodes.add("Gather", best, nodes.nearest(size, decided, 0), axis=1)
    nodes.add("Gather", rows, nodes.nearest(size, decided, 1), named=LABELS, axis=2)
