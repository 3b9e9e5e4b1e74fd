"""Write a trained network as a file that other programs run."""

import math
from pathlib import Path
from typing import Any

from weakseg.deploy.agreement import Agreement, check_agreement, runner
from weakseg.deploy.around import surround
from weakseg.deploy.network import Given, load_exportable
from weakseg.deploy.objects import check_objects, onnx_finder
from weakseg.deploy.traced import bare_onnx
from weakseg.errors import ConfigError
from weakseg.files import write_bytes
from weakseg.nn.exported.check import check_model
from weakseg.nn.exported.described import INSTANCES, SEGMENTER, Described, onnx_module
from weakseg.nn.exported.file import LARGEST


def export_onnx(given: Given, out: Path, *, probabilities: bool = False) -> Agreement:
    """Write a segmenter or a tag classifier as ONNX, once onnxruntime and torch agree on it.

    Args:
        given: The model file.
        out: The file to write; appears whole or not at all.
        probabilities: Whether those of a segmenter are an output, too.

    Returns:
        How far they agree.

    Raises:
        ConfigError: If onnx or onnxruntime is missing, or networks of this kind cannot be exported.
        CheckpointError: If the model file cannot be read, or the exported file does not agree.
    """
    bare, described = bare_model(given, "--probabilities" if probabilities else "")
    model = surround(bare, described, probabilities=probabilities)
    check_model(model, str(given.path))
    content = serialized(model, given)
    where = str(given.path)
    if described.kind == INSTANCES:
        agreement = check_objects(onnx_finder(content, where), given)
    else:
        agreement = check_agreement(runner(content, described, where), given, described)
    write_bytes(out, content)
    return agreement


def bare_model(given: Given, flag: str = "") -> tuple[Any, Described]:
    """Return ``onnx.ModelProto`` of a network alone, and what is to be said of it.

    Args:
        given: The model file.
        flag: One that is for segmenters alone.

    Raises:
        ConfigError: As ``export_onnx``.
        CheckpointError: If the model file cannot be read.
    """
    onnx_module("onnxruntime")  # said before the work
    network, described = load_exportable(given)
    if flag and described.kind != SEGMENTER:
        raise ConfigError(f"{flag}: is for segmenters, and {given.path} is a {described.kind}; leave it out")
    stride, most = described.sight.stride, described.sight.most
    if most and math.ceil(given.sides.seen / stride) ** 2 > most:
        raise ConfigError(
            f"{given.path}: its head is exported for {most} cells at most, and images of {given.sides.seen} pixels a "
            f"side have more cells of {stride} pixels; give --max-side {math.isqrt(most) * stride} or less"
        )
    return bare_onnx(network, described, str(given.path)), described


def serialized(model: Any, given: Given) -> bytes:
    """Return the bytes of a model.

    Raises:
        ConfigError: If they are more than a protobuf holds.
    """
    if model.ByteSize() > LARGEST:
        raise ConfigError(f"{given.path}: the network has more than 2 GB, the most that one ONNX file holds")
    content: bytes = model.SerializeToString()
    return content
