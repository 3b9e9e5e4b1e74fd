"""What an exported file does before and after its network: pixels in, labels at their size out, as ONNX operators."""

from typing import Any

from weakseg.nn.exported.described import (
    ACTIVATIONS,
    IMAGES,
    LABELS,
    LOGITS,
    MAX_SIDE,
    OPSET,
    PROBABILITIES,
    SCORES,
    SEGMENTER,
    Described,
    onnx_module,
)

PIXELS = "pixels"  # the input of the bare network
DOUBLE, FLOAT, INT64, UINT8 = 11, 1, 7, 2
PLANES, SIDE_BY_SIDE = 2, 1  # axis of rows
PILLOW: dict[str, Any] = {"mode": "cubic", "antialias": 1, "cubic_coeff_a": -0.5, "exclude_outside": 1}


class Nodes:
    """Operators, in the order in which they were added, and the constants that they need.

    Attributes:
        nodes: The operators.
        constants: The constants.
    """

    def __init__(self, prefix: str) -> None:
        self._helper, self._prefix = onnx_module("onnx.helper"), prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, named: str = "", **attributes: Any) -> str:
        """Add an operator, and return the name of its output: ``named``, or a new one. An empty input is none."""
        name = named or f"{self._prefix}/{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: Any, kind: int) -> str:
        """Add a constant, a number or a list of numbers, and return its name."""
        name = f"{self._prefix}/constant {len(self.constants)}"
        listed = values if isinstance(values, list) else [values]
        dims = [len(listed)] if isinstance(values, list) else []
        self.constants.append(self._helper.make_tensor(name, kind, dims, listed))
        return name

    def cast(self, value: str, kind: int, *, named: str = "") -> str:
        """Add a change of type."""
        return self.add("Cast", value, named=named, to=kind)

    def scaled(self, size: str, max_side: str) -> str:
        """Add what ``ops.resample.scaled_size`` does at scale 1: (rows, columns), the long side at most so long."""
        longest = self.cast(self.add("ReduceMax", size, keepdims=0), DOUBLE)
        share = self.add("Div", self.cast(max_side, DOUBLE), longest)
        scale = self.add("Min", share, self.constant(1.0, DOUBLE))
        rounded = self.add("Round", self.add("Mul", self.cast(size, DOUBLE), scale))
        return self.add("Max", self.cast(rounded, INT64), self.constant(1, INT64))

    def resized(self, values: str, size: str, *, first: int, named: str = "", **how: Any) -> str:
        """Add the resizing of two axes of four, from ``first`` on, to ``size``; without more bilinear, corners free.

        Sizes of all four are given: of two, with ``axes``, onnxruntime 1.32 loses track where it moves transpositions.
        """
        before = self.add("Shape", values, start=0, end=first)
        parts = [before, size] if first == 2 else [before, size, self.add("Shape", values, start=3, end=4)]
        whole = self.add("Concat", *parts, axis=0)
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel", **how}
        return self.add("Resize", values, "", "", whole, named=named, **how)

    def nearest(self, size: str, given: str, axis: int) -> str:
        """Add which of the ``given`` rows or columns each of ``size`` takes: as Pillow, which adds up its steps."""
        number, zero = self.constant(axis, INT64), self.constant(0, INT64)
        wanted, there = self.add("Gather", size, number), self.add("Gather", given, number)
        step = self.add("Div", self.cast(there, DOUBLE), self.cast(wanted, DOUBLE))
        index = self.add("Range", zero, wanted, self.constant(1, INT64))
        half = self.add("Mul", step, self.constant(0.5, DOUBLE))
        steps = self.add("Where", self.add("Equal", index, zero), half, step)
        places = self.add("Floor", self.add("CumSum", steps, zero))
        last = self.add("Sub", there, self.constant(1, INT64))
        return self.add("Min", self.cast(places, INT64), last)


def surround(network: Any, described: Described, *, probabilities: bool = False) -> Any:
    """Return a model that takes pixels and decides labels, around a bare network.

    Args:
        network: ``onnx.ModelProto`` from ``pixels``, ``(N, 3, H, W)`` on the scale 0..255, to ``logits``, or to
            ``scores`` and ``activations``.
        described: Of what kind it is; becomes the properties of the file.
        probabilities: Whether these of a segmenter are an output, too.

    Returns:
        ``onnx.ModelProto`` from ``images``, ``(N, H, W, 3)`` uint8, to ``labels``, ``(N, H, W)`` uint8, ``logits`` and,
        where they are wanted, ``probabilities``; or to scores and activations.
    """
    helper, nodes = onnx_module("onnx.helper"), Nodes("before")
    size, seen = _before(nodes, described)
    after, outputs = Nodes("after"), [_known(network, name) for name in (LOGITS, SCORES, ACTIVATIONS)]
    ends = [value for value in outputs if value is not None]
    if described.kind == SEGMENTER:
        _after(after, described, size, seen, probabilities)
        ends = [helper.make_tensor_value_info(LABELS, UINT8, ["images", "rows", "columns"]), *ends]
    if probabilities:
        dims = ["images", len(described.classes) + 1, "decided rows", "decided columns"]
        ends.append(helper.make_tensor_value_info(PROBABILITIES, FLOAT, dims))
    given = [helper.make_tensor_value_info(IMAGES, UINT8, ["images", "rows", "columns", 3])]
    largest = helper.make_tensor(MAX_SIDE, INT64, [], [described.sides.seen])
    constants = [largest, *nodes.constants, *network.graph.initializer, *after.constants]
    steps = [*nodes.nodes, *network.graph.node, *after.nodes]
    graph = helper.make_graph(steps, described.kind, given, ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="weakseg")
    model.ir_version = network.ir_version
    helper.set_model_props(model, described.properties())
    return model


def _known(network: Any, name: str) -> Any:
    return next((value for value in network.graph.output if value.name == name), None)


def _before(nodes: Nodes, described: Described) -> tuple[str, str]:
    """Add what makes ``pixels`` of images; return the names of their size, and of the size that the network sees."""
    size = nodes.add("Shape", IMAGES, start=1, end=3)
    seen = nodes.scaled(size, MAX_SIDE)
    planes = nodes.resized(nodes.add("Transpose", IMAGES, perm=[0, 3, 1, 2]), seen, first=PLANES, **PILLOW)
    if not (described.sight.corners or described.sight.whole):
        nodes.cast(planes, FLOAT, named=PIXELS)
        return size, seen
    pixels, fill = nodes.cast(planes, FLOAT), nodes.constant(list(described.sight.fill), FLOAT)
    shaped = nodes.add("Reshape", fill, nodes.constant([1, 3, 1, 1], INT64))
    # padding of three colours: what is around 0 in images less the colour is the colour
    less = nodes.add("Sub", pixels, shaped)
    rest = nodes.constant([1 if described.sight.corners else 0], INT64)  # of sides, modulo the stride
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
