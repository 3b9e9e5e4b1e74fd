"""Whether an ONNX file is one that weakseg has written: looked at before anything of it runs."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from weakseg.errors import CheckpointError, cut
from weakseg.nn.exported.described import (
    CLASS_BIAS,
    CLASSIFIER,
    IMAGES,
    INSTANCES,
    LEAST_SCORE,
    LOGITS,
    MAX_SIDE,
    MOST_OBJECTS,
    NMS_IOU,
    OPSET,
    OUTPUTS,
    SCORES,
    SEGMENTER,
    Described,
)

FLOAT, INT64 = 1, 7
MOST_CELLS = 64  # along a side of what a box is resampled to
NEEDED = {
    SEGMENTER: {MAX_SIDE: INT64},
    CLASSIFIER: {MAX_SIDE: INT64},
    INSTANCES: {MAX_SIDE: INT64, LEAST_SCORE: FLOAT, NMS_IOU: FLOAT, MOST_OBJECTS: INT64},
}  # single constants that are changed when the file is used
MOST_VALUES = 2**28  # that one constant may ask for
BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}  # of a value, by the number of its type
TYPED = {1: "float_data", 6: "int32_data", 2: "int32_data", 3: "int32_data", 9: "int32_data", 7: "int64_data"} | {
    10: "int32_data",
    11: "double_data",
}
SIZING = {
    "ConstantOfShape",
    "Expand",
    "Tile",
    "Resize",
    "Pad",
    "Range",
    "Reshape",
}  # what sizes of results are given to
REFUSED = {"If", "Loop", "Scan", "SequenceMap", "RandomNormal", "RandomUniform"}  # and all of other domains


def check_model(model: Any, where: str) -> Described:
    """Return what a model says of itself.

    Args:
        model: An ``onnx.ModelProto``.
        where: For errors.

    Raises:
        CheckpointError: As ``read_onnx``.
    """
    found = _described(model, where)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets != {"": OPSET}:
        named = ", ".join(f"{name or 'ai.onnx'} {version}" for name, version in opsets.items())
        raise CheckpointError(
            f"{where}: uses operators of {cut(named) or 'no set'}, not of ai.onnx {OPSET}; export again"
        )
    if model.functions or model.training_info or model.graph.sparse_initializer:
        raise CheckpointError(f"{where}: holds functions or sparse tensors, which weakseg does not write; export again")
    for tensor in _tensors(model):
        _check_tensor(tensor, where)
    sizes = _check_nodes(model.graph, where)
    for name, tensor in _constants(model.graph):
        if name in sizes:
            _check_sizes(tensor, where)
    _check_ends(model.graph, found, where)
    return found


def _described(model: Any, where: str) -> Described:
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if "weakseg" not in properties:
        raise CheckpointError(
            f"{where}: was not written by weakseg, whose files alone are read (weakseg export-model writes them); "
            "run it by onnxruntime"
        )
    try:
        return Described.of(properties)
    except (KeyError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{where}: its properties are damaged ({cut(error)}); export the model again") from error


def _tensors(message: Any) -> Iterator[Any]:
    """Yield every tensor in a message, wherever it is."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "__len__") and not hasattr(value, "DESCRIPTOR") else (value,):
                yield from _tensors(part)


def _check_tensor(tensor: Any, where: str) -> None:
    """Refuse a tensor that lies elsewhere, or that claims to be another size than its bytes."""
    name = cut(repr(tensor.name))
    if tensor.data_location or tensor.external_data:
        raise CheckpointError(
            f"{where}: tensor {name} lies in another file, and none is opened; export the model again"
        )
    if tensor.data_type not in BYTES or min(tensor.dims, default=1) < 0:
        raise CheckpointError(
            f"{where}: tensor {name} is of type {tensor.data_type}, {list(tensor.dims)[:8]}; export again"
        )
    count = math.prod(tensor.dims)
    there = len(tensor.raw_data) // BYTES[tensor.data_type] or len(getattr(tensor, TYPED[tensor.data_type]))
    if count != there:
        raise CheckpointError(
            f"{where}: tensor {name} should have {cut(list(tensor.dims)[:8])} values and has {there}; it is damaged"
        )


def _check_nodes(graph: Any, where: str) -> set[str]:
    """Refuse operators that weakseg does not write; return the names of values that tell sizes."""
    sizes: set[str] = set()
    for node in graph.node:
        inner = any(entry.HasField("g") or entry.graphs for entry in node.attribute)
        if node.domain or node.op_type in REFUSED or inner:
            called = cut(f"{node.domain or 'ai.onnx'}.{node.op_type}")
            raise CheckpointError(f"{where}: holds the operator {called}, which weakseg does not write; export again")
        sides = [
            entry.i for entry in node.attribute if entry.name in ("output_height", "output_width", "sampling_ratio")
        ]
        if node.op_type == "RoiAlign" and not 0 <= min(sides, default=0) <= max(sides, default=0) <= MOST_CELLS:
            raise CheckpointError(f"{where}: resamples boxes to {cut(sides)} cells; the file is damaged")
        if node.op_type in SIZING:
            sizes.update(name for name in node.input if name)
    return sizes


def _constants(graph: Any) -> Iterator[tuple[str, Any]]:
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for entry in node.attribute if node.op_type == "Constant" else ():
            if entry.HasField("t"):
                yield node.output[0], entry.t


def _check_sizes(tensor: Any, where: str) -> None:
    """Refuse sizes of results, which are short lists of integers, that ask for more than any network has."""
    if tensor.data_type != INT64 or math.prod(tensor.dims) > 8:
        return
    raw = np.frombuffer(tensor.raw_data, np.int64) if tensor.raw_data else np.array(tensor.int64_data, np.int64)
    wanted = math.prod(abs(int(value)) for value in raw if value)
    if wanted > MOST_VALUES and not set(map(abs, raw.tolist())) <= {0, 1, 2**63 - 1, 2**63}:
        raise CheckpointError(
            f"{where}: {cut(repr(tensor.name))} asks for {cut(raw.tolist())} values; the file is damaged"
        )


def _check_ends(graph: Any, found: Described, where: str) -> None:
    """Refuse other inputs and outputs than the file's kind has, and labels of another network."""
    outputs = {value.name: value.type.tensor_type for value in graph.output}
    inputs = [value.name for value in graph.input]
    if inputs != [IMAGES] or not set(OUTPUTS[found.kind]) <= outputs.keys():
        raise CheckpointError(
            f"{where}: takes {cut(inputs)} and gives {cut(list(outputs))}, where a {found.kind} takes {IMAGES} and "
            f"gives {', '.join(OUTPUTS[found.kind])}; export again"
        )
    single = {tensor.name: tensor.data_type for tensor in graph.initializer if not tensor.dims}
    for name, kind in NEEDED[found.kind].items():
        if single.get(name) != kind:
            raise CheckpointError(f"{where}: has no constant {name!r}; export again")
    if found.kind == INSTANCES:  # which gives ids
        dims = [dim for tensor in graph.initializer if tensor.name == CLASS_BIAS for dim in tensor.dims]
    else:
        dims = [dim.dim_value for dim in outputs[LOGITS if found.kind == SEGMENTER else SCORES].shape.dim][1:]
    wanted = len(found.labels)
    if not dims or dims[0] != wanted:
        raise CheckpointError(
            f"{where}: names {wanted} labels, and its network has {dims[0] if dims else 'none'}: it is of "
            "another class list; export the model again"
        )
