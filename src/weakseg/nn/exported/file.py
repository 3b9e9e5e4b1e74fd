"""ONNX files that weakseg has written: read, and run by onnxruntime."""

from pathlib import Path
from typing import Any

from weakseg.errors import CheckpointError, cut
from weakseg.nn.exported.check import check_model
from weakseg.nn.exported.described import LOGITS, MAX_SIDE, Described, onnx_module

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


def without_ends(model: Any) -> bytes:
    """Return the content of a segmenter's model that gives logits alone, of images as large as they are."""
    largest = next(tensor for tensor in model.graph.initializer if tensor.name == MAX_SIDE)
    largest.CopyFrom(onnx_module("onnx.helper").make_tensor(MAX_SIDE, largest.data_type, [], [NO_SIDE]))
    kept = [value for value in model.graph.output if value.name == LOGITS]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    content: bytes = model.SerializeToString()
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
