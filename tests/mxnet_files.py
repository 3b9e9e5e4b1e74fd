"""Parameter files of MXNet, written as its documentation describes them."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.nn.mxnet import TYPES

MAGIC = {1: 0xF993FAC8, 2: 0xF993FAC9, 3: 0xF993FACA}


def array_bytes(values: NDArray[np.generic], version: int, *, kind: int | None = None, storage: int = 0) -> bytes:
    """Return an array as MXNet's documentation of the layout says; version 0 has no magic number."""
    flags = {np.dtype(code): flag for flag, code in TYPES.items()}
    kind = flags[values.dtype] if kind is None else kind
    head = struct.pack("<I", MAGIC[version]) if version else b""
    head += struct.pack("<i", storage) if version >= 2 else b""
    head += struct.pack(f"<I{values.ndim}{'q' if version else 'I'}", values.ndim, *values.shape)
    return head + struct.pack("<iii", 1, 0, kind) + values.tobytes()


def list_bytes(arrays: list[bytes], names: list[bytes]) -> bytes:
    named = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    return struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names)) + named


def write_mxnet(path: Path, arrays: dict[str, NDArray[np.generic]], version: int = 0) -> Path:
    content = [array_bytes(values, version) for values in arrays.values()]
    path.write_bytes(list_bytes(content, [name.encode() for name in arrays]))
    return path
