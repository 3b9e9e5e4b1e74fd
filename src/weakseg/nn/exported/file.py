"""ONNX files that weakseg has written: read, and run by onnxruntime."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weakseg.errors import CheckpointError, cut
from weakseg.nn.exported.check import check_model
from weakseg.nn.exported.described import IMAGES, Described, onnx_module

LARGEST = 2**31 - 1  # bytes of a protobuf
NO_SIDE = 2**31  # longer than that of any image


def read_onnx(path: Path) -> tuple[Any, Described]:
    """Return the ``onnx.ModelProto`` in a file that ``weakseg export-model`` has written, and what it says of itself.

    All that is looked at is looked at before anything of it runs: no other file is opened, and no tensor is larger than
    its bytes.

    Raises:
        CheckpointError: If it is missing, no ONNX, of another program or opset, refers to other files, holds operators
            that weakseg does not write, or its labels are not those of its network.
        ConfigError: If onnx is not installed.
    """
    onnx = onnx_module()
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LARGEST else b""
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}; give an ONNX file") from error
    if size > LARGEST:
        raise CheckpointError(f"{path}: has {size} bytes, and ONNX files at most {LARGEST}; export the model again")
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # of protobuf, whose classes depend on how it was built
        raise CheckpointError(f"{path}: is no ONNX file ({cut(error)}); export the model again") from error
    return model, check_model(model, str(path))


def content_with(model: Any, outputs: Collection[str], constants: Mapping[str, float]) -> bytes:
    """Return the content of a model that gives some outputs alone, with other values of single constants.

    Operators that none of them needs are left out: onnxruntime runs them all.
    """
    changed = type(model)()
    changed.CopyFrom(model)
    for tensor in changed.graph.initializer:
        if tensor.name in constants:
            made = onnx_module("onnx.helper").make_tensor(tensor.name, tensor.data_type, [], [constants[tensor.name]])
            tensor.CopyFrom(made)
    kept = [value for value in model.graph.output if value.name in outputs]
    del changed.graph.output[:]
    changed.graph.output.extend(kept)
    needed, nodes = {value.name for value in kept}, []
    for node in reversed(model.graph.node):  # each comes after those that it needs
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    del changed.graph.node[:]
    changed.graph.node.extend(reversed(nodes))
    content: bytes = changed.SerializeToString()
    return content


def open_session(content: bytes, where: str, threads: int) -> Any:
    """Return an onnxruntime session on the CPU.

    Args:
        content: Of a file that was looked at.
        where: For errors.
        threads: That one image may use.

    Raises:
        CheckpointError: If onnxruntime refuses it.
        ConfigError: If onnxruntime is not installed.
    """
    runtime = onnx_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # its refusals are raised, too
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that spin lose to other programs
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CheckpointError(f"{where}: onnxruntime refuses it: {cut(error)}; export the model again") from error


def outputs_of(session: Any, names: Sequence[str], images: Tensor, where: str) -> list[Any]:
    """Return outputs of a session on ``(B, 3, H, W)`` images on the scale 0..255, rounded.

    Raises:
        CheckpointError: If onnxruntime cannot run it.
    """
    pixels = images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    try:
        found: list[Any] = session.run(list(names), {IMAGES: pixels})
    except Exception as error:
        size = "{} x {}".format(*pixels.shape[1:3])
        raise CheckpointError(f"{where}: cannot be run on an image of {size}: {cut(error)}") from error
    return found
