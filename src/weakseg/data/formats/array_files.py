"""Arrays that other programs wrote, one dictionary a file: NumPy's files, pickled ones among them, and safetensors.

Loading a pickle can run any code. Here it is read by a loader that knows the few names that arrays of NumPy and
PyTorch are made of, each a function of this module that builds an array of bytes; a file that asks for anything else is
refused.
"""

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from weakseg.errors import DataError, cut, quoted
from weakseg.files import json_value

Arrays = Mapping[str | int, NDArray[Any]]

ARRAY_SUFFIXES = (".safetensors", ".npz", ".npy")
CLASS_NAMES, CLASS_IDS = "classes", "class_ids"
WHOLE = "values"
MAX_BYTES = 2**30
_PLAIN_TYPE = re.compile(r"b1|[iu][1248]|f[248]")


def read_arrays(path: Path) -> Arrays:
    """Return the arrays of a file by their names.

    An ``.npy`` file with one array gives it the name ``values``. Numbers in lists become arrays; what is no array is
    left out. ``classes`` of a safetensors file are those that its metadata list as JSON; of activations that weakseg
    wrote, ``class_ids`` are those of their header.

    Raises:
        DataError: If the file is missing, damaged, too large, or asks for more than arrays.
    """
    readers = {".safetensors": _read_safetensors, ".npz": _read_npz, ".npy": _read_npy}
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        return readers[path.suffix](path)
    except DataError:
        raise
    except Exception as error:  # damaged files fail in every way, in four libraries
        raise DataError(
            f"{path}: cannot be read as arrays ({type(error).__name__}: {cut(error)}); write it anew"
        ) from error


def _read_safetensors(path: Path) -> Arrays:
    with safe_open(path, "pt") as file:
        told = file.metadata() or {}
        names, own = json_value(told.get(CLASS_NAMES, "null")), json_value(told.get("weakseg", "null"))
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    arrays: dict[str | int, NDArray[Any]] = {name: _of_tensor(tensor) for name, tensor in found.items()}
    if isinstance(own, dict) and CLASS_IDS in own:
        arrays[CLASS_IDS] = np.array(own[CLASS_IDS], np.int64)
    return arrays if names is None else {**arrays, CLASS_NAMES: np.array(names, np.str_)}


def _read_npz(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as archive:
        if (size := sum(entry.file_size for entry in archive.infolist())) > MAX_BYTES:
            raise ValueError(f"it holds {size:,} bytes, more than {MAX_BYTES:,}")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{path}: holds Python objects, which are never loaded; write arrays of numbers, and class names as text"
        ) from error


def _read_npy(path: Path) -> Arrays:
    with path.open("rb") as file:
        if np.lib.format.read_magic(file) == (1, 0):
            shape, _, kind = np.lib.format.read_array_header_1_0(file)
            if kind == np.dtype("O") and shape == ():
                return _read_pickle(path, file)
    return {WHOLE: np.array(np.load(path, mmap_mode="r", allow_pickle=False))}


def _read_pickle(path: Path, file: BinaryIO) -> Arrays:
    """Return the arrays of the one dictionary that NumPy's ``save`` has pickled."""
    try:
        content = _ArrayLoader(file).load()
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: a pickle that holds more than arrays ({error}), which could run code; it is not loaded. Write an "
            ".npz of arrays instead: numpy.savez(path, values=maps, class_ids=ids)"
        ) from error
    given = content.value[0] if isinstance(content, _Array) and isinstance(content.value, list) else None
    if not isinstance(given, dict):
        raise ValueError(f"expected a dictionary of arrays, got {type(given).__name__}")
    found: dict[str | int, NDArray[Any]] = {}
    for name, value in given.items():
        if type(name) in (str, int) and (array := _as_array(value)) is not None:
            found[name] = array
    return found


def _as_array(value: object) -> NDArray[Any] | None:
    """Return an array, a tensor or a flat list of numbers as an array; ``None`` of anything else."""
    if isinstance(value, _Array):
        return value.value if isinstance(value.value, np.ndarray) else None
    if isinstance(value, Tensor):
        return _of_tensor(value)
    if isinstance(value, list) and value and all(type(one) in (int, float) for one in value):
        return np.array(value)
    return None


def _of_tensor(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
    return array


class _Type:
    """Stands for ``numpy.dtype`` of numbers, while a pickle is read."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the order of the bytes."""
        self.order = state[1]

    def plain(self) -> np.dtype[Any]:
        """Return the type, if it is one of numbers."""
        if (
            not isinstance(self.code, str)
            or not _PLAIN_TYPE.fullmatch(self.code)
            or self.order not in ("<", ">", "=", "|")
        ):
            raise pickle.UnpicklingError(f"it has an array of type {cut(self.code)}")
        return np.dtype(self.order + self.code)


class _Array:
    """Stands for ``numpy.ndarray``, while a pickle is read; of objects it is their list."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the content: version, shape, type, whether columns come first, and bytes, or a list of objects."""
        _, shape, kind, by_columns, content = state
        objects = kind.code == "O8" and isinstance(content, list) and len(content) == 1
        self.value = content if objects else _of_bytes(content, kind, shape, "F" if by_columns else "C")


def _of_bytes(content: bytes, kind: _Type, shape: tuple[int, ...], order: Any = "C") -> NDArray[Any]:
    return np.frombuffer(bytes(content), kind.plain()).reshape(shape, order=order)


def _scalar(kind: _Type, content: bytes) -> int | float:
    number: int | float = _of_bytes(content, kind, (1,)).item()
    return number


def _storage(content: bytes) -> Any:
    """Return a storage of PyTorch, which is pickled within the pickle."""
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's own message advises to load unsafely
        raise pickle.UnpicklingError("it has a damaged tensor, or more than one") from error


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    """Return a tensor of a storage, if it lies within."""
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    whole = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage)
    if min((*size, *stride, offset), default=0) < 0 or (0 not in size and last >= len(whole)):
        raise ValueError("a tensor reaches beyond its numbers")
    return whole.as_strided(size, stride, offset).contiguous()


def _latin(text: str, *_: object) -> bytes:
    return text.encode("latin1")


_KNOWN = {
    "numpy.ndarray": None,
    "numpy.dtype": _Type,
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": lambda content, kind, shape, order: _Array(
        _of_bytes(content, kind, shape, order)
    ),
    "_codecs.encode": _latin,
    "collections.OrderedDict": dict,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.storage._load_from_bytes": _storage,
}


class _ArrayLoader(pickle._Unpickler):
    """Reads pickles of arrays; written in Python, so that no number in a file becomes as much memory."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name, if it is one of those that arrays need."""
        full = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        if full not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {quoted(full)}")
        return _KNOWN[full]
